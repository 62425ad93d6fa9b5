"""Which proxy the environment asks for."""

from __future__ import annotations

from ipaddress import ip_address
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
        return httpx.URL(_with_scheme(proxy))
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


def websocket_proxy(scheme: str) -> str | None:
    """Return the URL of the proxy for a websocket that is not reached directly, or None.

    As the ``websockets`` library chooses, which has variables of its own such as ``WSS_PROXY``;
    but after those ``ALL_PROXY`` counts, too, and a proxy without a scheme is one for HTTP.

    Args:
        scheme: ``"ws"`` or ``"wss"``.
    """
    proxies = getproxies()
    for name in (scheme, "socks", "https", "http" if scheme == "ws" else "", "all"):
        if proxy := proxies.get(name):
            url = _with_scheme(proxy)
            # The operating system's settings have no scheme of their own for SOCKS.
            return url.replace("http://", "socks5h://", 1) if name == "socks" else url
    return None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, which no proxy leads to."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _with_scheme(proxy: str) -> str:
    """Return a proxy's URL; one that is given without a scheme is one for HTTP."""
    return proxy if "://" in proxy else f"http://{proxy}"
