"""The live items that wait for their turn, by AbsoluteTime."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable
from datetime import datetime

from connect_chat.items import Item

__all__ = ["WaitingItems"]

_AT_ONCE = 250
"""So many may go at a time. Readers get their turn between, so that a burst that has waited does
not go beyond what they may have waiting (1,000 items, unless told otherwise)."""


class WaitingItems:
    """A queue in the order of AbsoluteTime; among equals, in the order of arrival.

    Each item also has a moment until which it waits for earlier ones. Nearly all come in order,
    and go many at a time; so the queue is a sorted list, added to at its end. What belongs
    together stands at the same place of several lists, since a tuple for each item would be work
    for the garbage collector.

    Attributes:
        items: The items, in order.
        known: The names of those that have one.
    """

    __slots__ = ("_arrived", "_names", "_times", "_untils", "items", "known")

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.known: set[str] = set()
        self._times: list[datetime] = []
        self._names: list[str | None] = []
        # When each may go, and its time; in the order of arrival, hence of the moments.
        self._untils: list[float] = []
        self._arrived: list[datetime] = []

    @property
    def next_release(self) -> float | None:
        """When the item that came first may go, or None. It may have gone with an earlier one."""
        return self._untils[0] if self._untils else None

    def add(self, item: Item, name: str | None, time: datetime, until: float) -> None:
        """Have an item wait until a moment, not before those of earlier calls."""
        times = self._times
        if not times or time >= times[-1]:
            times.append(time)
            self._names.append(name)
            self.items.append(item)
        else:
            place = bisect_right(times, time)
            times.insert(place, time)
            self._names.insert(place, name)
            self.items.insert(place, item)
        if name is not None:
            self.known.add(name)
        self._untils.append(until)
        self._arrived.append(time)

    def due(self, now: float) -> datetime | None:
        """Return the AbsoluteTime up to which items may go now, or None.

        Some may be left that have waited long enough; `next_release` is then not after ``now``.
        """
        count = bisect_right(self._untils, now, hi=min(_AT_ONCE, len(self._untils)))
        latest = max(self._arrived[:count], default=None)
        del self._untils[:count], self._arrived[:count]
        return latest

    def pop_until(self, time: datetime | None) -> Iterable[tuple[datetime, str | None, Item]]:
        """Take out the items up to an AbsoluteTime, in order, with times and names.

        Args:
            time: None for all of them.
        """
        times, names, items = self._times, self._names, self.items
        if time is None or not times or times[-1] <= time:
            self._times, self._names, self.items = [], [], []
            self._untils.clear()
            self._arrived.clear()
            self.known.clear()
            return zip(times, names, items, strict=True)
        count = bisect_right(times, time)
        taken = zip(times[:count], names[:count], items[:count], strict=True)
        self.known.difference_update(filter(None, names[:count]))
        del times[:count], names[:count], items[:count]
        return taken

    def drop(self, names: Container[str]) -> None:
        """Take out the items of some names."""
        for place in reversed(range(len(self._names))):
            name = self._names[place]
            if name is not None and name in names:
                self.known.discard(name)
                del self._times[place], self._names[place], self.items[place]
