"""Who may call now: a rate per operation, and who goes first when there is a queue.

Theory of operation. Each operation has a token bucket, kept as one number, ``due``: the time at
which a full bucket would be reached if every token spent were paid back at the operation's rate
(the "theoretical arrival time" of the generic cell rate algorithm). Taking a token moves ``due``
one interval into the future; a token is there as long as ``due`` is less than a burst ahead.
Nothing has to be refilled, and the time at which the next token is there is known exactly.

Calls that find no token wait. Tokens go to the most urgent priority first; within one priority
the chats take turns, so that one that calls all the time delays another by one call at most;
rotations go by their deadlines instead. Whoever waits in vain, past its deadline, is let go.

What the service grants may be less than what it is said to: others use the same quota, or it was
lowered. A call that is refused for the quota lowers the rate of its operation by a factor, and
the rate recovers evenly with time (additive increase, multiplicative decrease). All calls that
were under way then tell of the same shortage, so that only the first of them counts.

The times passed in may count from anywhere, in seconds, but must not run backwards.
"""

from __future__ import annotations

import math

from connect_chat.engine.queues import ByDeadline, Priority, RoundRobin, Ticket
from connect_chat.engine.quota import Quota, Rate

__all__ = ["Limiter"]

# What is left of a rate after a refusal, and how much of the full rate comes back each second. A
# service that grants half of what it should refuses about one call of a hundred then.
_DECREASE = 0.7
_RECOVERY = 0.01
# However often it is refused, an operation keeps so much of its rate.
_FLOOR = 0.02


class _Lane:
    """One operation's bucket and queues."""

    __slots__ = (
        "_burst",
        "_due",
        "_interval",
        "_share",
        "_throttled_at",
        "deadlines",
        "queues",
        "waiting",
    )

    def __init__(self, rate: Rate, jitter: float) -> None:
        self._interval = 1.0 / rate.per_second
        # How far `due` may lie ahead: a time, so that a lower rate has a smaller burst.
        burst = (rate.burst - 1) * self._interval
        self._burst = burst - min(jitter, burst / 2.0)
        self._due = -math.inf
        self._share = 1.0
        self._throttled_at = -math.inf
        self.queues: dict[Priority, RoundRobin | ByDeadline] = {
            priority: ByDeadline() if priority is Priority.ROTATE else RoundRobin()
            for priority in Priority
        }
        self.deadlines = ByDeadline()
        self.waiting = 0

    @property
    def ready_at(self) -> float:
        return self._due - self._burst

    def share(self, now: float) -> float:
        if self._share == 1.0:
            return 1.0
        return min(1.0, self._share + _RECOVERY * (now - self._throttled_at))

    def take(self, now: float) -> None:
        self._due = max(self._due, now) + self._interval / self.share(now)

    def give_back(self) -> None:
        # Never more than was taken, whatever the rate was then.
        self._due -= self._interval

    def throttled(self, sent_at: float, now: float) -> bool:
        if sent_at <= self._throttled_at:
            return False
        self._share = max(_FLOOR, self.share(now) * _DECREASE)
        self._throttled_at = now
        # The service's bucket is empty: so is ours.
        self._due = max(self._due, now + self._burst + self._interval / self._share)
        return True

    def put(self, ticket: Ticket) -> None:
        self.queues[ticket.priority].put(ticket)
        if ticket.deadline < math.inf:
            self.deadlines.put(ticket)
        self.waiting += 1

    def discard(self, ticket: Ticket) -> bool:
        if not self.queues[ticket.priority].discard(ticket):
            return False
        self.deadlines.discard(ticket)
        self.waiting -= 1
        return True

    def pop(self) -> Ticket:
        ticket = next(queue for queue in self.queues.values() if queue).pop()
        self.deadlines.discard(ticket)
        self.waiting -= 1
        return ticket

    def pop_late(self) -> Ticket:
        ticket = self.deadlines.pop()
        self.queues[ticket.priority].discard(ticket)
        self.waiting -= 1
        return ticket


class Limiter:
    """Decides who may call and when. It holds the queue and never waits.

    Args:
        quota: The rates; None lets every call go at once.
        jitter: By how much the times that calls are under way differ, in seconds. Calls that went
            out in time may arrive closer together, so that much of each burst (half of it at most)
            is held back; what is granted in the long run stays the same.
    """

    def __init__(self, quota: Quota | None, *, jitter: float = 0.0) -> None:
        rates = quota.rates if quota else {}
        self._lanes = {operation: _Lane(rate, jitter) for operation, rate in rates.items()}

    @property
    def waiting(self) -> dict[str, dict[Priority, int]]:
        """How many calls are queued, by operation and priority, where there are any."""
        return {
            operation: {priority: len(queue) for priority, queue in lane.queues.items() if queue}
            for operation, lane in self._lanes.items()
            if lane.waiting
        }

    def share(self, operation: str, now: float) -> float:
        """Return what is left of an operation's rate after refusals: 1 for all of it."""
        lane = self._lanes.get(operation)
        return 1.0 if lane is None else lane.share(now)

    def admit(self, operation: str, now: float) -> bool:
        """Return whether a call may go at once, and take its token if so.

        It may not overtake those that wait, whatever its priority: they are there because there
        is no token, and `grant` puts the urgent first.
        """
        lane = self._lanes.get(operation)
        if lane is None:
            return True
        if lane.waiting or lane.ready_at > now:
            return False
        lane.take(now)
        return True

    def enqueue(self, ticket: Ticket) -> None:
        """Queue a call that `admit` refused."""
        self._lanes[ticket.operation].put(ticket)

    def withdraw(self, ticket: Ticket) -> None:
        """Give up a place, or a turn that was granted and not used; others profit by it."""
        lane = self._lanes[ticket.operation]
        if not lane.discard(ticket):
            lane.give_back()

    def grant(self, now: float) -> list[Ticket]:
        """Take tokens for the calls whose turn has come; return these, by operation in order."""
        granted = []
        for lane in self._lanes.values():
            while lane.waiting and lane.ready_at <= now:
                lane.take(now)
                granted.append(lane.pop())
        return granted

    def expire(self, now: float) -> list[Ticket]:
        """Remove the calls whose deadline has come, and return these."""
        expired = []
        for lane in self._lanes.values():
            while lane.deadlines.earliest <= now:
                expired.append(lane.pop_late())
        return expired

    def next_event(self) -> float | None:
        """Return when `grant` or `expire` will next have something, or None with nobody queued."""
        return min(
            (
                min(lane.ready_at, lane.deadlines.earliest)
                for lane in self._lanes.values()
                if lane.waiting
            ),
            default=None,
        )

    def throttled(self, operation: str, sent_at: float, now: float) -> bool:
        """Slow down, since the service refused for the quota a call that was sent at ``sent_at``.

        Returns:
            Whether it did. Calls that were under way when it last did tell nothing new.
        """
        lane = self._lanes.get(operation)
        return lane is not None and lane.throttled(sent_at, now)
