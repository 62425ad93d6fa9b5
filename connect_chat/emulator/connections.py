"""TCP connections: uvicorn's protocols, quiet, and within reach of what they serve.

Both put themselves into the ASGI scope, as ``scope["state"]["connection"]``, so that a request's
connection can be aborted and a websocket be written to without a task.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, cast

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.server import ServerProtocol

from connect_chat.emulator.contact import Direction

__all__ = ["HTTPConnection", "WebSocketConnection"]

# Uvicorn tells its own loggers every path, and paths carry secrets here.
_quiet = logging.getLogger("connect_chat.emulator.connections")
_quiet.setLevel(logging.WARNING)

_Lanes = tuple[Literal["up", "down"], ...]

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
        self._held: Counter[str] = Counter()
        self._arrived: list[bytes] = []

    def write(self, frame: bytes) -> None:
        """Send an encoded frame, unless the connection is closing."""
        if self.close_code is not None or self.transport.is_closing():
            return
        self.transport.write(frame)
        if self.transport.get_write_buffer_size() > _MOST_UNSENT_BYTES:
            self.transport.abort()

    def shutdown(self) -> None:
        """Close, as the server does; in silence if the other end is closing already."""
        try:
            super().shutdown()
        except InvalidState:
            self.transport.close()

    def close(self, code: int) -> None:
        """Have the gateway begin the closing handshake, after what was written."""
        if self.close_code is None:
            self.close_code = code
            self.queue.put_nowait({"type": "websocket.receive", "text": ""})

    def abort(self) -> None:
        """Drop the TCP connection."""
        self.transport.abort()

    def hold(self, direction: Direction) -> Callable[[], None]:
        """Let nothing through in a direction; return what ends that, when all of it goes through.

        A client that hangs up is noticed all the same.
        """
        held: _Lanes = ("up", "down") if direction == "both" else (direction,)
        self._held.update(held)
        if self._held["down"] and not isinstance(self.transport, _Dam):
            self.transport = cast("asyncio.Transport", _Dam(self.transport))
        return partial(self._release, held)

    def _release(self, held: _Lanes) -> None:
        self._held.subtract(held)
        if not self._held["down"] and isinstance(self.transport, _Dam):
            self.transport = self.transport.open()
        if not self._held["up"]:
            arrived, self._arrived = self._arrived, []
            for data in arrived:
                self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._held["up"]:
            self._arrived.append(data)
        elif not self.disconnected:
            super().data_received(data)


class _Dam:
    """A transport that lets nothing out until it is opened."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._waiting: list[bytes] = []
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._waiting.append(data)

    def close(self) -> None:
        self._closing = True

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + sum(map(len, self._waiting))

    def open(self) -> asyncio.Transport:
        """Let out what has gathered, and return the transport."""
        if not self._transport.is_closing():
            self._transport.writelines(self._waiting)
            if self._closing:
                self._transport.close()
        return self._transport
