"""Connections to one server, for small calls that come often.

Httpcore's pool looks at every connection several times in each request. This one takes the
connection that was used last, which costs the same however many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec

import httpcore
import httpx

from connect_chat.errors import ConfigurationError
from connect_chat.transport.network import Network
from connect_chat.transport.route import Route

__all__ = ["CallTransport"]

# How long an unused connection is kept, in seconds.
_KEPT_FOR = 30.0


class CallTransport(httpx.AsyncHTTPTransport):
    """Httpx's transport, over connections of ours.

    Whoever sends a request waits for nobody else: how many go at once is the caller's business.
    Whole answers are read at once. What is cancelled leaves no connection behind.

    Args:
        find_route: Called when the first connection is made, for the way to the server. What it
            raises, the request does.
    """

    def __init__(self, find_route: Callable[[], Route]) -> None:
        # In place of the pool that httpx's own method makes, and that is all it does.
        self._pool = _Connections(find_route)


@dataclass(frozen=True, slots=True, eq=False)
class _Connection:
    http: httpcore.AsyncConnectionInterface
    network: Network


class _Connections(httpcore.AsyncConnectionPool):
    """What httpx takes for a pool of httpcore's."""

    def __init__(self, find_route: Callable[[], Route]) -> None:
        super().__init__()
        self._find_route = find_route
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._closed = False

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request and return its answer, read to its end."""
        connection = self._take() or self._make(request.url.origin)
        self._busy.add(connection)
        try:
            response = await connection.http.handle_async_request(request)
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        finally:
            self._give_back(connection)
        return httpcore.Response(
            response.status,
            headers=response.headers,
            content=content,
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections, at once."""
        self._closed = True
        for connection in (*self._idle, *self._busy):
            connection.network.close()
        self._idle.clear()

    def _take(self) -> _Connection | None:
        """Return the connection that was used last, if it is still open."""
        idle = self._idle
        while idle and idle[0].http.has_expired():  # the one that has not been used for longest
            idle.pop(0).network.close()
        while idle:
            connection = idle.pop()
            if not connection.http.has_expired():
                return connection
            connection.network.close()
        return None

    def _give_back(self, connection: _Connection) -> None:
        self._busy.discard(connection)
        if connection.http.is_available():
            self._idle.append(connection)
        else:
            connection.network.close()

    def _make(self, origin: httpcore.Origin) -> _Connection:
        if self._closed:
            raise httpcore.ConnectError("the client is closed")
        network = Network()
        return _Connection(_pool(self._route, network).create_connection(origin), network)

    @cached_property
    def _route(self) -> Route:
        return self._find_route()


def _pool(route: Route, network: Network) -> httpcore.AsyncConnectionPool:
    """Return a pool of httpcore's: each kind knows how to make connections for a kind of proxy."""
    proxy, tls = route.proxy, route.ssl_context
    if proxy is None:
        return httpcore.AsyncConnectionPool(
            ssl_context=tls, keepalive_expiry=_KEPT_FOR, network_backend=network
        )
    url = httpcore.URL(
        scheme=proxy.url.raw_scheme,
        host=proxy.url.raw_host,
        port=proxy.url.port,
        target=proxy.url.raw_path,
    )
    if not proxy.url.scheme.startswith("socks"):
        return httpcore.AsyncHTTPProxy(
            url,
            proxy.raw_auth,
            proxy.headers.raw,
            proxy_ssl_context=proxy.ssl_context,
            ssl_context=tls,
            keepalive_expiry=_KEPT_FOR,
            network_backend=network,
        )
    if find_spec("socksio") is None:
        raise ConfigurationError('a SOCKS proxy needs a package: run  pip install "httpx[socks]"')
    return httpcore.AsyncSOCKSProxy(
        url, proxy.raw_auth, ssl_context=tls, keepalive_expiry=_KEPT_FOR, network_backend=network
    )
