"""Answers that come piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from connect_chat.emulator.contact import Contact

__all__ = ["Stream", "stream"]


class Stream:
    """One message that grows.

    Its pieces are items of one Id and one AbsoluteTime, that of the first; then an item of the
    same Id carries the whole, and only that is kept. In a chat that was started with
    ResponseMode COMPLETE there is no more than the whole, as an ordinary message.

    Args:
        contact: The chat.
        sender: The members that say who sends it.
        content_type: The message's type.

    Raises:
        Refusal: ThrottlingException if the emulator is full.
    """

    def __init__(self, contact: Contact, sender: Mapping[str, str], content_type: str) -> None:
        contact.check_room()
        self._contact = contact
        self._milliseconds = contact.tick()
        self._pieces: list[str] = []
        self._streams = contact.options.response_mode == "INCREMENTAL"
        self._item = contact.stamped(
            {"Type": "MESSAGE", "ContentType": content_type, **sender}, self._milliseconds
        )

    def add(self, piece: str) -> None:
        """Push the next piece."""
        self._pieces.append(piece)
        if self._streams:
            self._contact.push(self._with(piece, completed=False, number=len(self._pieces)))

    def complete(self) -> dict[str, Any]:
        """Push and keep the whole; return the Item."""
        whole = "".join(self._pieces)
        if self._streams:
            item = self._with(whole, completed=True, number=len(self._pieces) + 1)
        else:
            item = {**self._item, "Content": whole}
        self._contact.keep(item, self._milliseconds)
        self._contact.push(item)
        return item

    def _with(self, content: str, *, completed: bool, number: int) -> dict[str, Any]:
        metadata = {
            "MessageId": self._item["Id"],
            "MessageCompleted": completed,
            "ChunkNumber": number,
        }
        return {**self._item, "Content": content, "MessageMetadata": metadata}


async def stream(
    message: Stream, pieces: Iterable[str], *, interval: float, check: Callable[[], object]
) -> dict[str, Any]:
    """Send a message piece by piece; return the Item of the whole.

    Args:
        message: The message.
        pieces: What it consists of.
        interval: Seconds between two of them.
        check: Called before each, to raise `Refusal` if it may not be sent any more.
    """
    for number, piece in enumerate(pieces):
        if number and interval:
            await asyncio.sleep(interval)
        check()
        message.add(piece)
    return message.complete()
