"""Pooled HTTP connections, with this library's rules for TLS and proxies."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import httpx

from connect_chat.errors import ConfigurationError
from connect_chat.transport.proxies import proxy_for

__all__ = ["open_pool"]


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
    proxy_url = proxy_for(url)
    if url.scheme == "https" or (proxy_url and proxy_url.scheme == "https"):
        context = ssl_context()
    else:
        # Not going to be used; a context that trusts nobody costs nothing to make.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    proxy = None
    if proxy_url is not None:
        try:
            proxy = httpx.Proxy(
                proxy_url, ssl_context=context if proxy_url.scheme == "https" else None
            )
        except ValueError:
            raise ConfigurationError(
                f"the proxy's scheme, {proxy_url.scheme}, is none of http, https and socks5"
            ) from None
    return httpx.AsyncHTTPTransport(verify=context, limits=limits, proxy=proxy, retries=0)
