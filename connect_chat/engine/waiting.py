"""The live items that wait for their turn, by AbsoluteTime."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator
from datetime import datetime
from heapq import heappop, heappush

from connect_chat.items import Item

__all__ = ["WaitingItems"]

_Entry = tuple[datetime, int, str | None, Item]


class WaitingItems:
    """A queue in the order of AbsoluteTime; among equals, in the order of arrival.

    Each item also has a moment until which it waits for earlier ones. Both ends are cheap,
    however many items wait: a burst on one chat must not cost the square of its length.
    """

    __slots__ = ("_arrivals", "_entries", "_names", "_number")

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._names: set[str] = set()
        # When each may go, and its time; in the order of arrival, hence of the moments.
        self._arrivals: deque[tuple[float, datetime]] = deque()
        self._number = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[Item]:
        """Iterate over the items, in no order."""
        return (entry[3] for entry in self._entries)

    @property
    def next_release(self) -> float | None:
        """When the item that came first may go, or None. It may have gone with an earlier one."""
        return self._arrivals[0][0] if self._arrivals else None

    def add(self, item: Item, name: str | None, time: datetime, until: float) -> None:
        """Have an item wait until a moment, not before those of earlier calls."""
        self._number += 1
        heappush(self._entries, (time, self._number, name, item))
        self._arrivals.append((until, time))
        if name is not None:
            self._names.add(name)

    def due(self, now: float) -> datetime | None:
        """Return the AbsoluteTime up to which items have waited long enough, or None."""
        latest: datetime | None = None
        arrivals = self._arrivals
        while arrivals and arrivals[0][0] <= now:
            time = arrivals.popleft()[1]
            if latest is None or time > latest:
                latest = time
        return latest

    def pop_until(self, time: datetime | None) -> Iterator[tuple[datetime, str | None, Item]]:
        """Take out the items up to an AbsoluteTime, in order; all of them for None."""
        entries = self._entries
        while entries and (time is None or entries[0][0] <= time):
            at, _, name, item = heappop(entries)
            if name is not None:
                self._names.discard(name)
            yield at, name, item
        if not entries:
            self._arrivals.clear()

    def drop(self, names: Container[str]) -> None:
        """Take out the items of some names."""
        kept = [entry for entry in self._entries if entry[2] is None or entry[2] not in names]
        if len(kept) < len(self._entries):
            kept.sort(key=_order)
            self._entries = kept
            self._names = {entry[2] for entry in kept if entry[2] is not None}


def _order(entry: _Entry) -> tuple[datetime, int]:
    return entry[:2]
