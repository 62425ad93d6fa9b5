"""One pass over the transcript: what to ask for next, and what a page gives.

Three ways, each the fallback of the one before:

1. FORWARD from the anchor's Id.
2. FORWARD from the anchor's AbsoluteTime less the overlap, if the service does not accept the Id.
3. BACKWARD from the end, which is how the service documents a read without a start position: to
   the anchor's time, or to the beginning of the contact. The pages come newest first and are put
   together before anything is delivered. A transcript too long for that is walked to its
   beginning with nothing kept, and then read FORWARD from the oldest item found.

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

__all__ = ["Reading"]

PAGE = 100
"""Items a page, the most that the service gives."""

_KEPT = 1000
"""Items that a backward walk keeps before it turns into a forward read."""


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
        shown: The Ids of the items that it has shown, at most the last `_KEPT` of them.
    """

    def __init__(self, anchor: Position | None, overlap: float) -> None:
        self.done = False
        self.shown: deque[str] = deque(maxlen=_KEPT)
        self._anchor = anchor
        self._overlap = timedelta(seconds=overlap)
        self._way = _Way.BY_ID if anchor else _Way.BACKWARD
        self._next_token: str | None = None
        self._backward: list[Item] = []
        self._overflowed = False
        self._oldest: Item | None = None
        self._positions: deque[Position] = deque(maxlen=_KEPT)
        self._newest: datetime | None = None

    @classmethod
    def from_time(cls, anchor: Position | None) -> Reading:
        """Return a pass from an item's time on, for who may lack others of the same time."""
        reading = cls(anchor, 0.0)
        if anchor is not None:
            reading._way = _Way.BY_TIME
        return reading

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
        self._keep(ours)
        beginning = len(ours) < len(items) or next_token is None or self._reached_anchor(ours)
        if not beginning:
            self._next_token = next_token
            return ()
        if self._overflowed:
            self._read_forward_from_oldest()
            return ()
        self.done = True
        return self._show(self._backward)

    def rejected(self) -> bool:
        """Fall back from a position that the service refused. False if none is left.

        A refusal in the middle of a read is its NextToken's: the same way begins again.
        """
        if self._next_token is not None:
            self._next_token = None
            self._backward = []
            self._overflowed = False
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

    @property
    def verified(self) -> Position | None:
        """The newest item up to which nothing can be missing, as far as the read has come.

        An item that the lagging transcript did not show yet was said no longer ago than it
        lags, hence after the newest item that it did show, less the overlap.
        """
        if self._newest is None:
            return None
        until = self._newest - self._overlap
        return next((at for at in reversed(self._positions) if at.absolute_time <= until), None)

    def _start_position(self) -> Mapping[str, str]:
        anchor = self._anchor
        if anchor is None:
            raise AssertionError("a read without an anchor goes backward")
        if self._way is _Way.BY_ID:
            return {"Id": anchor.id}
        time = (anchor.absolute_time - self._overlap).astimezone(UTC)
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

    def _keep(self, items: list[Item]) -> None:
        self._oldest = next((item for item in items if item.id is not None), self._oldest)
        if len(self._backward) + len(items) > _KEPT:
            self._overflowed = True
            self._backward = []
        if not self._overflowed:
            self._backward = items + self._backward

    def _reached_anchor(self, items: Sequence[Item]) -> bool:
        if self._anchor is None:
            return False
        until = self._anchor.absolute_time - self._overlap
        return any(item.absolute_time is not None and item.absolute_time < until for item in items)

    def _read_forward_from_oldest(self) -> None:
        oldest = self._oldest
        if oldest is None or oldest.id is None or oldest.absolute_time is None:
            raise AssertionError("a transcript that overflows has items with Ids")
        self._anchor = Position(oldest.id, oldest.absolute_time)
        self._way = _Way.BY_ID
        self._next_token = None
