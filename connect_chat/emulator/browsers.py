"""What a web page may do that somebody on this machine has open: nothing, unless it is allowed to.

A browser lets any page send requests to this machine, and open websockets. It says which page it
is for, in ``Origin``; other clients say nothing. A page can also have its own name resolve to this
machine (DNS rebinding), after which some of its requests carry no Origin; the name is then in
``Host``.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from pydantic_core import to_json
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from connect_chat.errors import ConfigurationError

__all__ = ["BrowserGuard", "check_origins", "is_loopback"]

logger = logging.getLogger("connect_chat.emulator")

_ADDRESS = re.compile(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*")

_EXPOSED = ("x-amzn-RequestId", "x-amzn-ErrorType", "Date", "Content-Disposition")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address, given as such or as a name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_origins(origins: Iterable[str]) -> frozenset[str]:
    """Return origins, once each.

    Raises:
        ConfigurationError: One is not a scheme, a host and maybe a port.
    """
    checked = frozenset([origins] if isinstance(origins, str) else origins)
    for origin in checked:
        parts = urlsplit(origin)
        if not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            raise ConfigurationError(
                f"an allowed origin looks like http://localhost:3000; got {origin!r}"
            )
    return checked


class BrowserGuard:
    """Refuses what comes from pages that are not allowed, and tells browsers of those that are.

    Args:
        app: What is guarded.
        allow_origins: The pages that are allowed, for example ``http://localhost:3000``.
        names_this_machine: Whether requests may only name this machine by address or as
            ``localhost``, which is so if nobody else is to reach it.
    """

    def __init__(
        self, app: ASGIApp, *, allow_origins: frozenset[str], names_this_machine: bool
    ) -> None:
        self._allowed = allow_origins
        self._names_this_machine = names_this_machine
        self._app = app
        # It answers preflights and adds headers, but it refuses nothing.
        self._shared = CORSMiddleware(
            app,
            allow_origins=self._allowed,
            allow_methods=("GET", "POST", "PUT", "DELETE"),
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=_EXPOSED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a websocket, or refuse it."""
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and origin not in self._allowed:
            logger.warning("A page of another origin was refused; allow_origins lets pages in.")
            await _refuse(scope, receive, send, "This Origin is not allowed.")
        elif self._names_this_machine and not _names_this_machine(headers.get("host", "")):
            await _refuse(scope, receive, send, "This Host is not this machine.")
        else:
            await (self._app if origin is None else self._shared)(scope, receive, send)


def _names_this_machine(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or "localhost"
    except ValueError:
        return False
    # Any address will do: rebinding takes a name.
    return is_loopback(name) or bool(_ADDRESS.fullmatch(name))


async def _refuse(scope: Scope, receive: Receive, send: Send, message: str) -> None:
    body = to_json({"Message": message})
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        start = {"type": "websocket.http.response.start", "status": 403, "headers": []}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": body})
        return
    answer = Response(
        body,
        403,
        {"x-amzn-ErrorType": "AccessDeniedException:"},
        media_type="application/json",
    )
    await answer(scope, receive, send)
