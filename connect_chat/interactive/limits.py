"""What an interactive message may hold, checked when one is built."""

from __future__ import annotations

from collections.abc import Sized

from connect_chat.errors import InvalidContentError

__all__ = ["MOST_BYTES", "QUICK_REPLY_LIMIT", "TITLE_LIMIT", "check_count", "check_text"]

TITLE_LIMIT = 400
"""The characters of a title or subtitle that the vendor's widget shows."""

QUICK_REPLY_LIMIT = 200
"""The characters of a quick reply's option that it shows."""

MOST_BYTES = 20_000
"""What the service takes. "Less than 20KB" says the Administrator Guide, "20k char" the vendor's
widget: this is the narrowest reading of both."""


def check_text(field: str, text: str | None, most: int = TITLE_LIMIT, *, least: int = 0) -> None:
    """Raise InvalidContentError for a text that has too few or too many characters."""
    if text is not None and not least <= len(text) <= most:
        raise InvalidContentError(field, f"{least} to {most} characters", size=len(text))


def check_count(field: str, values: Sized, fewest: int, most: int | None = None) -> None:
    """Raise InvalidContentError for too few or too many values."""
    if len(values) < fewest or (most is not None and len(values) > most):
        limit = f"{fewest} or more" if most is None else f"{fewest} to {most} in number"
        raise InvalidContentError(field, limit, size=len(values))
