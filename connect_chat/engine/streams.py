"""Bot answers that arrive in pieces.

The pieces of a streamed message share its Id and are numbered from 1; the last frame carries the
whole. A piece out of its order is dropped, since the whole repairs it. The transcript has the
whole only. A whole that does not come is looked for in the transcript, once, and then what there
is goes out as a `Message` with ``incomplete``; should the whole turn up later, it goes out, too.
So does what there is of the oldest, at once, when too many messages are under way. Of either no
further piece counts.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from connect_chat.engine.options import SessionOptions
from connect_chat.engine.timers import Timers
from connect_chat.items import Item, Message, MessageUpdate

__all__ = ["Streams"]

# Streams that may be open at once; the oldest is given up when there are more.
_MOST = 32
# Streams that were given up, whose further pieces are known for such.
_REMEMBERED = 256


@dataclass(slots=True)
class _Stream:
    first: Message
    text: str
    # The number of the piece that comes next; None once one was missed.
    expected: int | None
    quiet_since: float
    looked_for: bool = False


class Streams:
    """Puts the pieces of streamed messages together."""

    def __init__(self, options: SessionOptions, timers: Timers) -> None:
        self._wait = options.stream_wait
        self._timers = timers
        self._open: OrderedDict[str, _Stream] = OrderedDict()
        self._given_up: dict[str, None] = {}

    @property
    def since(self) -> datetime | None:
        """The earliest AbsoluteTime of those that are open; their wholes will have the same."""
        times = (stream.first.absolute_time for stream in self._open.values())
        return min((time for time in times if time is not None), default=None)

    def make_room(self, item: Message) -> list[Message]:
        """Return what there is of the message that has to be given up to take a piece, if any."""
        if len(self._open) < _MOST or item.id is None:
            return []
        if item.id in self._open or item.id in self._given_up:
            return []
        return [self._give_up(next(iter(self._open)))]

    def piece(self, item: Message, now: float) -> MessageUpdate | None:
        """Take a piece; return the message as it has grown, or None if it has not."""
        metadata = item.message_metadata
        if item.id is None or metadata is None or item.id in self._given_up:
            return None
        number = metadata.chunk_number
        stream = self._open.get(item.id)
        if stream is None:
            stream = _Stream(item, "", 1, now)
            self._open[item.id] = stream
        stream.quiet_since = now
        if "stream" not in self._timers:
            self._timers.set("stream", now + self._wait / 2)
        if stream.expected is None or number != stream.expected:
            if number is None or stream.expected is None or number > stream.expected:
                stream.expected = None
            return None
        stream.expected += 1
        stream.text += item.text
        return MessageUpdate.of(stream.first, text=stream.text, piece=item.text)

    def completed(self, item: Item) -> None:
        """Note that something whole has come, streamed before or not."""
        if not (self._open or self._given_up) or item.id is None:
            return
        if isinstance(item, Message) and not item.incomplete:
            self._open.pop(item.id, None)
            self._given_up.pop(item.id, None)

    def wake(self, now: float) -> tuple[bool, list[Message]]:
        """Return whether to look for wholes in the transcript, and what was broken off."""
        look, broken = False, []
        for name, stream in list(self._open.items()):
            quiet = now - stream.quiet_since
            if quiet >= self._wait:
                broken.append(self._give_up(name))
            elif quiet >= self._wait / 2 and not stream.looked_for:
                look = stream.looked_for = True
        if self._open:
            earliest = min(stream.quiet_since for stream in self._open.values())
            self._timers.set("stream", max(earliest + self._wait / 2, now + self._wait / 4))
        return look, broken

    def break_off(self) -> list[Message]:
        """Return what there is of all the messages that were never completed."""
        return [self._give_up(name) for name in list(self._open)]

    def _give_up(self, name: str) -> Message:
        stream = self._open.pop(name)
        self._given_up[name] = None
        if len(self._given_up) > _REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
        return stream.first.model_copy(update={"content": stream.text, "incomplete": True})
