"""One pass over the transcript: what to ask for next, and what a page gives.

Three ways, each the fallback of the one before:

1. FORWARD from the anchor's Id.
2. FORWARD from the anchor's AbsoluteTime less the overlap, if the service does not accept the Id.
3. BACKWARD from the end, which is how the service documents a read without a start position: to
   the anchor's time, or to the beginning of the contact. The pages come newest first and are put
   together before anything is delivered. Of a transcript too long for that the oldest items are
   kept, and the newest of these is the anchor from which the pass goes on, in the first way
   again. So it comes to an end in bounded memory even where the service accepts no position at
   all: by walking back once for every `KEPT` items.

Positions that were refused are not tried again by later passes for a while; see `Positions`.

A NextToken that is refused ends none of this: what it leaves is read from the newest item that was
shown, or, on the way back, from the end.

A persistent chat's past contacts lie behind the beginning, with a RelatedContactId; they are
history, not part of this contact, and the walk stops there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any

from connect_chat.engine.commands import Position
from connect_chat.items import Item

__all__ = ["KEPT", "Positions", "Reading"]

PAGE = 100
"""Items a page, the most that the service gives."""

KEPT = 1000
"""Items that a backward walk keeps, the oldest; and those that are known for shown."""


_REFUSED_FOR = 60.0
"""Seconds for which no position is tried again after the service has refused one both ways."""


class _Way(Enum):
    BY_ID = auto()
    BY_TIME = auto()
    BACKWARD = auto()


class Reading:
    """A pass over the transcript, from an anchor to its end.

    Args:
        anchor: Where to begin, inclusive; None for the beginning of the contact.
        overlap: How far the transcript may lag, in seconds.

    Attributes:
        done: Whether the end was reached.
        shown: The Ids of the items that it has shown, at most the last `KEPT` of them.
    """

    def __init__(self, anchor: Position | None, overlap: float) -> None:
        self.done = False
        self.shown: deque[str] = deque(maxlen=KEPT)
        self._anchor = anchor
        self._overlap = timedelta(seconds=overlap)
        # Where the pass begins, or goes on, by time.
        self._since = None if anchor is None else anchor.absolute_time - self._overlap
        self._way = _Way.BY_ID if anchor else _Way.BACKWARD
        self._next_token: str | None = None
        self._backward: list[Item] = []
        self._overflowed = False
        self._positions: deque[Position] = deque(maxlen=KEPT)
        self._newest: datetime | None = None

    @classmethod
    def from_time(cls, anchor: Position | None) -> Reading:
        """Return a pass from an item's time on, for who may lack others of the same time."""
        reading = cls(anchor, 0.0)
        if anchor is not None:
            reading._way = _Way.BY_TIME
        return reading

    @property
    def walks_back(self) -> bool:
        """Whether it is on the third way."""
        return self._way is _Way.BACKWARD

    def walk_back(self) -> None:
        """Begin with the third way, since the service has just refused the others."""
        self._way = _Way.BACKWARD

    @property
    def query(self) -> Mapping[str, Any]:
        """The keyword arguments of the next GetTranscript call."""
        query: dict[str, Any] = {"max_results": PAGE, "sort_order": "ASCENDING"}
        if self._way is _Way.BACKWARD:
            query["scan_direction"] = "BACKWARD"
        else:
            query["scan_direction"] = "FORWARD"
            query["start_position"] = self._start_position()
        if self._next_token is not None:
            query["next_token"] = self._next_token
        return query

    def page(self, items: Sequence[Item], next_token: str | None) -> Sequence[Item]:
        """Take a page; return the items that can be merged now, ascending."""
        ours = [item for item in items if item.related_contact_id is None]
        if self._way is not _Way.BACKWARD:
            self._next_token = next_token
            self.done = next_token is None
            return self._show(ours)
        arrived = self._keep(ours)
        if not (arrived or len(ours) < len(items) or next_token is None):
            self._next_token = next_token
            return ()
        found = self._show(self.rest())
        # Items without Ids and times are no place from which it could go on.
        self.done = not (self._overflowed and self._positions)
        if not self.done:
            self._go_on(_Way.BY_ID)
        return found

    def rejected(self) -> bool:
        """Fall back from a position that the service refused. False if none is left.

        A refusal in the middle of a read is its NextToken's: the same way begins again, from where
        it has come to.
        """
        if self._next_token is not None:
            self._backward = []
            self._go_on(self._way)
        elif self._way is _Way.BY_ID and self._anchor is not None:
            self._way = _Way.BY_TIME
        elif self._way is _Way.BY_TIME:
            self._way = _Way.BACKWARD
        else:
            return False
        return True

    def rest(self) -> Sequence[Item]:
        """Return what a walk backward has kept so far, ascending; it will not be finished."""
        kept, self._backward = self._backward, []
        return kept

    def verified(self, took: float, unfinished: datetime | None) -> Position | None:
        """Return the newest item up to which nothing can be missing, as far as the read has come.

        An item that the lagging transcript did not show when its place was read was said no longer
        before that than it lags, hence after the newest item that the read has shown, less the
        overlap, and less the time that the read took. A streamed message is there once it is whole,
        with the time at which it began.

        Args:
            took: Seconds from the first page until now.
            unfinished: When the first message began that is not whole yet, or None.
        """
        if self._newest is None:
            return None
        until = self._newest - self._overlap - timedelta(seconds=took)
        return next(
            (
                at
                for at in reversed(self._positions)
                if at.absolute_time <= until
                and (unfinished is None or at.absolute_time < unfinished)
            ),
            None,
        )

    def _start_position(self) -> Mapping[str, str]:
        anchor = self._anchor
        if anchor is None:
            raise AssertionError("a read without an anchor goes backward")
        if self._way is _Way.BY_ID:
            return {"Id": anchor.id}
        time = (self._since or anchor.absolute_time).astimezone(UTC)
        return {
            "AbsoluteTime": time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"
        }

    def _show(self, items: Sequence[Item]) -> Sequence[Item]:
        for item in items:
            time = item.absolute_time
            if item.id is None or time is None:
                continue
            self.shown.append(item.id)
            self._positions.append(Position(item.id, time))
            if self._newest is None or time > self._newest:
                self._newest = time
        return items

    def _keep(self, items: Sequence[Item]) -> bool:
        """Keep what lies on the way back; return whether it has led far enough."""
        since = self._since
        wanted = [
            item
            for item in items
            if (time := item.absolute_time) is None
            or since is None
            or time > since
            or (time == since and item.id not in self.shown)
        ]
        kept = wanted + self._backward
        if len(kept) > KEPT:
            self._overflowed = True
            del kept[KEPT:]
        self._backward = kept
        return since is not None and any(
            item.absolute_time is not None and item.absolute_time < since for item in items
        )

    def _go_on(self, way: _Way) -> None:
        """Have the rest read from the newest item that was shown."""
        self._way = way
        self._next_token = None
        self._overflowed = False
        if self._positions:
            self._anchor = self._positions[-1]
            self._since = self._anchor.absolute_time


class Positions:
    """Remembers, from pass to pass, that the service refuses positions.

    Else each pass would begin with two calls in vain.
    """

    __slots__ = ("_refused_until",)

    def __init__(self) -> None:
        self._refused_until = float("-inf")

    def begin(self, reading: Reading, now: float) -> Reading:
        """Have a new pass walk back at once if positions were refused a moment ago; return it."""
        if now < self._refused_until:
            reading.walk_back()
        return reading

    def rejected(self, reading: Reading, now: float) -> bool:
        """Have a pass fall back from what was refused. False if there is nothing left to try."""
        walked = reading.walks_back
        goes_on = reading.rejected()
        if reading.walks_back and not walked:
            self._refused_until = now + _REFUSED_FOR
        return goes_on
