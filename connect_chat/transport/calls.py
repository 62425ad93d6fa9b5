"""One call of an operation: its turns, its attempts and the waits between them."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from connect_chat.engine.pacing import Limiter, Priority
from connect_chat.engine.retry import Failure, Retries, RetryBudget
from connect_chat.errors import NotConnectedError, ServiceUnreachableError
from connect_chat.requests import Request
from connect_chat.shapes import Response
from connect_chat.transport.answers import Failed
from connect_chat.transport.http import Http
from connect_chat.transport.pacer import Pacer

__all__ = ["Caller", "ClientStats"]

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
    """

    calls: Mapping[str, int]
    attempts: Mapping[str, int]
    retries: Mapping[str, int]
    throttles: Mapping[str, int]
    waiting: int


class Caller:
    """Makes calls: paces them, repeats them and bounds their time, as the engine says.

    Args:
        http: Sends a request once.
        limiter: Says whose turn it is.
        max_attempts: How many attempts a call has.
    """

    def __init__(self, http: Http, limiter: Limiter, *, max_attempts: int) -> None:
        self._http = http
        self._pacer = Pacer(limiter)
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
        return ClientStats(
            calls=dict(self._calls),
            attempts=dict(self._attempts),
            retries=dict(self._retries),
            throttles=dict(self._throttles),
            waiting=self._pacer.waiting,
        )

    async def call(
        self, request: Request, kind: type[R], priority: Priority, deadline: float | None
    ) -> R:
        """Make a call and return its result.

        Args:
            request: What to ask.
            kind: The type of the result.
            priority: Who goes first when calls have to wait.
            deadline: Seconds that it may take, waits included; None for no bound.

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
        until = math.inf if deadline is None else loop.time() + deadline
        failed: Failed | None = None
        sent = False
        try:
            async with asyncio.timeout_at(None if deadline is None else until) as scope:
                while True:
                    await self._pacer.turn(operation, priority)
                    self._check_open()
                    self._attempts[operation] += 1
                    sent = True
                    answer = await self._http.send(request, kind)
                    if not isinstance(answer, Failed):
                        retries.succeeded()
                        return answer
                    failed = answer
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
        """Count a failed attempt; return the seconds until the next one, or None for none."""
        if failed.failure is None:
            return None
        if failed.failure is Failure.THROTTLED:
            self._throttles[operation] += 1
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


def _overdue(operation: str, deadline: float | None, *, sent: bool) -> ServiceUnreachableError:
    return ServiceUnreachableError(
        f"none within the deadline of {deadline:g} s"
        if sent
        else f"it was not sent, because its turn under the quota did not come within the "
        f"deadline of {deadline:g} s (see quota= and deadline= of ParticipantClient)",
        operation=operation,
    )
