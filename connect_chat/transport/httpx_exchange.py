"""Requests through httpx: a client or transport of the caller's, or connections of our own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial

import httpx

from connect_chat.engine.retry import Failure
from connect_chat.transport.connections import CallTransport
from connect_chat.transport.exchange import Answer, Unanswered
from connect_chat.transport.route import Route

__all__ = ["HttpxExchange", "OwnHttpxExchange"]

# No connection was had, so nothing was sent.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# What these quote may be of the answer or the request.
_QUOTING = (httpx.ProtocolError, httpx.DecodingError)


class HttpxExchange:
    """Sends requests with a client or transport, which stays the caller's to close.

    Args:
        http: The client or transport.
        timeout: Seconds that connecting, sending, each read and waiting for a free connection
            may take.
    """

    def __init__(
        self, http: httpx.AsyncClient | httpx.AsyncBaseTransport, *, timeout: float
    ) -> None:
        self._transmit: Callable[[httpx.Request], Awaitable[httpx.Response]] = (
            partial(http.send, follow_redirects=False)
            if isinstance(http, httpx.AsyncClient)
            else http.handle_async_request
        )
        self._timeout = timeout
        self._timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        self._parse = lru_cache(maxsize=32)(httpx.URL)

    async def send(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Answer:
        """See `Exchange`."""
        # Given a stream, httpx adds no headers of its own.
        request = httpx.Request(
            method,
            self._parse(url),
            headers=headers,
            stream=httpx.ByteStream(body),
            extensions={"timeout": self._timeouts},
        )
        try:
            response = await self._transmit(request)
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        except _QUOTING as error:
            raise self._unanswered(error) from None
        except httpx.RequestError as error:
            raise self._unanswered(error, str(error)) from error
        return Answer(response.status_code, response.headers, content)

    async def aclose(self) -> None:
        """Do nothing: they are the caller's."""

    def _unanswered(self, error: httpx.RequestError, words: str = "") -> Unanswered:
        kind = type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            kind, words = f"{kind} after {self._timeout:g} s", ""
        failure = Failure.UNSENT if isinstance(error, _UNSENT) else Failure.LOST
        return Unanswered(kind, failure, words=words)


class OwnHttpxExchange(HttpxExchange):
    """Sends requests over connections of its own.

    Args:
        find_route: See `CallTransport`.
        timeout: As above.
    """

    def __init__(self, find_route: Callable[[], Route], *, timeout: float) -> None:
        self._transport = CallTransport(find_route)
        super().__init__(self._transport, timeout=timeout)

    async def aclose(self) -> None:
        """See `Exchange`."""
        await self._transport.aclose()
