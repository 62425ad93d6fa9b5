"""How to get to a server: directly or through a proxy, and with which TLS settings."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from connect_chat.errors import ConfigurationError
from connect_chat.transport.proxies import proxy_for

__all__ = ["Route", "route_to"]


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a server.

    Attributes:
        url: Where it leads; its host and scheme count.
        proxy: Through which proxy; None for none.
        ssl_context: The TLS settings, those for the proxy, too; None if TLS is not used.
    """

    url: httpx.URL
    proxy: httpx.Proxy | None
    ssl_context: ssl.SSLContext | None


def route_to(url: httpx.URL, ssl_context: Callable[[], ssl.SSLContext]) -> Route:
    """Return the way that the environment asks for.

    Args:
        url: Where to; its host and scheme count.
        ssl_context: Called for the TLS settings if they are needed.

    Raises:
        ConfigurationError: The environment's proxy is malformed or of an unknown kind.
    """
    proxy_url = proxy_for(url)
    through_tls = proxy_url is not None and proxy_url.scheme == "https"
    context = ssl_context() if url.scheme == "https" or through_tls else None
    if proxy_url is None:
        return Route(url, None, context)
    try:
        proxy = httpx.Proxy(proxy_url, ssl_context=context if through_tls else None)
    except ValueError:
        raise ConfigurationError(
            f"the proxy's scheme, {proxy_url.scheme}, is none of http, https and socks5"
        ) from None
    return Route(url, proxy, context)
