"""One HTTP call: spelled, sent and read."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar

import httpx
from pydantic_core import to_json

from connect_chat.errors import ConfigurationError, MissingExtraError, ServiceUnreachableError
from connect_chat.requests import Request
from connect_chat.shapes import Response
from connect_chat.transport.answers import Failed, read_answer, redact
from connect_chat.transport.exchange import Exchange, Unanswered
from connect_chat.transport.httpx_exchange import HttpxExchange, OwnHttpxExchange
from connect_chat.transport.route import route_to
from connect_chat.transport.tls import why_distrusted

__all__ = ["Http"]

R = TypeVar("R", bound=Response)

# The quotas allow some fifty calls per second, which take a fraction of a second each.
_CONNECTIONS = 20
# What httpx allows by default; a caller's transport may allow more or less.
_CALLERS_CONNECTIONS = 100


class Http:
    """Sends requests to one endpoint.

    Args:
        endpoint: Its URL; a path is put before the operations' paths.
        http: What to send with: a client or transport, which stays the caller's to close; or
            ``"aiohttp"`` or None for connections of our own.
        ssl_context: Called for the TLS settings when they are first needed.
        timeout: Seconds that connecting, sending and each read may take.
        user_agent: The ``User-Agent``.

    Raises:
        ConfigurationError: ``http`` is something else.
        MissingExtraError: It is ``"aiohttp"``, which is not installed.
    """

    def __init__(
        self,
        endpoint: httpx.URL,
        *,
        http: httpx.AsyncClient | httpx.AsyncBaseTransport | Literal["aiohttp"] | None,
        ssl_context: Callable[[], ssl.SSLContext],
        timeout: float,
        user_agent: str,
    ) -> None:
        self._base = str(endpoint).rstrip("/")
        self._headers = (
            ("Host", endpoint.netloc.decode("ascii")),
            ("Accept", "application/json"),
            ("Accept-Encoding", "gzip"),
            ("User-Agent", user_agent),
        )
        find_route = partial(route_to, endpoint, ssl_context)
        self._exchange: Exchange
        if isinstance(http, httpx.AsyncClient | httpx.AsyncBaseTransport):
            self._exchange = HttpxExchange(http, timeout=timeout)
            connections = _CALLERS_CONNECTIONS
        elif http is None:
            self._exchange = OwnHttpxExchange(find_route, timeout=timeout)
            connections = _CONNECTIONS
        elif http == "aiohttp":
            try:
                from connect_chat.transport.aiohttp_exchange import AiohttpExchange
            except ModuleNotFoundError as error:
                raise MissingExtraError('http="aiohttp"', "aiohttp") from error
            self._exchange = AiohttpExchange(find_route, timeout=timeout)
            connections = _CONNECTIONS
        else:
            raise ConfigurationError(
                'http must be "aiohttp" or an AsyncClient or AsyncBaseTransport of httpx'
            )
        # Waiting for a connection is no failure of the service: no timeout bounds it.
        self._free = asyncio.Semaphore(connections)

    async def send(self, request: Request, kind: type[R]) -> R | Failed:
        """Send a request once and return its result, or how it failed."""
        headers = [*self._headers, ("X-Amz-Bearer", request.token)]
        body = b""
        if request.body is not None:
            body = to_json(request.body)
            headers.append(("Content-Type", "application/json"))
            headers.append(("Content-Length", str(len(body))))
        try:
            async with self._free:
                answer = await self._exchange.send(
                    request.operation.method, self._base + request.path, headers, body
                )
        except Unanswered as unanswered:
            return _failed(request, unanswered)
        return read_answer(request, kind, answer)

    async def aclose(self) -> None:
        """Close the connections, if they are ours."""
        await self._exchange.aclose()


def _failed(request: Request, unanswered: Unanswered) -> Failed:
    distrust = why_distrusted(unanswered)
    what = distrust or unanswered.kind
    if unanswered.words and distrust is None:
        what += f": {redact(unanswered.words, request)}"
    error = ServiceUnreachableError(
        what, operation=request.operation.name, retryable=distrust is None
    )
    error.__cause__ = unanswered.__cause__
    # Who is not trusted will not be at the next attempt.
    return Failed(error, unanswered.failure if distrust is None else None)
