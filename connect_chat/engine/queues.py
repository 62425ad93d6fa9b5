"""Places in a queue, and the two orders in which they are served."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum
from heapq import heapify, heappop, heappush

__all__ = ["ByDeadline", "Priority", "RoundRobin", "Ticket"]


class Priority(IntEnum):
    """How urgent a call is: the lowest value goes first."""

    SEND = 0
    """Somebody is waiting for this very call: sending and everything a user asked for."""

    CONNECT = 1
    """A chat is about to begin, and somebody is waiting for it: its first connection."""

    RECONNECT = 2
    """A chat is broken until it has been made: a new connection, and what was missed."""

    ROTATE = 3
    """A chat will be broken unless it is made in time: a connection that is about to expire. Among
    these, the earliest deadline goes first."""

    HISTORY = 4
    """Nothing waits for it: reading back."""


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """One call's place in the queue.

    Attributes:
        operation: The service's name of the operation.
        priority: How urgent the call is.
        key: Whose it is. Those of one priority are served in turns, key by key.
        deadline: When its turn is of no use any more; infinite if it always is.
    """

    operation: str
    priority: Priority
    key: str = ""
    deadline: float = math.inf


class RoundRobin:
    """Serves the keys in turns, and what belongs to one key in order; every step is O(1)."""

    __slots__ = ("_keys", "_size")

    def __init__(self) -> None:
        self._keys: OrderedDict[str, OrderedDict[Ticket, None]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, ticket: Ticket) -> None:
        """Add a ticket: at the end, or behind the others of its key."""
        tickets = self._keys.get(ticket.key)
        if tickets is None:
            tickets = self._keys[ticket.key] = OrderedDict()
        tickets[ticket] = None
        self._size += 1

    def discard(self, ticket: Ticket) -> bool:
        """Remove a ticket; return whether it was there."""
        tickets = self._keys.get(ticket.key)
        if tickets is None or ticket not in tickets:
            return False
        del tickets[ticket]
        if not tickets:
            del self._keys[ticket.key]
        self._size -= 1
        return True

    def pop(self) -> Ticket:
        """Remove the next ticket and return it. There must be one."""
        key, tickets = next(iter(self._keys.items()))
        ticket, _ = tickets.popitem(last=False)
        if tickets:
            self._keys.move_to_end(key)
        else:
            del self._keys[key]
        self._size -= 1
        return ticket


class ByDeadline:
    """Serves the earliest deadline first, and equals in order; every step is O(log n).

    A ticket that is removed out of order stays in the heap, as a corpse, until it comes to the top
    or half of the heap is such.
    """

    __slots__ = ("_count", "_heap", "_present")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Ticket]] = []
        self._present: set[Ticket] = set()
        self._count = 0

    def __len__(self) -> int:
        return len(self._present)

    def put(self, ticket: Ticket) -> None:
        """Add a ticket."""
        self._count += 1
        heappush(self._heap, (ticket.deadline, self._count, ticket))
        self._present.add(ticket)

    def discard(self, ticket: Ticket) -> bool:
        """Remove a ticket; return whether it was there."""
        if ticket not in self._present:
            return False
        self._present.remove(ticket)
        self._bury()
        return True

    def pop(self) -> Ticket:
        """Remove the next ticket and return it. There must be one."""
        ticket = heappop(self._heap)[2]
        self._present.remove(ticket)
        self._bury()
        return ticket

    @property
    def earliest(self) -> float:
        """The earliest deadline; infinite if there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def _bury(self) -> None:
        """See to it that the top of the heap is present, and at least half of it."""
        heap, present = self._heap, self._present
        if len(heap) > 2 * len(present):
            self._heap = heap = [entry for entry in heap if entry[2] in present]
            heapify(heap)
        while heap and heap[0][2] not in present:
            heappop(heap)
