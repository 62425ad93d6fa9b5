"""The base of everything that is read from the service: immutable, and tolerant of surprises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal
from pydantic_core import from_json

__all__ = ["Shape", "json_object"]


class Shape(BaseModel):
    """A structure of the service: PascalCase on the wire, snake_case here, immutable."""

    model_config = ConfigDict(
        frozen=True,
        # Most kinds are never met by a process: each is made ready when it is first needed.
        defer_build=True,
        extra="ignore",
        alias_generator=to_pascal,
        populate_by_name=True,
        # What is on the wire may be content: a validation error must not quote it.
        hide_input_in_errors=True,
    )

    @classmethod
    def leniently(cls, raw: Mapping[str, Any]) -> Self:
        """Return the structure that ``raw`` spells, its malformed fields treated as missing.

        Raises:
            ValidationError: A field that may not be missing is malformed or missing.
        """
        # Python names are ours: on the wire only the service's spelling counts.
        validate = cls.__pydantic_validator__.validate_python
        try:
            return cast("Self", validate(raw, by_name=False))
        except ValidationError as error:
            bad = {
                detail["loc"][0] for detail in error.errors(include_input=False, include_url=False)
            }
        kept = {key: raw[key] for key in raw.keys() - bad}
        return cast("Self", validate(kept, by_name=False))


def json_object(text: str | None) -> dict[str, Any] | None:
    """Return the JSON object that a content is, or None if it is none."""
    try:
        value = from_json(text or "")
    except (TypeError, ValueError):  # TypeError: the text holds half a character
        return None
    return value if isinstance(value, dict) else None
