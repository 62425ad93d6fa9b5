"""How operations travel over HTTP: JSON in, JSON out, and the service's headers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import Any
from uuid import uuid4

from pydantic_core import from_json, to_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from connect_chat.emulator.clock import Clock
from connect_chat.emulator.exchanges import Exchanges
from connect_chat.emulator.faults import Fail
from connect_chat.emulator.model import Operation
from connect_chat.emulator.recording import Whom
from connect_chat.emulator.refusal import STATUS, Refusal

__all__ = ["Call", "Handler", "TooLargeError", "drain_body", "error_answer", "read_body", "routes"]

logger = logging.getLogger("connect_chat.emulator")

_MOST_BODY_BYTES = 1024 * 1024
"""More than the largest valid request, with every character escaped."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request for an operation, within the model's constraints.

    Attributes:
        operation: The operation's name.
        members: Its input.
        token: The bearer token, if there is one.
        base_url: The address at which the client reached the emulator, without a final slash;
            the URLs in the answer begin with it.
    """

    operation: str
    members: Mapping[str, Any]
    token: str | None
    base_url: str


Handler = Callable[[Call], dict[str, Any]]


class TooLargeError(Exception):
    """A request's body is larger than anything valid."""


async def read_body(request: Request, most: int) -> bytes:
    """Return the body of a request.

    Raises:
        TooLargeError: It has more than ``most`` bytes; not all of it was read.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise TooLargeError
    return bytes(body)


async def drain_body(request: Request, most: int) -> None:
    """Read the body of a request and keep nothing of it.

    Raises:
        TooLargeError: It has more than ``most`` bytes; not all of it was read.
    """
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise TooLargeError


def routes(
    operations: Mapping[str, Operation],
    handlers: Mapping[str, Handler],
    *,
    clock: Clock,
    exchanges: Exchanges,
    whose: Callable[[str | None, bytes], Whom],
    invalid: str,
    internal: str,
) -> list[Route]:
    """Return the routes of a service.

    Args:
        operations: Its operations, by name.
        handlers: What each of them does, by name.
        clock: Gives the Date of the answers.
        exchanges: What requests and answers go through.
        whose: Returns whom a request concerns, by its bearer token and its body.
        invalid: The service's name of the error for an input outside the model's constraints.
        internal: Its name of the error for a fault of its own.
    """

    def route(operation: Operation) -> Route:
        handler = handlers[operation.name]

        async def endpoint(request: Request) -> Response:
            try:
                body = await read_body(request, _MOST_BODY_BYTES)
            except TooLargeError:
                body = b"too large"
            except ClientDisconnect:
                return Response()  # nobody is there to get it

            async def work() -> Response:
                try:
                    return _answer(handler(_call(operation, request, body, invalid)), clock=clock)
                except Refusal as refusal:
                    return error_answer(refusal.code, refusal.message, clock=clock)

            try:
                return await exchanges.answer(
                    operation.name,
                    request,
                    work,
                    whom=whose(request.headers.get("x-amz-bearer"), body),
                    body=body,
                    fail=partial(_fail, clock=clock),
                )
            except Exception:
                logger.exception("%s failed in the emulator", operation.name)
                return error_answer(internal, "The emulator has a fault.", clock=clock)

        # A view token may contain slashes, which are not escaped any more when routes are chosen.
        path = operation.path.replace("}", ":path}")
        return Route(path, endpoint, methods=[operation.method], name=operation.name)

    return [route(operation) for operation in operations.values()]


def _call(operation: Operation, request: Request, body: bytes, invalid: str) -> Call:
    try:
        members = from_json(body or b"{}")
    except ValueError:
        raise Refusal(invalid, "The body is not valid JSON, or too large.") from None
    if not isinstance(members, dict):
        raise Refusal(invalid, "The body is not a JSON object.")
    members |= request.path_params
    problem = operation.input.check(members)
    if problem is not None:
        raise Refusal(invalid, problem)
    return Call(
        operation.name,
        members,
        request.headers.get("x-amz-bearer"),
        str(request.base_url).rstrip("/"),
    )


def _answer(
    content: Mapping[str, Any],
    *,
    clock: Clock,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return Response(
        to_json(content),
        status,
        {
            "x-amzn-RequestId": str(uuid4()),
            "Date": formatdate(clock.now(), usegmt=True),
            **(headers or {}),
        },
        media_type="application/json",
    )


def error_answer(
    code: str, message: str, *, clock: Clock, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the answer that stands for an error of the service."""
    return _answer(
        {"Message": message},
        clock=clock,
        status=STATUS[code],
        headers={"x-amzn-ErrorType": f"{code}:", **(headers or {})},
    )


async def _fail(fault: Fail, *, clock: Clock) -> Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if isinstance(fault.error, str):
        message = "This failure was asked for."
        return error_answer(fault.error, message, clock=clock, headers=headers)
    # A gateway in front of the service knows nothing of its headers.
    page = f"<html><body><h1>{fault.error}</h1></body></html>"
    return Response(page, fault.error, headers, media_type="text/html")
