"""Who may call now: a rate per operation, and who goes first when there is a queue.

Theory of operation. Each operation has a token bucket, kept as one number, ``due``: the time at
which a full bucket would be reached if every token spent were paid back at the operation's rate
(the "theoretical arrival time" of the generic cell rate algorithm). Taking a token moves ``due``
one interval into the future; a token is there as long as ``due`` is less than a burst ahead.
Nothing has to be refilled, and the time at which the next token is there is known exactly.

Calls that find no token wait in one queue per priority. Tokens go to the most urgent priority
first and within one priority to who came first.

The times passed in may count from anywhere, in seconds, but must not run backwards.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from connect_chat.errors import ConfigurationError

__all__ = ["DEFAULT_QUOTA", "Limiter", "Priority", "Quota", "Rate", "Ticket"]


class Priority(IntEnum):
    """How urgent a call is: the lowest value goes first."""

    SEND = 0
    """Somebody is waiting for this very call: sending and everything a user asked for."""

    RECONNECT = 1
    """A chat is broken until it has been made: a new connection, and what was missed."""

    ROTATE = 2
    """A chat will be broken unless it is made in time: a connection that is about to expire."""

    HISTORY = 3
    """Nothing waits for it: reading back."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often an operation may be called.

    Attributes:
        per_second: Calls per second, in the long run.
        burst: Calls at once, after a pause.

    Raises:
        ConfigurationError: ``per_second`` is not a positive number or ``burst`` is less than 1.
    """

    per_second: float
    burst: int

    def __post_init__(self) -> None:
        if not (0 < self.per_second < math.inf and self.burst >= 1):
            raise ConfigurationError(
                "a Rate takes more than 0 calls per_second and a burst of at least 1; got "
                f"{self.per_second!r} and {self.burst!r}"
            )


@dataclass(frozen=True, slots=True)
class Quota:
    """The rates of a Connect instance, by operation.

    Attributes:
        rates: By the service's name of the operation, for example ``"SendMessage"``. An operation
            without a rate is not paced.
    """

    rates: Mapping[str, Rate]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", MappingProxyType(dict(self.rates)))

    def overridden_by(self, rates: Mapping[str, Rate]) -> Quota:
        """Return this quota with other rates for some operations."""
        return Quota({**self.rates, **rates})


DEFAULT_QUOTA = Quota(
    {
        "CreateParticipantConnection": Rate(6, 9),
        "DisconnectParticipant": Rate(3, 5),
        "GetTranscript": Rate(8, 12),
        "SendMessage": Rate(10, 15),
        "SendEvent": Rate(10, 15),
        "StartAttachmentUpload": Rate(2, 5),
        "CompleteAttachmentUpload": Rate(2, 5),
        "GetAttachment": Rate(8, 12),
    }
)
"""What AWS grants an instance by default, as its documentation of API throttling says. It gives no
rates for the other three operations, so they are not paced; a throttled one is retried later."""


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """One call's place in the queue."""

    operation: str
    priority: Priority


class _Lane:
    """One operation's bucket and queues."""

    __slots__ = ("_due", "_headroom", "_interval", "queues")

    def __init__(self, rate: Rate) -> None:
        self._interval = 1.0 / rate.per_second
        self._headroom = (rate.burst - 1) * self._interval
        self._due = -math.inf
        self.queues = {priority: OrderedDict[Ticket, None]() for priority in Priority}

    @property
    def waiting(self) -> int:
        return sum(map(len, self.queues.values()))

    @property
    def ready_at(self) -> float:
        return self._due - self._headroom

    def take(self, now: float) -> None:
        self._due = max(self._due, now) + self._interval

    def give_back(self) -> None:
        self._due -= self._interval

    def next_ticket(self) -> Ticket | None:
        for queue in self.queues.values():
            if queue:
                return queue.popitem(last=False)[0]
        return None


class Limiter:
    """Decides who may call and when. It holds the queue and never waits.

    Args:
        quota: The rates; None lets every call go at once.
    """

    def __init__(self, quota: Quota | None) -> None:
        rates = quota.rates if quota else {}
        self._lanes = {operation: _Lane(rate) for operation, rate in rates.items()}

    @property
    def waiting(self) -> int:
        """How many calls are queued."""
        return sum(lane.waiting for lane in self._lanes.values())

    def admit(self, operation: str, now: float) -> bool:
        """Return whether a call may go at once, and take its token if so.

        It may not overtake those that wait, whatever its priority: they are there because there
        is no token, and `grant` puts the urgent first.
        """
        lane = self._lanes.get(operation)
        if lane is None:
            return True
        if lane.ready_at > now or lane.waiting:
            return False
        lane.take(now)
        return True

    def enqueue(self, operation: str, priority: Priority) -> Ticket:
        """Queue a call that `admit` refused, and return its place."""
        ticket = Ticket(operation, priority)
        self._lanes[operation].queues[priority][ticket] = None
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """Give up a place, or a turn that was granted and not used; others profit by it."""
        lane = self._lanes[ticket.operation]
        queue = lane.queues[ticket.priority]
        if ticket in queue:
            del queue[ticket]
        else:
            lane.give_back()

    def grant(self, now: float) -> list[Ticket]:
        """Take tokens for the calls whose turn has come; return these, by operation in order."""
        granted = []
        for lane in self._lanes.values():
            while lane.ready_at <= now and (ticket := lane.next_ticket()):
                lane.take(now)
                granted.append(ticket)
        return granted

    def next_grant(self) -> float | None:
        """Return the time at which `grant` will next have something, or None with nobody queued."""
        return min((lane.ready_at for lane in self._lanes.values() if lane.waiting), default=None)
