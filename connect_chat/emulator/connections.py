"""TCP connections: uvicorn's protocols, quiet, and within reach of what they serve.

Both put themselves into the ASGI scope, as ``scope["state"]["connection"]``, so that a request's
connection can be aborted and a websocket be written to without a task.
"""

from __future__ import annotations

import logging
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.server import ServerProtocol

__all__ = ["HTTPConnection", "WebSocketConnection"]

# Uvicorn tells its own loggers every path, and paths carry secrets here.
_quiet = logging.getLogger("connect_chat.emulator.connections")
_quiet.setLevel(logging.WARNING)

_MOST_UNSENT_BYTES = 16 * 1024 * 1024
"""A client that reads so slowly that this much waits for it is dropped, to bound memory."""


class HTTPConnection(H11Protocol):
    """The server's end of an HTTP connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app_state = {"connection": self}
        self.logger = _quiet
        self.access_log = False


class WebSocketConnection(WebSocketsSansIOProtocol):
    """The server's end of a websocket.

    A frame for a thousand receivers costs a thousand writes of the same bytes.

    Attributes:
        close_code: The code of the closing handshake that the gateway is to begin, if it is.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app_state = {"connection": self}
        self.logger = _quiet
        # As on the real gateway there is no compression; and no log of what goes up and down.
        self.conn = ServerProtocol(max_size=self.config.ws_max_size, logger=_quiet)
        self.close_code: int | None = None

    def write(self, frame: bytes) -> None:
        """Send an encoded frame, unless the connection is closing."""
        if self.close_code is not None or self.transport.is_closing():
            return
        self.transport.write(frame)
        if self.transport.get_write_buffer_size() > _MOST_UNSENT_BYTES:
            self.transport.abort()

    def close(self, code: int) -> None:
        """Have the gateway begin the closing handshake, after what was written."""
        if self.close_code is None:
            self.close_code = code
            self.queue.put_nowait({"type": "websocket.receive", "text": ""})

    def abort(self) -> None:
        """Drop the TCP connection."""
        self.transport.abort()
