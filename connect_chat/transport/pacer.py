"""Waiting for a turn under the quota."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Protocol

from connect_chat.engine.pacing import Limiter
from connect_chat.engine.queues import Priority, Ticket
from connect_chat.engine.quota import Quota

__all__ = ["Pacer", "RateLimiter"]

# Calls that went out in time may come in closer together by so much, in seconds: some have to
# open a connection first, and networks vary. They still meet the quota then.
_JITTER = 0.25

logger = logging.getLogger("connect_chat.client")


class RateLimiter(Protocol):
    """Says when calls may be sent: what `ParticipantClient` takes as ``limiter``.

    By default a client has one of its own, which suits a process that has the instance's quota
    for itself. Where several machines share an instance, one that keeps its tokens in a place
    common to them (a Redis script, for example) divides the quota better than fixed portions.
    """

    @property
    def waiting(self) -> Mapping[str, Mapping[Priority, int]]:
        """How many calls of this process wait, by operation and priority. For `ClientStats`."""

    async def turn(
        self, operation: str, *, priority: Priority, key: str, deadline: float | None
    ) -> None:
        """Return when an attempt of a call may be sent. It counts as sent then.

        Cancelled, nothing was sent: the turn belongs to somebody else.

        Args:
            operation: The service's name of the operation.
            priority: Who goes first.
            key: Stands for the chat, or for its present connection; the same on every machine,
                and no secret. Calls of one priority should be served fairly between keys.
            deadline: When the turn is of no use any more, by the event loop's clock; None if it
                always is. In `Priority.ROTATE` the earliest deadline should go first.

        Raises:
            TimeoutError: The deadline came first.
        """

    def throttled(self, operation: str, sent_at: float) -> None:
        """Hear that the service refused an attempt for the quota.

        Args:
            operation: The service's name of the operation.
            sent_at: When the attempt was sent, by the event loop's clock: refusals of attempts
                that were under way together tell of one and the same shortage.
        """


class Pacer:
    """The `RateLimiter` of one process. One timer serves all that wait.

    Args:
        quota: The rates; None lets every call go at once.
    """

    def __init__(self, quota: Quota | None) -> None:
        self._limiter = Limiter(quota, jitter=_JITTER)
        self._turns: dict[Ticket, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> Mapping[str, Mapping[Priority, int]]:
        """See `RateLimiter`."""
        return self._limiter.waiting

    def admit(self, operation: str) -> bool:
        """Return whether a call may go at once, as if it had waited for its `turn`."""
        return self._limiter.admit(operation, asyncio.get_running_loop().time())

    async def turn(
        self, operation: str, *, priority: Priority, key: str, deadline: float | None
    ) -> None:
        """See `RateLimiter`. At once, without a trip to the loop, if the call may go now."""
        if self.admit(operation):
            return
        loop = asyncio.get_running_loop()
        ticket = Ticket(operation, priority, key, math.inf if deadline is None else deadline)
        self._limiter.enqueue(ticket)
        self._turns[ticket] = turn = loop.create_future()
        self._set_timer(loop)
        try:
            await turn
        except asyncio.CancelledError:
            if self._turns.pop(ticket, None) is not None:
                self._limiter.withdraw(ticket)
                self._set_timer(loop)
            raise
        self._turns.pop(ticket, None)

    def throttled(self, operation: str, sent_at: float) -> None:
        """See `RateLimiter`."""
        loop = asyncio.get_running_loop()
        if self._limiter.throttled(operation, sent_at, loop.time()):
            share = self._limiter.share(operation, loop.time())
            logger.warning(
                "%s is throttled by the service: slowing down to %d %% of its rate for a while",
                operation,
                round(100 * share),
            )
            self._set_timer(loop)

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        due = self._limiter.next_event()
        if self._timer is not None:
            if self._timer.when() == due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = loop.call_at(due, self._wake, loop, due)

    def _wake(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._timer = None
        # A loop's timer may fire a clock tick early; what is due at ``due`` is due now.
        now = max(due, loop.time())
        for ticket in self._limiter.expire(now):
            turn = self._turns.pop(ticket)
            if not turn.done():
                turn.set_exception(TimeoutError())
        for ticket in self._limiter.grant(now):
            turn = self._turns[ticket]
            # A turn of a call that is being cancelled at this moment: it gives it back itself.
            if not turn.done():
                turn.set_result(None)
        self._set_timer(loop)
