"""What the templates have in common: how they are read, checked and spelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from pydantic_core import to_json

from connect_chat.errors import InvalidContentError
from connect_chat.interactive.limits import MOST_BYTES
from connect_chat.interactive.parts import Part, ReplyMessage

__all__ = ["KnownTemplate"]

_OUTSIDE = ("templateType", "templateIdentifier", "version")
"""What a template says of itself, beside its ``data``."""


class KnownTemplate(Part):
    """What all templates have that this version knows.

    Attributes:
        version: The version of the template, ``"1.0"``.
        template_identifier: Identifies a list picker or panel within its carousel.
        reply_message: What is shown once something has been chosen.
    """

    version: str = "1.0"
    template_identifier: str | None = None
    reply_message: ReplyMessage | None = None

    _lists: ClassVar[Mapping[str, Callable[[object], Part | None]]] = {}
    """Its lists, and what reads each thing in them by itself, so that it costs only itself."""

    @classmethod
    def parse(cls, raw: object) -> Self | None:
        """Return the template that a piece of JSON stands for, or None if it is no object."""
        if not isinstance(raw, dict):
            return None
        data = _object(raw.get("data"))
        fields = dict(_object(data.get("content")))
        if "title" in cls.model_fields and not isinstance(fields.get("title"), str):
            fields["title"] = ""
        for name, read in cls._lists.items():
            parts = map(read, _list(fields.get(name)))
            fields[name] = tuple(part for part in parts if part is not None)
        outside = {name: raw[name] for name in _OUTSIDE if name in raw}
        reply_message = ReplyMessage.parse(data.get("replyMessage"))
        return cls._read({**fields, **outside, "replyMessage": reply_message}, raw)

    def to_content(self) -> str:
        """Return the content of an interactive message of this template: JSON in a string.

        What it was parsed from and has no field here is not in it.

        Raises:
            InvalidContentError: It breaks a documented limit; names the field, never its text.
        """
        self._check()
        content = to_json(self._spelled())
        if len(content) >= MOST_BYTES:
            raise InvalidContentError(
                "content", f"less than {MOST_BYTES:,} bytes of JSON", size=len(content)
            )
        return content.decode()

    def _check(self, where: str = "") -> None:
        if self.reply_message is not None:
            self.reply_message._check(f"{where}reply_message")

    def _spelled(self) -> dict[str, Any]:
        content = self.model_dump(by_alias=True, exclude_none=True)
        message = {name: content.pop(name) for name in _OUTSIDE if name in content}
        reply = content.pop("replyMessage", None)
        data = {"content": content} | ({} if reply is None else {"replyMessage": reply})
        return message | {"data": data}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
