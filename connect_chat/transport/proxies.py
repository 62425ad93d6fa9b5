"""Which proxy the environment asks for."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal
from urllib.request import getproxies, proxy_bypass

import httpx

from connect_chat.errors import ConfigurationError

__all__ = ["is_direct", "is_loopback", "proxy_for", "websocket_proxy"]


def proxy_for(url: httpx.URL) -> httpx.URL | None:
    """Return the proxy that leads to ``url``, or None to go there directly.

    ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` count, as does what the
    operating system has configured, in the way of the standard library. This machine itself is
    never reached through a proxy.

    Raises:
        ConfigurationError: The proxy's URL is malformed.
    """
    if is_loopback(url.host) or proxy_bypass(url.netloc.decode("ascii")):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy:
        return None
    try:
        return httpx.URL(proxy if "://" in proxy else f"http://{proxy}")
    except httpx.InvalidURL:
        raise ConfigurationError(
            f"the URL of the proxy for {url.scheme} is malformed; check {url.scheme.upper()}_PROXY "
            "and ALL_PROXY"
        ) from None


def is_direct(host: str, port: int) -> bool:
    """Return whether a host is reached without a proxy, by whatever rules one would be chosen."""
    if is_loopback(host) or proxy_bypass(f"{host}:{port}"):
        return True
    return not getproxies().keys() - {"no"}


def websocket_proxy(scheme: str) -> str | Literal[True]:
    """Return the proxy for a websocket that is not reached directly, as ``websockets`` takes it.

    That library chooses by itself (True), with variables of its own such as ``WSS_PROXY``, but
    does not know ``ALL_PROXY``.

    Args:
        scheme: ``"ws"`` or ``"wss"``.
    """
    proxies = getproxies()
    chosen_by_it = {"socks", "https", scheme} | ({"http"} if scheme == "ws" else set())
    return True if proxies.keys() & chosen_by_it else proxies.get("all", True)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, which no proxy leads to."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
