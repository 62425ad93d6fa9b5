"""One call of an operation: its turns, its attempts and the waits between them."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

from connect_chat.engine.queues import Priority
from connect_chat.engine.retry import Failure, Retries, RetryBudget
from connect_chat.errors import NotConnectedError, ServiceUnreachableError
from connect_chat.requests import Request
from connect_chat.shapes import Response
from connect_chat.transport.answers import Failed
from connect_chat.transport.http import Http
from connect_chat.transport.pacer import Pacer, RateLimiter

__all__ = ["Bounds", "Caller", "ClientStats"]

R = TypeVar("R", bound=Response)

logger = logging.getLogger("connect_chat.client")


@dataclass(frozen=True, slots=True)
class ClientStats:
    """What a client has done so far. The mappings are by the service's names of operations.

    Attributes:
        calls: Calls begun.
        attempts: Requests sent for them.
        retries: Attempts after the first.
        throttles: Attempts that the service refused for the instance's quota.
        waiting: Calls that are waiting for their turn under the quota now.
        queues: These, by operation and priority.
    """

    calls: Mapping[str, int]
    attempts: Mapping[str, int]
    retries: Mapping[str, int]
    throttles: Mapping[str, int]
    waiting: int
    queues: Mapping[str, Mapping[Priority, int]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a call may take, and who hears of its waits.

    Attributes:
        deadline: Seconds that it may take, waits included; None for no bound.
        turn_by: When its turn under the quota is of no use any more, by the event loop's clock;
            None if it always is.
        on_wait: Called with True when it begins to wait for its turn, and with False when it no
            longer does; None for nobody.
    """

    deadline: float | None = None
    turn_by: float | None = None
    on_wait: Callable[[bool], None] | None = None


class Caller:
    """Makes calls: paces them, repeats them and bounds their time, as the engine says.

    Args:
        http: Sends a request once.
        limiter: Says whose turn it is.
        max_attempts: How many attempts a call has.
    """

    def __init__(self, http: Http, limiter: RateLimiter, *, max_attempts: int) -> None:
        self._http = http
        self._limiter = limiter
        # Our own limiter is asked first whether there is anything to wait for: mostly not.
        self._admit = limiter.admit if isinstance(limiter, Pacer) else _never
        self._budget = RetryBudget()
        self._max_attempts = max_attempts
        self._closed = False
        self._calls: Counter[str] = Counter()
        self._attempts: Counter[str] = Counter()
        self._retries: Counter[str] = Counter()
        self._throttles: Counter[str] = Counter()

    @property
    def stats(self) -> ClientStats:
        """What has been done so far."""
        queues = self._limiter.waiting
        return ClientStats(
            calls=dict(self._calls),
            attempts=dict(self._attempts),
            retries=dict(self._retries),
            throttles=dict(self._throttles),
            waiting=sum(sum(queue.values()) for queue in queues.values()),
            queues=queues,
        )

    async def call(self, request: Request, kind: type[R], priority: Priority, bounds: Bounds) -> R:
        """Make a call and return its result.

        Args:
            request: What to ask.
            kind: The type of the result.
            priority: Who goes first when calls have to wait.
            bounds: How long it may take.

        Raises:
            ServiceError: The service refused it.
            ServiceUnreachableError: There was no usable answer in time.
            NotConnectedError: The client is closed.
        """
        self._check_open()
        operation = request.operation.name
        self._calls[operation] += 1
        retries = Retries(
            self._budget, max_attempts=self._max_attempts, repeatable=request.repeatable
        )
        loop = asyncio.get_running_loop()
        deadline = bounds.deadline
        until = math.inf if deadline is None else loop.time() + deadline
        failed: Failed | None = None
        sent = False
        try:
            async with asyncio.timeout_at(None if deadline is None else until) as scope:
                while True:
                    if not (
                        self._admit(operation) or await self._turn(request, priority, bounds, until)
                    ):
                        break
                    self._check_open()
                    self._attempts[operation] += 1
                    sent = True
                    sent_at = loop.time()
                    answer = await self._http.send(request, kind)
                    if not isinstance(answer, Failed):
                        retries.succeeded()
                        return answer
                    failed = answer
                    if failed.failure is Failure.THROTTLED:
                        self._throttles[operation] += 1
                        self._limiter.throttled(operation, sent_at)
                    delay = self._delay(operation, failed, retries, until - loop.time())
                    if delay is None:
                        break
                    await asyncio.sleep(delay)
        except TimeoutError:
            if not scope.expired():
                raise
        if failed is not None:
            raise failed.error
        raise _overdue(operation, deadline, sent=sent)

    async def _turn(
        self, request: Request, priority: Priority, bounds: Bounds, until: float
    ) -> bool:
        """Wait for the call's turn; return whether it came while it was of use."""
        turn_by = until if bounds.turn_by is None else min(until, bounds.turn_by)
        if bounds.on_wait is not None:
            bounds.on_wait(True)
        try:
            await self._limiter.turn(
                request.operation.name,
                priority=priority,
                # A connection token, hence the key, changes with every rotation: no harm.
                key=blake2b(request.token.encode(), digest_size=8).hexdigest(),
                deadline=None if turn_by == math.inf else turn_by,
            )
        except TimeoutError:
            return False
        finally:
            if bounds.on_wait is not None:
                bounds.on_wait(False)
        return True

    async def aclose(self) -> None:
        """Let no more calls go, and close the connections."""
        self._closed = True
        await self._http.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise NotConnectedError("this ParticipantClient is closed; make a new one")

    def _delay(
        self, operation: str, failed: Failed, retries: Retries, remaining: float
    ) -> float | None:
        """Return the seconds until the next attempt after a failed one, or None for none."""
        if failed.failure is None:
            return None
        delay = retries.again_after(
            failed.failure,
            retry_after=failed.retry_after,
            remaining=remaining,
            chance=random.random(),  # noqa: S311 - jitter, not a secret
        )
        if delay is not None:
            self._retries[operation] += 1
            logger.debug(
                "%s failed (%s); attempt %d in %.2f s",
                operation,
                failed.failure.name,
                retries.attempts,
                delay,
            )
        return delay


def _never(operation: str) -> bool:
    return False


def _overdue(operation: str, deadline: float | None, *, sent: bool) -> ServiceUnreachableError:
    if sent:
        why = f"none within the deadline of {deadline:g} s"
    elif deadline is None:
        why = "it was not sent, because its turn under the quota did not come while it was of use"
    else:
        why = (
            "it was not sent, because its turn under the quota did not come within the deadline "
            f"of {deadline:g} s (see quota= and deadline= of ParticipantClient)"
        )
    return ServiceUnreachableError(why, operation=operation)
