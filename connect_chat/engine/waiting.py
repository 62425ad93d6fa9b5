"""The live items that wait for their turn, by AbsoluteTime."""

from __future__ import annotations

from bisect import bisect_right, insort_right
from collections.abc import Container, Iterator, Sequence
from datetime import datetime

from connect_chat.items import Item

__all__ = ["WaitingItems"]

_AT_ONCE = 250
"""So many may go at a time. Readers get their turn between, so that a burst that has waited does
not go beyond what they may have waiting (1,000 items, unless told otherwise)."""

_Entry = tuple[datetime, str | None, Item]


class WaitingItems:
    """A queue in the order of AbsoluteTime; among equals, in the order of arrival.

    Each item also has a moment until which it waits for earlier ones. Nearly all come in order,
    and go many at a time; so the queue is a sorted list, added to at its end.
    """

    __slots__ = ("_arrivals", "_entries", "_names")

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._names: set[str] = set()
        # When each may go, and its time; in the order of arrival, hence of the moments.
        self._arrivals: list[tuple[float, datetime]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[Item]:
        """Iterate over the items, in order."""
        return (entry[2] for entry in self._entries)

    @property
    def next_release(self) -> float | None:
        """When the item that came first may go, or None. It may have gone with an earlier one."""
        return self._arrivals[0][0] if self._arrivals else None

    def add(self, item: Item, name: str | None, time: datetime, until: float) -> None:
        """Have an item wait until a moment, not before those of earlier calls."""
        entries = self._entries
        if not entries or time >= entries[-1][0]:
            entries.append((time, name, item))
        else:
            insort_right(entries, (time, name, item), key=_time_of)
        self._arrivals.append((until, time))
        if name is not None:
            self._names.add(name)

    def due(self, now: float) -> datetime | None:
        """Return the AbsoluteTime up to which items may go now, or None.

        Some may be left that have waited long enough; `next_release` is then not after ``now``.
        """
        latest: datetime | None = None
        count = 0
        for until, time in self._arrivals:
            if until > now or count == _AT_ONCE:
                break
            count += 1
            if latest is None or time > latest:
                latest = time
        del self._arrivals[:count]
        return latest

    def pop_until(self, time: datetime | None) -> Sequence[_Entry]:
        """Take out the items up to an AbsoluteTime, in order; all of them for None."""
        entries = self._entries
        if time is None or not entries or entries[-1][0] <= time:
            taken, self._entries = entries, []
            self._arrivals.clear()
            self._names.clear()
            return taken
        count = bisect_right(entries, time, key=_time_of)
        taken = entries[:count]
        del entries[:count]
        self._forget(taken)
        return taken

    def drop(self, names: Container[str]) -> None:
        """Take out the items of some names."""
        dropped = [entry for entry in self._entries if entry[1] is not None and entry[1] in names]
        if dropped:
            self._forget(dropped)
            self._entries = [
                entry for entry in self._entries if entry[1] is None or entry[1] not in names
            ]

    def _forget(self, entries: Sequence[_Entry]) -> None:
        self._names.difference_update(entry[1] for entry in entries if entry[1] is not None)


def _time_of(entry: _Entry) -> datetime:
    return entry[0]
