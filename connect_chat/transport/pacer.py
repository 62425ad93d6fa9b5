"""Waiting for a turn under the quota."""

from __future__ import annotations

import asyncio

from connect_chat.engine.pacing import Limiter, Priority, Ticket

__all__ = ["Pacer"]


class Pacer:
    """Lets calls go when a `Limiter` says so. One timer serves all that wait.

    Args:
        limiter: Who decides.
    """

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._turns: dict[Ticket, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many calls are waiting."""
        return self._limiter.waiting

    async def turn(self, operation: str, priority: Priority) -> None:
        """Return when the call may go; at once, without a trip to the loop, if it may now.

        Cancelled, it leaves the queue at once, and what it would have used goes to the next.
        """
        loop = asyncio.get_running_loop()
        if self._limiter.admit(operation, loop.time()):
            return
        ticket = self._limiter.enqueue(operation, priority)
        self._turns[ticket] = turn = loop.create_future()
        self._set_timer(loop)
        try:
            await turn
        except asyncio.CancelledError:
            self._limiter.withdraw(ticket)
            self._set_timer(loop)
            raise
        finally:
            del self._turns[ticket]

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        due = self._limiter.next_grant()
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
        for ticket in self._limiter.grant(max(due, loop.time())):
            turn = self._turns[ticket]
            # A turn of a call that is being cancelled at this moment: it gives it back itself.
            if not turn.done():
                turn.set_result(None)
        self._set_timer(loop)
