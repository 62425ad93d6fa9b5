"""Pooled HTTP connections, with this library's rules for TLS and proxies."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from connect_chat.transport.route import route_to

__all__ = ["open_pool"]


class _Pool(httpx.AsyncHTTPTransport):
    """Connections of which no cancellation leaves any behind.

    Httpcore forgets a connection if it is cancelled in its TLS handshake, and those that it has
    not come to yet if it is cancelled while it closes them all. A forgotten connection stays open
    until its other end closes it.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, over a connection that is opened for it if need be."""
        if request.url.scheme != "https":
            return await super().handle_async_request(request)
        handshake = request.extensions["trace"] = _Handshake()
        try:
            return await super().handle_async_request(request)
        except asyncio.CancelledError:
            await handshake.abandon()
            raise

    async def aclose(self) -> None:
        """Close every connection, whatever happens to the caller meanwhile."""
        closing = asyncio.ensure_future(super().aclose())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await asyncio.wait([closing])  # it takes a few turns of the loop, no more
            raise


class _Handshake:
    """Remembers a connection from when it is open until TLS has begun on it.

    Called by httpcore with the steps of a request.
    """

    def __init__(self) -> None:
        self._stream: Any = None

    async def __call__(self, step: str, info: Mapping[str, Any]) -> None:
        if step.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]
        elif step.endswith("start_tls.complete"):
            self._stream = None

    async def abandon(self) -> None:
        """Close the connection, if it was left in between."""
        if self._stream is not None:
            await self._stream.aclose()


def open_pool(
    url: httpx.URL, *, ssl_context: Callable[[], ssl.SSLContext], limits: httpx.Limits
) -> httpx.AsyncHTTPTransport:
    """Return connections that lead to ``url``, through the proxy that the environment asks for.

    A bare transport rather than an ``httpx.AsyncClient``, whose redirects, cookies, default
    headers and events there is no use for: they cost more than the rest of a call.

    Args:
        url: Where requests will go; its host and scheme count.
        ssl_context: Called for the TLS settings if they are needed.
        limits: How many connections there may be, and how long idle ones are kept.

    Raises:
        ConfigurationError: The environment's proxy is malformed or of an unknown kind.
    """
    route = route_to(url, ssl_context)
    # Where TLS is not going to be used, a context that trusts nobody costs nothing to make.
    context = route.ssl_context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _Pool(verify=context, limits=limits, proxy=route.proxy, retries=0)
