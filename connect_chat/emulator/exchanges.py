"""Requests and their answers: recorded, and with the faults of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from connect_chat.emulator.faults import Fail, LoseAnswer, SlowAnswer
from connect_chat.emulator.injection import Faults, Injection
from connect_chat.emulator.recording import Records, Whom

__all__ = ["Exchanges"]


class Exchanges:
    """What every request goes through."""

    def __init__(self, faults: Faults, records: Records) -> None:
        self._faults = faults
        self._records = records

    async def answer(
        self,
        operation: str,
        request: Request,
        work: Callable[[], Awaitable[Response]],
        *,
        whom: Whom,
        body: bytes | None = None,
        fail: Callable[[Fail], Awaitable[Response]],
    ) -> Response:
        """Return the answer to a request.

        Args:
            operation: The operation that is asked for.
            request: The request, whose body has been read.
            work: Does what is asked for.
            whom: Who asks.
            body: The request's body, if it is to be recorded.
            fail: Makes the answer that a fault asks for.
        """
        token = request.headers.get("x-amz-bearer")
        self._records.add("request", whom, operation=operation, token=token, body=body)
        slow = self._faults.take(SlowAnswer, whom=whom, of=operation)
        failure = self._faults.take(Fail, LoseAnswer, whom=whom, of=operation)
        match failure and failure.fault:
            case None:
                answer: Response | None = await work()
            case Fail() as fault:
                if fault.after_work:
                    await work()
                answer = await fail(fault)
            case LoseAnswer(after_work=after_work):
                if after_work:
                    await work()
                answer = None
        if slow is not None:
            await _wait(request, slow)
        self._record(operation, whom, answer)
        if answer is None:
            request.scope["state"]["connection"].transport.abort()
            return Response()  # nobody is there to get it
        return answer

    def _record(self, operation: str, whom: Whom, answer: Response | None) -> None:
        status, body = None, None
        if answer is not None:
            status = answer.status_code
            body = bytes(answer.body) if answer.media_type == "application/json" else None
        self._records.add("answer", whom, operation=operation, status=status, body=body)


async def _wait(request: Request, slow: Injection) -> None:
    """Wait as long as a fault says, or until the client has gone."""
    match slow.fault:
        case SlowAnswer(seconds=least, jitter=jitter):
            with suppress(TimeoutError):
                async with asyncio.timeout(least + slow.dice.uniform(0, jitter)):
                    while (await request.receive())["type"] != "http.disconnect":
                        pass
