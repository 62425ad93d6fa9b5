"""The port: uvicorn's protocols on the running event loop, without uvicorn's server.

That one polls, installs signal handlers, and takes 0.2 s and more to stop; a test suite starts and
stops an emulator per test.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from connect_chat.emulator.browsers import is_loopback
from connect_chat.emulator.connections import HTTPConnection, WebSocketConnection

__all__ = ["Listener"]

logger = logging.getLogger("connect_chat.emulator")

_BACKLOG = 2048

_MOST_FRAME_BYTES = 128 * 1024
"""What API Gateway, which the real websockets end at, takes in one message."""


class _HangUp(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


class Listener:
    """An open port and the connections to it.

    Args:
        app: What serves them.
        host: The address to listen at.
        port: The port, or 0 for a free one.
        ssl_certfile: A certificate chain in PEM, for https and wss.
        ssl_keyfile: Its key, if it isn't in the same file.
        max_connections: Open connections; more are hung up on.

    Attributes:
        url: Where it is reached, once it is open.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        port: int,
        ssl_certfile: str | os.PathLike[str] | None,
        ssl_keyfile: str | os.PathLike[str] | None,
        max_connections: int,
    ) -> None:
        self._host = host
        self._port = port
        self._max_connections = max_connections
        self._config = uvicorn.Config(
            app,
            http=HTTPConnection,
            ws=WebSocketConnection,
            ws_max_size=_MOST_FRAME_BYTES,
            ws_ping_interval=None,  # the real gateway sends no pings of the protocol's own
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            timeout_keep_alive=60,
            ssl_certfile=ssl_certfile,
            ssl_keyfile=ssl_keyfile,
        )
        self._state = ServerState()
        self._accepting: set[asyncio.Task[object]] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def open(self) -> None:
        """Open the port; warn if others than this machine reach it.

        Raises:
            OSError: It cannot listen there, or cannot read the certificate.
        """
        self._config.load()
        # Asyncio opens the socket, since one that is made by hand has no TCP_NODELAY on what it
        # accepts, and the second frame of a pair waits for 40 ms.
        self._server = await asyncio.get_running_loop().create_server(
            self._accept, self._host, self._port, ssl=self._config.ssl, backlog=_BACKLOG
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = _url("https" if self._config.is_ssl else "http", self._host, port)
        if not is_loopback(self._host):
            logger.warning(
                "The emulator listens on %s: anybody who reaches this machine can use it, "
                "and nothing is checked. Use 127.0.0.1 unless you mean that.",
                self._host,
            )

    def _accept(self) -> asyncio.Protocol:
        if len(self._state.connections) >= self._max_connections:
            return _HangUp()
        task = asyncio.current_task()
        if task is not None:  # asyncio accepts in a task, which waits for the TLS handshake
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)
        return HTTPConnection(config=self._config, server_state=self._state, app_state={})

    async def close(self) -> None:
        """Close the port and every connection, politely where that takes no waiting."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        await asyncio.sleep(0)  # what was just accepted shows up
        for task in self._accepting:
            task.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()
        await asyncio.sleep(0)
        # Aborted connections are gone, and their timers with them, some turns of the loop later;
        # what is still being served then finds nobody to answer, and ends by itself. None of
        # these sets tells anybody when it changes.
        while self._state.connections or self._state.tasks or self._accepting:
            for connection in list(self._state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)


def _url(scheme: str, host: str, port: int) -> str:
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
        host = "::1" if host == "::" else "127.0.0.1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
