"""TLS on top of a connection: a transport that keeps nothing while nothing is said.

Asyncio's own has a buffer of 256 KiB for each connection, as long as it is open. This one is made
of the same public parts of `ssl`, an `ssl.SSLObject` between two `ssl.MemoryBIO`, and has none:
bytes are decrypted in the call in which they arrive, and encrypted in the one in which they are
written. What a full path holds up is in the buffer of the transport below.

Theory of operation
-------------------
A `TlsStream` is the protocol of the transport below it, and the transport of the protocol above.
It begins its handshake when it is made. What is written while OpenSSL shakes hands, then or, in
TLS 1.2, again later, waits until it has. The end comes in one of three ways:

- The other side says so, by a close_notify or just by closing. The protocol above is told, the
  close_notify is answered, and the transport below is closed.
- We close. Our close_notify is sent; that of the other side is not waited for.
- Something is wrong, with the certificate, with a record, or below. The protocol above is told
  what, and the other side, too, unless it is below.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, TypeAlias, cast

__all__ = ["TlsStream"]

BytesLike: TypeAlias = bytes | bytearray | memoryview

# OpenSSL's buffers never shrink. Given no more at a time than this, they don't grow much beyond it.
_PIECE = 4096
# What a record of TLS carries at most.
_RECORD = 16 * 1024


class TlsStream(asyncio.Protocol, asyncio.Transport):
    """The client's end of TLS over a transport that was just made, which it takes over.

    Args:
        below: The transport to the server.
        protocol: Whom to hand bytes over. Its ``connection_made`` is the caller's to call.
        context: The TLS settings.
        server_hostname: Who the server must have a certificate for.

    Raises:
        ValueError: Nobody can have a certificate for that.
    """

    __slots__ = (
        "_below", "_closing", "_failure", "_gone", "_incoming", "_outgoing", "_paused", "_protocol",
        "_ready", "_tls", "_unsent", "_waiter",
    )  # fmt: skip

    def __init__(
        self,
        below: asyncio.Transport,
        protocol: asyncio.Protocol,
        context: ssl.SSLContext,
        server_hostname: str,
    ) -> None:
        self._below = below
        self._protocol = protocol
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        self._ready = False
        self._waiter: asyncio.Future[None] | None = None
        self._unsent = b""
        self._paused = False
        self._closing = False
        self._gone = False
        self._failure: Exception | None = None
        below.set_protocol(self)
        self._advance()

    async def handshake(self) -> None:
        """Wait until the handshake is done, which has no bound in time of its own.

        Raises:
            ssl.SSLError: It failed; `ssl.SSLCertVerificationError` if because of the certificate.
            OSError: The connection broke.
        """
        if not (self._ready or self._closing):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if not self._ready:
            raise self._failure or ConnectionAbortedError("closed before it was open")

    # A transport, for the protocol above.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection: TLS as ``ssl_object``, the rest from below."""
        return self._tls if name == "ssl_object" else self._below.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand over to another protocol from now on; not to an `asyncio.BufferedProtocol`."""
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol above."""
        return self._protocol

    def write(self, data: BytesLike) -> None:
        """Send bytes, as soon as hands are shaken; once it closes, do nothing."""
        if self._closing:
            return
        self._unsent += data
        self._encrypt()

    def can_write_eof(self) -> bool:
        """Return False: in TLS 1.2, who stops writing has closed."""
        return False

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return len(self._unsent) + self._below.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set where the protocol is told to pause and to resume writing."""
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return where the protocol is told to resume and to pause writing."""
        return self._below.get_write_buffer_limits()

    def is_reading(self) -> bool:
        """Return whether bytes are handed over as they arrive."""
        return not (self._paused or self.is_closing())

    def pause_reading(self) -> None:
        """Hand nothing over until `resume_reading`; not to be called in the handshake."""
        self._paused = True
        if not self._closing:
            self._below.pause_reading()

    def resume_reading(self) -> None:
        """Hand bytes over again, soon."""
        if self._paused:
            self._paused = False
            asyncio.get_running_loop().call_soon(self._resume)

    def is_closing(self) -> bool:
        """Return whether it is closed or is going to be."""
        return self._closing or self._below.is_closing()

    def close(self) -> None:
        """Close, once everything that was written is sent."""
        if self._closing:
            return
        self._closing = True
        with suppress(ssl.SSLError):  # their close_notify, which is not waited for, has not come
            self._tls.unwrap()
        self._flush()
        self._below.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        if not self._gone:  # asyncio's transports may not be aborted then
            self._below.abort()

    # A protocol, for the transport below.

    def data_received(self, data: bytes) -> None:
        """Decrypt what has arrived, and hand it over."""
        for start in range(0, len(data), _PIECE):
            if self._closing:
                return
            self._incoming.write(data[start : start + _PIECE])
            self._advance()

    def eof_received(self) -> None:
        """Take it as a close that the other side has not said goodbye."""
        if self._ready:
            self._end()
        else:
            self._fail(ConnectionResetError("closed in the TLS handshake"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is gone."""
        self._closing = self._gone = True
        self._failure = self._failure or exc
        self._wake()
        protocol = self._protocol
        self._protocol = asyncio.Protocol()  # or a cycle would keep OpenSSL's memory for a while
        protocol.connection_lost(self._failure)

    def pause_writing(self) -> None:
        """Pass on that too much waits to be sent."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that it has been sent."""
        self._protocol.resume_writing()

    # In between.

    def _advance(self) -> None:
        """Take what has arrived as far as it goes."""
        if not self._ready:
            self._shake_hands()
        while not self._paused and (data := self._read()) is not None:
            if data:
                self._protocol.data_received(data)
            else:
                self._end()
        if self._unsent:
            self._encrypt()
        self._flush()

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(error)
        else:
            self._ready = True
            self._wake()

    def _read(self) -> bytes | None:
        """Decrypt a piece: empty if it is the end, None if nothing is left."""
        # To ask OpenSSL without need is dear: it would raise.
        if self._closing or not self._ready or not (self._incoming.pending or self._tls.pending()):
            return None
        try:
            return self._tls.read(_RECORD)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLError as error:
            self._fail(error)
            return None

    def _encrypt(self) -> None:
        """Encrypt what was written, unless OpenSSL shakes hands."""
        if self._closing or not self._ready:
            return
        unsent, self._unsent = memoryview(self._unsent), b""
        try:
            while unsent:
                unsent = unsent[self._tls.write(unsent[:_PIECE]) :]
                self._flush()
        except ssl.SSLWantReadError:
            self._unsent = bytes(unsent)
            self._flush()
        except ssl.SSLError as error:
            self._fail(error)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._below.write(self._outgoing.read())

    def _resume(self) -> None:
        try:
            self._advance()
        except Exception as error:
            self._fail(error)  # as the transport below does where it calls
            raise
        if self.is_reading():
            self._below.resume_reading()

    def _end(self) -> None:
        if not self._closing:
            self._protocol.eof_received()
            self.close()

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._closing = True
        self._flush()
        self._below.abort()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
