"""What templates consist of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from connect_chat._shape import Shape
from connect_chat.errors import InvalidContentError, InvalidRequestError
from connect_chat.interactive.limits import TITLE_LIMIT, check_text

__all__ = ["Element", "Location", "Part", "Pictured", "ReplyMessage", "TimeSlot", "require_aware"]


class Part(Shape):
    """A part of an interactive message: camelCase on the wire. Its repr shows nothing of it."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    @property
    def raw(self) -> Mapping[str, Any]:
        """The JSON object as it was received; empty for a part made by hand."""
        return self.__dict__.get("_raw", {})  # type: ignore[no-any-return]

    @classmethod
    def parse(cls, raw: object) -> Self | None:
        """Return the part that a piece of JSON stands for, or None if it cannot be used."""
        if not isinstance(raw, dict):
            return None
        try:
            return cls._read(raw, raw)
        except ValidationError:
            return None

    @classmethod
    def _read(cls, fields: Mapping[str, Any], raw: Mapping[str, Any]) -> Self:
        part = cls.leniently(fields)
        # Frozen for users; filled in here, once.
        part.__dict__["_raw"] = raw
        return part

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show nothing: all of it is what somebody said."""
        return ()


class Pictured(Part):
    """What may have an image.

    Attributes:
        image_type: ``"URL"`` if there is one.
        image_data: Its URL. Written by the other side: check it before following it.
        image_description: Its text alternative.
    """

    image_type: str | None = None
    image_data: str | None = None
    image_description: str | None = None


class Element(Pictured):
    """One thing to choose, or a link.

    Attributes:
        title: What it says, and what choosing it answers. 1 to 400 characters, in a quick reply
            1 to 200.
        subtitle: Up to 400 characters more.
        action_detail: ``"SHOW_MORE"`` or ``"PREVIOUS_OPTIONS"`` for an element that turns the
            pages of its list.
        type: ``"hyperlink"`` for a link, which is opened at `url` and answers nothing.
        url: Where a link leads. Written by the other side: check it before following it.
    """

    title: str
    subtitle: str | None = None
    action_detail: str | None = None
    type: str | None = None
    url: str | None = None

    @property
    def is_link(self) -> bool:
        """Whether it is a link, which cannot be chosen."""
        return self.type == "hyperlink"

    def _check(self, where: str, title_limit: int) -> None:
        check_text(f"{where}.title", self.title, title_limit, least=1)
        check_text(f"{where}.subtitle", self.subtitle)
        if self.is_link and not self.url:
            raise InvalidContentError(f"{where}.url", "given for a hyperlink")


class TimeSlot(Part):
    """One appointment to choose.

    Attributes:
        date: When it begins, ISO 8601 with an offset, for example ``"2026-10-31T17:00+00:00"``;
            choosing it answers this, to the letter.
        duration: How long it takes. The service does not say in which unit.
    """

    date: str
    duration: int | None = None

    @classmethod
    def at(cls, start: datetime, duration: int | None = None) -> Self:
        """Return the slot that begins at ``start``, an aware datetime, to the minute.

        Raises:
            InvalidRequestError: ``start`` is naive.
        """
        require_aware("start", start)
        return cls(date=start.isoformat(timespec="minutes"), duration=duration)

    @property
    def start(self) -> datetime | None:
        """When it begins, an aware datetime; None if `date` does not say so."""
        try:
            start = datetime.fromisoformat(self.date)
        except ValueError:
            return None
        return start if start.tzinfo else None


class Location(Part):
    """Where an appointment takes place; latitude and longitude in degrees."""

    latitude: float | None = None
    longitude: float | None = None
    title: str | None = None
    radius: float | None = None


class ReplyMessage(Pictured):
    """What is shown once something has been chosen; texts of up to 400 characters."""

    title: str
    subtitle: str | None = None

    def _check(self, where: str) -> None:
        check_text(f"{where}.title", self.title, TITLE_LIMIT, least=1)
        check_text(f"{where}.subtitle", self.subtitle)


def require_aware(field: str, time: datetime) -> None:
    """Raise InvalidRequestError for a datetime without an offset."""
    if time.tzinfo is None:
        raise InvalidRequestError(field, "an aware datetime, with its offset from UTC")
