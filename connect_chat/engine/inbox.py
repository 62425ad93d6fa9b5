"""Exactly once and in order: what has been delivered, and what has to wait for its turn.

Items come in twice, three times, and in any order: from one socket, from two during a rotation,
from the transcript. The inbox lets each through once.

Why bounded memory is enough
----------------------------
Each delivered Id is remembered. Beyond `MEMORY` of them, those are forgotten that lie at or
before the `anchor`, of which everything is known to be delivered; `floor` is the latest
AbsoluteTime of any that was. A copy of a forgotten item can come back from two places:

- The transcript. Reads begin at the anchor or, where the service no longer accepts that
  position, at an earlier time.
- A socket, however late.

Either way it is not newer than the floor, and an unknown item that is not newer than the floor
is taken for a copy and dropped. It cannot be an item that is missing, since those lie after the
anchor: only a complete stretch of the transcript moves it (see `recovery.py`).

So what is remembered is bounded by what is delivered between two such reads. They follow each
other by number and by time as long as the transcript can be read. If it cannot, `MOST` is the
bound: the oldest are forgotten then, and the anchor moves up to them. That takes an hour without
one readable page at an instance's whole quota of 10 messages a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice

from connect_chat.engine.commands import Position
from connect_chat.engine.waiting import WaitingItems
from connect_chat.items import AttachmentMessage, ChatEnded, Item

__all__ = ["MEMORY", "Inbox", "identity"]

MEMORY = 2048
"""How many delivered Ids are remembered, unless more lie after the anchor."""

MOST = 16 * MEMORY
"""How many are remembered at the very most."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)


def identity(item: Item) -> str | None:
    """Return what makes two copies of an item the same one, or None if nothing does.

    That is its Id. A file's item is another one once its scan has another result. An item
    without an Id is told by all that it says, if the transcript keeps its kind and could
    therefore give a second copy; an Id-less typing event is always new.
    """
    if item.id is None:
        if not item.in_transcript:
            return None
        return repr((item.type, item.content_type, item.absolute_time, item.participant_id,
                     item.content))  # fmt: skip
    if item.attachments and isinstance(item, AttachmentMessage):
        return ":".join((item.id, *(attachment.status or "" for attachment in item.attachments)))
    return item.id


class Inbox:
    """Decides which items may be delivered, and when.

    Attributes:
        anchor: The item from which the transcript has to be read after a gap; None for its
            beginning.
        floor: See the module.
        holding: Whether live items wait, because what came before them is being looked for.
        delivered: How many items it let through, which numbers them.
        duplicates: How many copies it dropped.
        end: The ChatEnded that has come in, to be let through after everything else.
        waiting: The live items that wait for their turn.
    """

    def __init__(
        self,
        reorder_window: float,
        *,
        anchor: Position | None = None,
        floor: datetime | None = None,
        seen: Iterable[tuple[str, datetime]] = (),
    ) -> None:
        self.anchor = anchor
        self.floor = floor
        self.holding = False
        self.delivered = 0
        self.duplicates = 0
        self.end: ChatEnded | None = None
        self._window = reorder_window
        # Identity → its number in the order of delivery; negative if the transcript lacks it.
        read = dict(seen)
        self._seen: dict[str, int] = dict.fromkeys(read, 0)
        # The same and their times, in the order in which they are forgotten. In queues of their
        # own, since a dict is slow at giving up its first entry again and again.
        self._order = deque(read)
        self._times = deque(read.values())
        # How many of them have not been looked at since the anchor moved.
        self._unlooked = len(self._order)
        self._last = anchor.absolute_time if anchor else _BEGINNING
        self.waiting = WaitingItems()

    def __len__(self) -> int:
        return len(self.waiting.items)

    @property
    def next_release(self) -> float | None:
        """When the earliest item that waits only for its turn may go, or None."""
        return None if self.holding else self.waiting.next_release

    def number_of(self, item: Item) -> int | None:
        """Return an item's number in the order of delivery; None if it is not remembered.

        It is negative for an item that the transcript lacks, 0 for one of an earlier process.
        """
        name = identity(item)
        return None if name is None else self._seen.get(name)

    def forgotten(self, item: Item, after: datetime | None = None) -> bool:
        """Whether an item that is not remembered was delivered long ago.

        Args:
            item: The item.
            after: What the floor was once: what had been forgotten by then does not count.
        """
        time = item.absolute_time
        if time is None or self.floor is None or (after is not None and time <= after):
            return False
        return time <= self.floor

    def precedes(self, item: Item) -> bool:
        """Whether an item is newer than everything that was delivered."""
        return item.absolute_time is not None and item.absolute_time > self._last

    def since(self, number: int) -> list[Position]:
        """Return the remembered items, kept by the transcript, from ``number`` on.

        By their identities, which are their Ids for all but files.
        """
        seen = self._seen
        return [
            Position(name, time)
            for name, time in zip(self._order, self._times, strict=True)
            if seen[name] >= number
        ]

    def knows(self, item: Item) -> bool:
        """Whether the item, or a copy of it, has been delivered."""
        name = identity(item)
        if name is None:
            return False
        return name in self._seen or self.forgotten(item)

    def begin_after(self, item: Item) -> None:
        """Count everything up to ``item`` as delivered."""
        if item.absolute_time is not None:
            self.floor = self._last = item.absolute_time
            if item.id is not None:
                self.anchor = Position(item.id, item.absolute_time)

    def holds(self, item: Item) -> bool:
        """Whether the item, or a copy of it, waits here."""
        return identity(item) in self.waiting.known

    def live(self, item: Item, now: float) -> Sequence[Item]:
        """Take an item from a socket; return what may be delivered because of it."""
        name, waiting = identity(item), self.waiting
        if name is not None and (
            name in self._seen
            or name in waiting.known
            or (self.floor is not None and self.forgotten(item))
        ):
            self.duplicates += 1
            return ()
        if isinstance(item, ChatEnded):
            self.duplicates += self.end is not None
            self.end = self.end or item
            return ()
        time = item.absolute_time or self._last
        if self._window == 0 and not self.holding and not waiting.items:
            return (self._out(item, name, time),)
        waiting.add(item, name, time, now + self._window)
        return ()

    def release(self, now: float) -> Sequence[Item]:
        """Return items that have waited for an earlier one for long enough, in order.

        Some may be left for another time; `next_release` is then not after ``now``.
        """
        if self.holding:
            return ()
        until = self.waiting.due(now)
        return () if until is None else self._let_out(until)

    def flush(self) -> Sequence[Item]:
        """Return everything that waits, in order."""
        return self._let_out(None)

    def merge(self, items: Sequence[Item]) -> Sequence[Item]:
        """Take items from the transcript, ascending; return them, and what waited among them.

        Items that wait and are newer than the last of ``items`` go on waiting.
        """
        new: list[tuple[datetime, Item]] = []
        newest = _BEGINNING
        names = set()
        for item in items:
            if item.absolute_time is not None:
                newest = max(newest, item.absolute_time)
            name = identity(item)
            if name is None or name in names or self.knows(item):
                continue
            names.add(name)
            if isinstance(item, ChatEnded):
                self.end = self.end or item
            else:
                new.append((item.absolute_time or newest, item))
        self.waiting.drop(names)
        new += [(time, item) for time, _, item in self.waiting.pop_until(newest)]
        new.sort(key=_time_of)
        return [self._out(item, identity(item), time) for time, item in new]

    def awaits_any(self, shown: Iterable[str]) -> bool:
        """Whether an item that waits, and that the transcript keeps, is not among ``shown``."""
        shown = set(shown)
        return any(
            item.in_transcript and item.id is not None and item.id not in shown
            for item in self.waiting.items
        )

    def move_anchor(self, position: Position) -> None:
        """Move the anchor forward, never back."""
        if self.anchor is None or position.absolute_time >= self.anchor.absolute_time:
            self.anchor = position
            self._unlooked = len(self._order)

    def _let_out(self, until: datetime | None) -> Sequence[Item]:
        return [self._out(item, name, time) for time, name, item in self.waiting.pop_until(until)]

    def _out(self, item: Item, name: str | None, time: datetime) -> Item:
        """Number an item, and remember it."""
        self.delivered += 1
        if name is not None:
            if len(self._seen) >= MEMORY and (self._unlooked or len(self._seen) >= MOST):
                self._make_room()
            self._seen[name] = self.delivered if item.in_transcript else -self.delivered
            self._order.append(name)
            self._times.append(time)
        if time > self._last:
            self._last = time
        return item

    def _make_room(self) -> None:
        """Forget many items if there are too many, else the first if the anchor allows it.

        That is the one that was delivered first, if it lies at or before the anchor. One that
        doesn't is put behind the others, so that it does not stand in their way; two are looked at
        for each that comes in, so that they cannot pile up behind it. Once all have been, there is
        nothing to forget until the next read moves the anchor.
        """
        if len(self._seen) >= MOST:
            self._forget_many()
            return
        for _ in range(2):
            self._unlooked -= self._unlooked > 0
            if self.anchor is not None and self._times[0] <= self.anchor.absolute_time:
                self._forget_first()
                if len(self._seen) < MEMORY:
                    return
            else:
                self._order.rotate(-1)
                self._times.rotate(-1)

    def _forget_many(self) -> None:
        """Forget the next `MEMORY` items, whatever the anchor is, and move it up to them."""
        time, name = max(islice(zip(self._times, self._order, strict=True), MEMORY))
        if self.anchor is None or time > self.anchor.absolute_time:
            self.anchor = Position(name, time)
        for _ in range(MEMORY):
            self._forget_first()

    def _forget_first(self) -> None:
        del self._seen[self._order.popleft()]
        time = self._times.popleft()
        if self.floor is None or time > self.floor:
            self.floor = time


def _time_of(entry: tuple[datetime, Item]) -> datetime:
    return entry[0]
