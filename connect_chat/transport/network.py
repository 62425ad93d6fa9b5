"""TCP and TLS for httpcore, straight on asyncio.

Httpcore's own network goes through anyio, whose streams and cancel scopes take more CPU time than
all the rest of a small call.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Iterable
from typing import Any, cast

import httpcore

from connect_chat.transport.connecting import connect

__all__ = ["Network"]


class Network(httpcore.AsyncNetworkBackend):
    """The network of one connection, which can be closed at any time."""

    def __init__(self) -> None:
        self._stream: _Stream | None = None
        self._closed = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host; the last two arguments are not used."""
        try:
            async with asyncio.timeout(timeout):
                self._stream = await connect(_Stream, host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        if self._closed:
            self._stream.abort()
            raise httpcore.ConnectError("closed meanwhile")
        return self._stream

    def close(self) -> None:
        """Close the connection, at once; one that is being made as soon as it is."""
        self._closed = True
        if self._stream is not None:
            self._stream.abort()


class _Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """A connection: an asyncio protocol from below, httpcore's stream from above."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._unsent: list[bytes] = []
        self._ended = False
        self._error: Exception | None = None
        self._arrival: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._wake()

    def eof_received(self) -> None:
        # Without an answer of ours the transport closes itself.
        self._ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Send what was written, and return what comes; nothing once the other end closed."""
        if self._unsent:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()
        if not (self._received or self._ended):
            await self._arrive(timeout)
        if self._error is not None and not self._received:
            raise httpcore.ReadError(str(self._error)) from self._error
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        return data

    async def _arrive(self, timeout: float | None) -> None:
        self._arrival = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):
                await self._arrival
        except TimeoutError:
            raise httpcore.ReadTimeout from None
        finally:
            self._arrival = None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send with the next `read`: a request's head and body go out together.

        It does not wait until they are taken. Calls are small, and a path that takes nothing gives
        no answer either, which `read` notices.
        """
        self._unsent.append(buffer)

    async def aclose(self) -> None:
        """Close the connection, without goodbyes."""
        self.abort()

    def abort(self) -> None:
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Encrypt the connection, or close it."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                transport = await loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except OSError as error:  # TLS's errors are such, too
            raise httpcore.ConnectError(str(error)) from error
        if transport is None:
            raise httpcore.ConnectError("closed in the TLS handshake")
        self._transport = transport
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore wants to know of a connection."""
        if info == "is_readable":
            return bool(self._received) or self._ended or _is_readable(self._transport)
        return self._transport.get_extra_info(info)


def _is_readable(transport: asyncio.Transport) -> bool:
    """Return whether something has come that the event loop has not looked at yet."""
    descriptor = transport.get_extra_info("socket").fileno()
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
