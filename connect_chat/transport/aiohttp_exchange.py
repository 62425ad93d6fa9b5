"""Requests through aiohttp, which takes half the CPU time of httpx."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import aiohttp
import httpx
from aiohttp.connector import Connection
from yarl import URL

from connect_chat.engine.retry import Failure
from connect_chat.errors import ConfigurationError
from connect_chat.transport.exchange import Answer, Unanswered
from connect_chat.transport.route import Route

__all__ = ["AiohttpExchange"]

# How long an unused connection is kept, in seconds.
_KEPT_FOR = 30.0

# No connection was had, so nothing was sent.
_UNSENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
)


class _Response(aiohttp.ClientResponse):
    """An answer whose connection is closed at once, if it does not come to its end.

    Aiohttp itself says goodbye first under TLS, and waits half a minute for a path that is silent.
    """

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head."""
        self._transport = connection.transport
        try:
            return await super().start(connection)
        except BaseException:
            self._abort()
            raise

    async def read(self) -> bytes:
        """Read the body."""
        try:
            return await super().read()
        except BaseException:
            # After its end the connection may already be another request's.
            if not self.content.is_eof():
                self._abort()
            raise

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class AiohttpExchange:
    """Sends requests over connections of its own.

    Args:
        find_route: Called at the first request for the way to the server. What it raises, the
            request does.
        timeout: Seconds that connecting and each read may take.
    """

    def __init__(self, find_route: Callable[[], Route], *, timeout: float) -> None:
        self._find_route = find_route
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._more_headers: tuple[tuple[str, str], ...] = ()
        self._tunnel_headers: dict[str, str] | None = None
        self._parse = lru_cache(maxsize=32)(partial(URL, encoded=True))

    async def send(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Answer:
        """See `Exchange`."""
        session = self._session or self._open()
        try:
            response = await session.request(
                method,
                self._parse(url),
                headers=(*headers, *self._more_headers),
                data=body or None,
                allow_redirects=False,
                proxy_headers=self._tunnel_headers,
                middlewares=() if method == "POST" else (self._once,),
            )
            # Read to its end or not, it is closed after that.
            content = await response.read()
        except aiohttp.ClientError as error:
            raise self._unanswered(error) from _cause(error)
        return Answer(response.status, response.headers, content)

    async def aclose(self) -> None:
        """See `Exchange`; it does its work whatever happens to the caller meanwhile."""
        self._closed = True
        session, self._session = self._session, None
        if session is None:
            return
        closing = asyncio.ensure_future(session.close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await asyncio.wait([closing])  # it takes a few turns of the loop, no more
            raise

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise Unanswered("the client is closed", Failure.UNSENT)
        route = self._find_route()
        if route.proxy is not None:
            if route.proxy.url.scheme not in ("http", "https"):
                raise ConfigurationError('with http="aiohttp" a proxy must be http or https')
            self._introduce(route.proxy, tunnel=route.url.scheme == "https")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # how many requests go at once is the caller's business
                keepalive_timeout=_KEPT_FOR,
                ssl=route.ssl_context or True,
            ),
            response_class=_Response,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=None if route.proxy is None else str(route.proxy.url),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=self._timeout, sock_read=self._timeout
            ),
        )
        return self._session

    def _introduce(self, proxy: httpx.Proxy, *, tunnel: bool) -> None:
        """Have a proxy told who we are, by what it is sent: requests, or one for a tunnel."""
        if proxy.raw_auth is None:
            return
        credentials = b64encode(b":".join(proxy.raw_auth)).decode("ascii")
        header = ("Proxy-Authorization", f"Basic {credentials}")
        if tunnel:
            self._tunnel_headers = dict([header])
        else:
            self._more_headers = (header,)

    async def _once(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send a GET once: aiohttp would repeat it, unlike a POST, after an error of its own."""
        try:
            return await handler(request)
        except aiohttp.ClientError as error:
            raise self._unanswered(error) from _cause(error)

    def _unanswered(self, error: aiohttp.ClientError) -> Unanswered:
        kind = type(error).__name__
        failure = Failure.UNSENT if isinstance(error, _UNSENT) else Failure.LOST
        if isinstance(error, aiohttp.ServerTimeoutError):
            return Unanswered(f"{kind} after {self._timeout:g} s", failure)
        cause = _cause(error)
        return Unanswered(kind, failure, words="" if cause is None else str(cause))


def _cause(error: aiohttp.ClientError) -> OSError | None:
    """Return what the system or TLS said, if that was it.

    The errors of aiohttp itself hold URLs, headers and what is not HTTP in an answer.
    """
    cause = error.__cause__
    if isinstance(cause, OSError) and not isinstance(cause, aiohttp.ClientError):
        return cause
    return None
