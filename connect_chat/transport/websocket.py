"""One websocket: opens, hands over texts as they arrive, sends, closes. Decides nothing.

Built on the connection of the ``websockets`` library, whose handshake, proxies and framing are
used as they are. Its queue is not: a frame is handed over in the call in which its bytes arrive,
without a task, a future or a switch in between.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from connect_chat.transport.proxies import is_loopback
from connect_chat.transport.tls import why_distrusted

__all__ = ["OpenFailed", "Socket", "open_socket"]

_CLOSE_TIMEOUT = 1.0
# Compression would cost each connection more memory than all the rest of a chat.
_COMPRESSION = None
# At DEBUG the library logs the URL and every frame, which are secrets here.
_logger = logging.getLogger("connect_chat.websocket")
_logger.setLevel(logging.INFO)


class OpenFailed(Exception):
    """A websocket did not open.

    Attributes:
        reason: Why, without the URL.
        spent: Whether the URL cannot be tried again, because the service refused it.
        distrusted: Whether that is because the server's certificate is not trusted.
    """

    def __init__(self, reason: str, *, spent: bool, distrusted: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.spent = spent
        self.distrusted = distrusted


class Socket(ClientConnection):
    """An open websocket. Made by `open_socket`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_text: Callable[[str], None] | None = None
        self._on_close: Callable[[int | None], None] | None = None
        self._early: list[str] = []
        self._pieces: list[bytes] = []
        self._abort: asyncio.TimerHandle | None = None

    def attach(
        self, on_text: Callable[[str], None], on_close: Callable[[int | None], None]
    ) -> None:
        """Have texts and the close code (None without one) handed over from now on."""
        self._on_text, self._on_close = on_text, on_close
        early, self._early = self._early, []
        for text in early:
            on_text(text)
        if self.connection_lost_waiter.done():
            self._report_closed()

    def send_text(self, text: str) -> None:
        """Send a text; on a socket that is closing, do nothing, since its end is reported."""
        try:
            self.protocol.send_text(text.encode())
            self.send_data()
        except (WebSocketException, OSError):
            self.transport.abort()

    def start_closing(self) -> None:
        """Say goodbye, and cut the connection if that is not answered soon."""
        self._on_text = self._on_close = None
        if self._abort is not None or self.connection_lost_waiter.done():
            return
        self._abort = self.loop.call_later(_CLOSE_TIMEOUT, self.transport.abort)
        try:
            self.protocol.send_close(1000)
            self.send_data()
        except (WebSocketException, OSError):
            self.transport.abort()

    def abort(self) -> None:
        """Cut the connection."""
        self.transport.abort()

    # What the library calls.

    def process_event(self, event: Event) -> None:
        """Take a frame."""
        if not isinstance(event, Frame):
            super().process_event(event)
        elif event.opcode is Opcode.TEXT or event.opcode is Opcode.CONT:
            self._pieces.append(bytes(event.data))
            if event.fin:
                data, self._pieces = b"".join(self._pieces), []
                self._hand_over(data.decode(errors="replace"))
        elif event.opcode is Opcode.CLOSE:
            self._report_closed()
            self.start_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report that the connection is gone."""
        super().connection_lost(exc)
        if self._abort is not None:
            self._abort.cancel()
        self._report_closed()

    def _hand_over(self, text: str) -> None:
        if self._on_text is not None:
            self._on_text(text)
        elif self._abort is None:
            self._early.append(text)

    def _report_closed(self) -> None:
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close(self.protocol.close_rcvd.code if self.protocol.close_rcvd else None)


async def open_socket(
    url: str, *, ssl_context: Callable[[], ssl.SSLContext], timeout: float, user_agent: str
) -> Socket:
    """Open a websocket.

    Args:
        url: The presigned URL, ``wss://…``. A secret.
        ssl_context: Called for the TLS settings of a ``wss`` URL.
        timeout: How long to try, in seconds.
        user_agent: The ``User-Agent`` of the handshake.

    Raises:
        OpenFailed: It did not open.
    """
    options: dict[str, Any] = {}
    if url.startswith("wss:"):
        options["ssl"] = ssl_context()
    if is_loopback(urlsplit(url).hostname or ""):
        options["proxy"] = None
    try:
        opened = await connect(
            url,
            create_connection=Socket,
            open_timeout=timeout,
            ping_interval=None,
            compression=_COMPRESSION,
            logger=_logger,
            user_agent_header=user_agent,
            **options,
        )
    except ssl.SSLCertVerificationError as error:
        # It is a ValueError, too.
        raise OpenFailed(why_distrusted(error) or "", spent=False, distrusted=True) from None
    except InvalidStatus as error:
        # A gateway's 5xx says nothing about the URL.
        status = error.response.status_code
        raise OpenFailed(f"the service answered HTTP {status}", spent=status < 500) from None
    except (InvalidURI, ValueError):
        raise OpenFailed("the URL is not a websocket's", spent=True) from None
    except InvalidHandshake as error:
        # It had begun, and a URL is good for one.
        raise OpenFailed(f"the handshake failed: {type(error).__name__}", spent=True) from None
    except TimeoutError:
        raise OpenFailed(f"no answer in {timeout:g} s", spent=False) from None
    except OSError as error:
        raise OpenFailed(error.strerror or type(error).__name__, spent=False) from None
    except WebSocketException as error:
        raise OpenFailed(type(error).__name__, spent=False) from None
    if not isinstance(opened, Socket):
        raise AssertionError("create_connection was not honoured")
    return opened
