"""One websocket: opens, hands over texts as they arrive, sends, closes. Decides nothing.

The ``websockets`` library makes the handshake, proxies included, and knows the framing. Its
connection ends with the handshake: what that keeps of it, and for its readers, pings and logs,
would be most of what an idle websocket holds in memory. A `Socket` takes its place, and hands
frames over in the call in which their bytes arrive, without a task, a future or a switch between.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from connect_chat.errors import ConfigurationError
from connect_chat.transport.framing import FrameCutter
from connect_chat.transport.proxies import is_direct, websocket_proxy
from connect_chat.transport.tls import why_distrusted
from connect_chat.transport.tls_stream import TlsStream

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


class Socket(asyncio.Protocol):
    """An open websocket. Made by `open_socket`.

    Attributes:
        lost: Done once the connection is gone.
    """

    __slots__ = (
        "_abort", "_early", "_frames", "_on_close", "_on_texts", "_pieces", "_transport",
        "_websocket", "lost",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._websocket = Protocol(Side.CLIENT, logger=_logger)
        self._on_texts: Callable[[Sequence[bytes]], None] | None = None
        self._on_close: Callable[[int | None], None] | None = None
        self._early: list[bytes] | None = []
        self._frames = FrameCutter()
        self._pieces: bytearray | None = None
        self._abort: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def attach(
        self,
        on_texts: Callable[[Sequence[bytes]], None],
        on_close: Callable[[int | None], None],
    ) -> None:
        """Have what comes handed over from now on.

        Args:
            on_texts: Called with texts that have come at once, one or more, as UTF-8.
            on_close: Called with the close code, or None without one.
        """
        self._on_texts, self._on_close = on_texts, on_close
        early, self._early = self._early, None
        if early:
            on_texts(early)
        if self._websocket.state is not State.OPEN:
            self._end()

    def send_text(self, text: str) -> None:
        """Have a text sent with the next `flush`.

        On a socket that is closing, do nothing: its end is reported.
        """
        if self._websocket.state is State.OPEN:
            self._websocket.send_text(text.encode())

    def flush(self) -> None:
        """Send what there is to be sent, all at once."""
        if data := b"".join(self._websocket.data_to_send()):
            self._transport.write(data)

    def start_closing(self) -> None:
        """Say goodbye, and cut the connection if that is not answered soon."""
        self._on_texts = self._on_close = self._early = None
        if self._abort is not None or self.lost.done():
            return
        self._abort = self.lost.get_loop().call_later(_CLOSE_TIMEOUT, self._transport.abort)
        if self._websocket.state is State.OPEN:
            self._websocket.send_close(1000)
            self.flush()

    def abort(self) -> None:
        """Cut the connection."""
        if not self.lost.done():
            self._transport.abort()

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """Take bytes, and hand over the texts that they complete."""
        websocket = self._websocket
        texts: list[bytes] = []
        # Nothing counts that comes after a close.
        closed_at = None if websocket.state is State.OPEN else 0
        for frame in self._frames.cut(data, texts):
            self._receive(frame, texts)
            if closed_at is None and websocket.state is not State.OPEN:
                closed_at = len(texts)
        if closed_at is not None:
            del texts[closed_at:]
        if texts and self._on_texts is not None:
            self._on_texts(texts)
        elif self._early is not None:
            self._early += texts
        if websocket.state is not State.OPEN:
            self._end()

    def eof_received(self) -> None:
        """Report that no more will come; the transport closes itself after this."""
        self._websocket.receive_eof()
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report that the connection is gone."""
        self._websocket.receive_eof()
        if self._abort is not None:
            self._abort.cancel()
        self.lost.set_result(None)
        self._end()

    def _receive(self, data: bytes, texts: list[bytes]) -> None:
        """Have the library take a frame, and answer it if need be."""
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            if isinstance(event, Frame):
                self._take(event, texts)
        self.flush()

    def _take(self, frame: Frame, texts: list[bytes]) -> None:
        if frame.opcode is Opcode.TEXT:
            self._pieces = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._pieces is not None:
            self._pieces += frame.data
        else:
            return
        if frame.fin:
            texts.append(bytes(self._pieces))
            self._pieces = None

    def _end(self) -> None:
        """Report the end, once whoever is to hear of it has heard what came before."""
        if self._early is not None:
            return
        on_close = self._on_close
        self.start_closing()
        if on_close is not None:
            close = self._websocket.close_rcvd
            on_close(close.code if close is not None else None)


class _Handshake(ClientConnection):
    """A websocket until it is open, when a `Socket` takes its place.

    Args:
        ssl_context: The TLS settings if the connection is not encrypted and has to be.

    Attributes:
        socket: The socket that has taken its place.
    """

    socket: Socket | None = None

    def __init__(
        self, *args: Any, ssl_context: ssl.SSLContext | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._ssl_context = ssl_context

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, on TLS if need be, before anything can have been read."""
        super().connection_made(transport)
        if self._ssl_context is not None:
            host = self.protocol.uri.host
            self.transport = TlsStream(self.transport, self, self._ssl_context, host)

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        """Make the handshakes, that of TLS first."""
        if self._ssl_context is not None:
            await cast(TlsStream, self.transport).handshake()
        await super().handshake(*args, **kwargs)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the answer, by lines: what follows the one that opens it is frames."""
        start = 0
        while start < len(data) and self.protocol.state is not State.OPEN:
            end = data.find(b"\n", start) + 1 or len(data)
            super().data_received(data[start:end])
            start = end
        if self.protocol.state is State.OPEN:
            self.socket = Socket(self.transport)
            self.transport.set_protocol(self.socket)
            if start < len(data):
                self.socket.data_received(data[start:])


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
    try:
        opened = await connect(
            url,
            open_timeout=timeout,
            ping_interval=None,
            compression=_COMPRESSION,
            logger=_logger,
            user_agent_header=user_agent,
            **_way(url, ssl_context),
        )
    except ssl.SSLCertVerificationError as error:
        # It is a ValueError, too.
        raise OpenFailed(why_distrusted(error) or "", spent=False, distrusted=True) from None
    except ConfigurationError:
        raise  # it is the TLS settings that are no good
    except InvalidProxy:
        reason = "the proxy's URL is malformed; check HTTPS_PROXY and ALL_PROXY"
        raise OpenFailed(reason, spent=False) from None
    except InvalidStatus as error:
        # A gateway's 5xx says nothing about the URL.
        status = error.response.status_code
        raise OpenFailed(f"the service answered HTTP {status}", spent=status < 500) from None
    except InvalidHandshake as error:
        # It had begun, and a URL is good for one.
        raise OpenFailed(f"the handshake failed: {type(error).__name__}", spent=True) from None
    except TimeoutError:
        raise OpenFailed(f"no answer in {timeout:g} s", spent=False) from None
    except OSError as error:
        raise OpenFailed(error.strerror or type(error).__name__, spent=False) from None
    except (InvalidURI, ValueError):
        raise OpenFailed("the URL is not a websocket's", spent=True) from None
    except WebSocketException as error:
        raise OpenFailed(type(error).__name__, spent=False) from None
    if not isinstance(opened, _Handshake) or opened.socket is None:
        raise AssertionError("create_connection was not honoured")
    return opened.socket


def _way(url: str, ssl_context: Callable[[], ssl.SSLContext]) -> dict[str, Any]:
    """Return options of ``connect``: through which proxy, and whose TLS.

    Raises:
        OpenFailed: What speaks to the proxy is not installed.
    """
    parts = urlsplit(url)
    encrypted = parts.scheme == "wss"
    direct = is_direct(parts.hostname or "", parts.port or (443 if encrypted else 80))
    options: dict[str, Any] = {"create_connection": _Handshake}
    proxy = None if direct else websocket_proxy(parts.scheme)
    if proxy is not None and proxy.startswith("socks") and find_spec("python_socks") is None:
        reason = 'a SOCKS proxy needs a package: run  pip install "python-socks[asyncio]"'
        raise OpenFailed(reason, spent=False)
    options["proxy"] = proxy
    if encrypted and direct:
        options["create_connection"] = partial(_Handshake, ssl_context=ssl_context())
        options |= {"ssl": False, "server_hostname": None}  # to asyncio, it is not encrypted
    elif encrypted:
        # What a proxy forwards is encrypted by the event loop, for which there is no way around.
        options["ssl"] = ssl_context()
    return options
