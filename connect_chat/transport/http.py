"""One HTTP call: spelled, sent, timed out and read."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import httpx
from pydantic_core import to_json

from connect_chat.engine.retry import Failure
from connect_chat.errors import ServiceUnreachableError
from connect_chat.requests import Request
from connect_chat.shapes import Response
from connect_chat.transport.answers import Failed, read_answer, redact
from connect_chat.transport.pool import open_pool
from connect_chat.transport.tls import why_distrusted

__all__ = ["Http"]

R = TypeVar("R", bound=Response)

# The quotas allow some fifty calls per second, which take a fraction of a second each. httpx looks
# at every pooled connection on every request, so a larger pool costs more than it gives.
_CONNECTIONS = 20
# What httpx allows by default; a caller's transport may allow more or less.
_CALLERS_CONNECTIONS = 100
_LIMITS = httpx.Limits(
    max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS, keepalive_expiry=30.0
)

# No connection was had, so nothing was sent.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Http:
    """Sends requests to one endpoint.

    Args:
        endpoint: Its URL; a path is put before the operations' paths.
        http: The caller's client or transport, which stays theirs to close; None for our own.
        ssl_context: Called for the TLS settings when they are first needed.
        timeout: Seconds that connecting, sending, each read and waiting for a free connection
            may take.
        user_agent: The ``User-Agent``.
    """

    def __init__(
        self,
        endpoint: httpx.URL,
        *,
        http: httpx.AsyncClient | httpx.AsyncBaseTransport | None,
        ssl_context: Callable[[], ssl.SSLContext],
        timeout: float,
        user_agent: str,
    ) -> None:
        self._endpoint = endpoint
        self._base = str(endpoint).rstrip("/")
        self._urls: dict[str, httpx.URL] = {}
        self._ssl_context = ssl_context
        self._timeout = timeout
        self._timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        self._headers = (
            (b"Host", endpoint.netloc),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"gzip"),
            (b"User-Agent", user_agent.encode("ascii")),
        )
        self._own: httpx.AsyncHTTPTransport | None = None
        # A pool's own queue is walked on every request, and waiting in it counts as a timeout,
        # although a crowd of requests is no failure of the service. So they wait here.
        self._free = asyncio.Semaphore(_CONNECTIONS if http is None else _CALLERS_CONNECTIONS)
        self._transmit: Callable[[httpx.Request], Awaitable[httpx.Response]]
        if http is None:
            self._transmit = self._open_and_transmit
        elif isinstance(http, httpx.AsyncClient):
            self._transmit = partial(http.send, follow_redirects=False)
        else:
            self._transmit = http.handle_async_request

    async def send(self, request: Request, kind: type[R]) -> R | Failed:
        """Send a request once and return its result, or how it failed."""
        try:
            async with self._free:
                response = await self._transmit(self._spell(request))
                try:
                    body = await response.aread()
                finally:
                    await response.aclose()
        except httpx.RequestError as error:
            return self._unanswered(request, error)
        return read_answer(
            request, kind, status=response.status_code, headers=response.headers, body=body
        )

    async def aclose(self) -> None:
        """Close the connections, if they are ours."""
        own, self._own = self._own, None
        if own is not None:
            await own.aclose()

    def _spell(self, request: Request) -> httpx.Request:
        headers = [*self._headers, (b"X-Amz-Bearer", request.token.encode("ascii"))]
        body = b""
        if request.body is not None:
            body = to_json(request.body)
            headers.append((b"Content-Type", b"application/json"))
            headers.append((b"Content-Length", b"%d" % len(body)))
        # Given a stream, httpx adds no headers of its own.
        return httpx.Request(
            request.operation.method,
            self._url(request),
            headers=headers,
            stream=httpx.ByteStream(body),
            extensions={"timeout": self._timeouts},
        )

    def _url(self, request: Request) -> httpx.URL:
        """Return the URL of a request, parsed once per operation unless it holds a value."""
        if request.path != request.operation.path:
            return httpx.URL(self._base + request.path)
        url = self._urls.get(request.path)
        if url is None:
            url = self._urls[request.path] = httpx.URL(self._base + request.path)
        return url

    async def _open_and_transmit(self, request: httpx.Request) -> httpx.Response:
        self._own = open_pool(self._endpoint, ssl_context=self._ssl_context, limits=_LIMITS)
        self._transmit = self._own.handle_async_request
        return await self._transmit(request)

    def _unanswered(self, request: Request, cause: httpx.RequestError) -> Failed:
        # What a broken protocol's or encoding's error quotes may be of the answer or the request.
        quotes = isinstance(cause, httpx.ProtocolError | httpx.DecodingError)
        distrust = why_distrusted(cause)
        if isinstance(cause, httpx.TimeoutException):
            what = f"{type(cause).__name__} after {self._timeout:g} s"
        elif quotes or not str(cause):
            what = type(cause).__name__
        else:
            what = f"{type(cause).__name__}: {redact(str(cause), request)}"
        error = ServiceUnreachableError(
            distrust or what, operation=request.operation.name, retryable=distrust is None
        )
        if not quotes:
            error.__cause__ = cause
        if distrust is not None:
            return Failed(error, None)
        return Failed(error, Failure.UNSENT if isinstance(cause, _UNSENT) else Failure.LOST)
