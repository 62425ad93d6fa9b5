"""TLS without buffers: whatever OpenSSL, TCP or the other side do, nothing is lost or left."""

from __future__ import annotations

import asyncio
import gc
import itertools
import shutil
import socket
import ssl
import struct
import subprocess
import weakref
from contextlib import asynccontextmanager, suppress

import pytest
import trustme

from connect_chat.transport.tls_stream import TlsStream

from .peer import serving
from .proxy import Proxy
from .support import PATIENCE, trusting, until

BIG = bytes(range(256)) * 20_000
"""More than the buffers of two sockets hold."""


class Above(asyncio.Protocol):
    """A protocol that remembers what it is told."""

    def __init__(self):
        self.data = b""
        self.told = []
        self._changed = asyncio.Event()

    def _tell(self, what):
        self.told.append(what)
        self._changed.set()

    def data_received(self, data):
        assert data
        self.data += data
        self._changed.set()

    def eof_received(self):
        self._tell("eof")

    def connection_lost(self, exc):
        self._tell(exc)

    def pause_writing(self):
        self._tell("pause")

    def resume_writing(self):
        self._tell("resume")

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def received(self, data):
        await self.until(lambda: len(self.data) >= len(data))
        assert self.data == data

    async def lost(self):
        """Wait until the connection is gone; return what for."""
        await self.until(lambda: self.told and self.told[-1] not in ("eof", "pause", "resume"))
        return self.told[-1]


class _Below(asyncio.Protocol):
    """What a TlsStream is put in the place of."""

    def __init__(self, above, context, name):
        self._arguments = above, context, name

    def connection_made(self, transport):
        self.stream = TlsStream(transport, *self._arguments)


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def served(ca, request):
    """The server's TLS settings."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "chat.example").configure_cert(context)
    context.minimum_version = context.maximum_version = request.param
    return context


@asynccontextmanager
async def connecting(port, trust, name="chat.example", above=None):
    """Begin TLS on a connection; abort it at the end, if it is not closed by then."""
    above = above or Above()
    loop = asyncio.get_running_loop()
    _, below = await loop.create_connection(lambda: _Below(above, trust, name), "127.0.0.1", port)
    try:
        yield below.stream, above
    finally:
        below.stream.abort()
        await above.lost()


@asynccontextmanager
async def connected(port, ca, above=None):
    async with connecting(port, trusting(ca), above=above) as (stream, above):
        await stream.handshake()
        yield stream, above


def reset(writer):
    """Close a connection with a RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# The handshake.


async def test_data_in_the_segment_of_the_last_flight(ca, served):
    """What follows the server's last words of the handshake at once is not lost."""

    async def talk(peer):
        await peer.shake_hands()
        peer.send(b"at once")
        await peer.closed()

    async with serving(talk, served) as port, connected(port, ca) as (_, above):
        await above.received(b"at once")


async def test_every_byte_by_itself(ca, served):
    """TCP may cut records anywhere, those of the handshake, too."""

    async def talk(peer):
        await peer.shake_hands()
        for byte in peer.encrypted(b"spelt") + peer.encrypted(b" out"):
            peer.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        await peer.closed()

    async with serving(talk, served) as port, connected(port, ca) as (_, above):
        await above.received(b"spelt out")


async def test_what_is_written_before_the_handshake_is_done(ca, served):
    """It is sent, in order, as soon as it may be."""

    async def talk(peer):
        await peer.shake_hands()
        peer.send(b"ready")
        heard = b""
        while len(heard) < 11:
            heard += await peer.receive()
        peer.send(heard)
        await peer.closed()

    async with (
        serving(talk, served) as port,
        connecting(port, trusting(ca)) as (stream, above),
    ):
        stream.write(b"first")
        stream.write(bytearray(b" then"))
        assert stream.get_write_buffer_size() == 10
        await stream.handshake()
        stream.write(memoryview(b"!"))
        await above.received(b"readyfirst then!")
        assert stream.get_write_buffer_size() == 0


async def test_who_the_server_is(ca, served):
    """The server is told which name is asked for; the protocol above can see its certificate."""
    names = []

    async def talk(peer):
        await peer.shake_hands()
        peer.send(b"hello")
        await peer.closed()

    served.sni_callback = lambda _, name, __: names.append(name)
    async with serving(talk, served) as port, connected(port, ca) as (stream, above):
        await above.received(b"hello")
        assert names == ["chat.example"]
        certificate = stream.get_extra_info("ssl_object").getpeercert()
        assert ("DNS", "chat.example") in certificate["subjectAltName"]
        assert stream.get_extra_info("peername") == ("127.0.0.1", port)
        assert stream.get_extra_info("moon", "none") == "none"
        assert not stream.can_write_eof()
        assert stream.get_protocol() is above


@pytest.mark.parametrize(
    ("name", "trusted", "why"),
    [
        ("chat.example", False, "unable to get local issuer certificate"),
        ("127.0.0.1", False, "unable to get local issuer certificate"),
        ("other.example", True, "Hostname mismatch"),
        ("127.0.0.2", True, "IP address mismatch"),
    ],
)
async def test_a_certificate_that_is_no_good(ca, served, name, trusted, why):
    """The handshake fails for that reason, the connection is closed, and the server is told."""
    alerts = []

    async def talk(peer):
        try:
            await peer.shake_hands()
            peer.send(b"too soon")
            await peer.receive()
        except ssl.SSLError as error:
            alerts.append(error.reason)
        await peer.closed()

    context = trusting(ca if trusted else trustme.CA())
    async with serving(talk, served) as port, connecting(port, context, name) as (stream, above):
        with pytest.raises(ssl.SSLCertVerificationError, match=why) as caught:
            await stream.handshake()
        assert await above.lost() is caught.value
        assert above.data == b""
        assert stream.is_closing()
        with pytest.raises(ssl.SSLCertVerificationError):
            await stream.handshake()
    assert len(alerts) == 1
    assert "ALERT" in alerts[0]


async def test_a_server_that_does_not_speak_tls(ca):
    """That is what the error says."""

    async def talk(peer):
        peer.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 1000)
        await peer.closed()

    async with serving(talk) as port, connecting(port, trusting(ca)) as (stream, above):
        with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER") as caught:
            await stream.handshake()
        assert await above.lost() is caught.value


@pytest.mark.parametrize("how", [reset, lambda writer: writer.close()], ids=["RST", "FIN"])
async def test_a_connection_that_ends_in_the_handshake(ca, how):
    """The handshake fails, rather than wait."""

    async def talk(peer):
        await peer.reader.read(10)
        how(peer.writer)

    async with serving(talk) as port, connecting(port, trusting(ca)) as (stream, above):
        with pytest.raises(ConnectionResetError):
            await stream.handshake()
        assert isinstance(await above.lost(), ConnectionResetError)


@pytest.mark.parametrize("end", [TlsStream.close, TlsStream.abort])
async def test_giving_up_a_handshake(ca, end):
    """Cancelled, it leaves nothing but the connection, which can be closed."""
    closed = []

    async def talk(peer):
        await peer.closed()
        closed.append(peer)

    async with serving(talk) as port, connecting(port, trusting(ca)) as (stream, above):
        shaking = asyncio.create_task(stream.handshake())
        await asyncio.sleep(0)
        shaking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await shaking
        end(stream)
        stream.write(b"too late")
        assert await above.lost() is None
        with pytest.raises(ConnectionAbortedError):
            await stream.handshake()
    assert len(closed) == 1


# Bytes both ways.


async def test_more_than_buffers_hold(ca, served):
    """Who writes is told to pause while the path is full, and nothing of it is lost."""
    go = asyncio.Event()
    heard = []

    async def talk(peer):
        await peer.shake_hands()
        peer.send(b"")
        await go.wait()
        size = 0
        while size < len(BIG):
            heard.append(await peer.receive())
            size += len(heard[-1])
        peer.send(BIG)
        await peer.closed()

    async with serving(talk, served) as port, connected(port, ca) as (stream, above):
        stream.set_write_buffer_limits(high=100_000, low=10_000)
        assert stream.get_write_buffer_limits() == (10_000, 100_000)
        stream.write(BIG)
        assert above.told == ["pause"]
        assert stream.get_write_buffer_size() > 100_000
        go.set()
        await above.received(BIG)
        assert above.told == ["pause", "resume"]
        assert b"".join(heard) == BIG


async def test_a_reader_that_pauses(ca, served):
    """Nothing is handed over meanwhile, the server is held up, and all of it comes afterwards."""
    paused, sent = asyncio.Event(), asyncio.Event()

    async def talk(peer):
        await peer.shake_hands()
        peer.send(b"before")
        await paused.wait()
        peer.send(BIG)
        sent.set()
        await peer.writer.drain()
        drained.append(peer)
        await peer.closed()

    drained = []
    async with serving(talk, served) as port, connected(port, ca) as (stream, above):
        await above.received(b"before")
        assert stream.is_reading()
        stream.pause_reading()
        paused.set()
        await sent.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert not stream.is_reading()
        assert above.data == b"before"
        assert not drained
        stream.resume_reading()
        await above.received(b"before" + BIG)


async def test_a_reader_that_pauses_at_every_piece(ca, served):
    """What has arrived already waits, too, and the end comes after it."""

    async def talk(peer):
        await peer.shake_hands()
        peer.send(BIG)
        peer.writer.write_eof()
        await peer.closed()

    class Pausing(Above):
        def data_received(self, data):
            assert stream.is_reading()
            super().data_received(data)
            stream.pause_reading()
            asyncio.get_running_loop().call_soon(self.go_on)

        def go_on(self):
            pieces.append(len(self.data))
            stream.resume_reading()

    pieces = []
    async with (
        serving(talk, served) as port,
        connecting(port, trusting(ca), above=Pausing()) as (stream, above),
    ):
        assert await above.lost() is None
        assert above.data == BIG
        assert above.told == ["eof", None]
        assert len(pieces) >= len(BIG) // 16384


@pytest.mark.parametrize("paused", [False, True])
async def test_a_protocol_that_fails(ca, served, paused):
    """The connection is closed for it, and the loop's exception handler hears of it."""
    reports = []

    class Failing(Above):
        def data_received(self, data):
            if self.data:
                raise error
            super().data_received(data)
            if paused:
                stream.pause_reading()
                asyncio.get_running_loop().call_soon(stream.resume_reading)

    async def talk(peer):
        await peer.shake_hands()
        peer.writer.write(peer.encrypted(b"one") + peer.encrypted(b"two"))
        await peer.closed()

    error = RuntimeError("a defect")
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    async with (
        serving(talk, served) as port,
        connecting(port, trusting(ca), above=Failing()) as (stream, above),
    ):
        assert await above.lost() is error
        assert above.data == b"one"
    assert [report["exception"] for report in reports] == [error]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
async def test_a_server_that_shakes_hands_again(ca, tmp_path):
    """What is written meanwhile waits, and comes in order. Only OpenSSL's own server does it."""
    pem = tmp_path / "server.pem"
    ca.issue_cert("chat.example").private_key_and_cert_chain_pem.write_to_path(pem)
    server = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", pem, "-key", pem, "-tls1_2"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )

    async def printed(start):
        """Return the server's next line that begins so."""
        async with asyncio.timeout(PATIENCE):
            while not (line := await server.stdout.readline()).startswith(start):
                assert line
        return line.decode().strip()

    def written():
        """Write a line; return whether it waits."""
        stream.write(f"line {next(count)}\n".encode())
        return stream.get_write_buffer_size() > 0

    count = itertools.count()
    try:
        address = (await printed(b"ACCEPT")).split()[-1]
        async with (
            Proxy(f"tls://{address}") as proxy,
            connected(int(proxy.url.rpartition(":")[2]), ca) as (stream, above),
        ):
            written()
            assert await printed(b"line") == "line 0"
            proxy.freeze(["up"])
            server.stdin.write(b"R\n")
            await until(written)
            written()
            proxy.heal()
            for number in range(1, next(count)):
                assert await printed(b"line") == f"line {number}"
            assert stream.get_write_buffer_size() == 0
            server.stdin.write(b"thank you\n")
            await above.received(b"thank you\n")
    finally:
        server.kill()
        await server.communicate()


# The end.


async def test_a_goodbye_of_the_server(ca, served):
    """What came before it is handed over, it is answered, and the connection is closed."""

    async def talk(peer):
        await peer.shake_hands()
        data = peer.encrypted(b"last words")
        with suppress(ssl.SSLWantReadError):
            peer.tls.unwrap()
        peer.writer.write(data + peer.encrypted(b""))
        with pytest.raises(ssl.SSLZeroReturnError):  # both have said goodbye
            await peer.receive()
        await peer.closed()

    async with serving(talk, served) as port, connected(port, ca) as (stream, above):
        assert await above.lost() is None
        assert above.data == b"last words"
        assert above.told == ["eof", None]
        stream.write(b"too late")
        stream.close()
        stream.pause_reading()
        stream.resume_reading()
        stream.resume_reading()
        assert not stream.is_reading()


async def test_an_end_without_a_goodbye(ca, served):
    """It is an end all the same."""

    async def talk(peer):
        await peer.shake_hands()
        peer.send(b"last words")
        peer.writer.write_eof()
        assert await peer.receive() == b""
        await peer.closed()

    async with serving(talk, served) as port, connected(port, ca) as (_, above):
        assert await above.lost() is None
        assert above.data == b"last words"
        assert above.told == ["eof", None]


async def test_a_connection_that_is_reset(ca, served):
    """The protocol is told so."""

    async def talk(peer):
        await peer.shake_hands()
        peer.send(b"hello")
        await peer.receive()
        reset(peer.writer)

    async with serving(talk, served) as port, connected(port, ca) as (stream, above):
        stream.write(b"go")
        assert isinstance(await above.lost(), ConnectionResetError)
        assert above.told == [above.told[-1]]


async def test_closing(ca, served):
    """What was written is sent, and then goodbye; that of the server is not waited for."""
    heard = []

    async def talk(peer):
        await peer.shake_hands()
        peer.send(b"hello")
        await go.wait()
        while data := await peer.receive():
            heard.append(data)
        assert await peer.reader.read() == b""

    go = asyncio.Event()
    async with serving(talk, served) as port, connected(port, ca) as (stream, above):
        await above.received(b"hello")
        stream.write(BIG)
        stream.close()
        stream.write(b"too late")
        assert stream.is_closing()
        go.set()
        assert await above.lost() is None
        assert "eof" not in above.told
    assert b"".join(heard) == BIG


async def test_aborting(ca, served):
    """What a full path holds up is not waited for."""
    gone = asyncio.Event()

    async def talk(peer):
        await peer.shake_hands()
        peer.send(b"hello")
        await gone.wait()

    async with serving(talk, served) as port, connected(port, ca) as (stream, above):
        await above.received(b"hello")
        stream.write(BIG)
        stream.close()
        await asyncio.sleep(0)
        stream.abort()
        assert await above.lost() is None
        gone.set()


async def test_a_record_that_was_tampered_with(ca, served):
    """The connection ends, for that reason, and the server is told; it is not handed over."""

    async def talk(peer):
        await peer.shake_hands()
        peer.send(b"true")
        bad = bytearray(peer.encrypted(b"false"))
        bad[-1] ^= 1
        peer.writer.write(bytes(bad) + peer.encrypted(b"after"))
        with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
            await peer.receive()
        await peer.closed()

    async with serving(talk, served) as port, connected(port, ca) as (_, above):
        error = await above.lost()
        assert isinstance(error, ssl.SSLError)
        assert above.told == [error]
        assert above.data == b"true"


async def test_what_is_left_of_a_connection(ca, served):
    """Nothing, at once: OpenSSL's memory does not wait for the garbage collector."""

    async def talk(peer):
        await peer.shake_hands()
        peer.send(b"hello")
        peer.writer.write_eof()
        await peer.closed()

    gc.disable()
    try:
        async with serving(talk, served) as port, connected(port, ca) as (stream, above):
            tls = weakref.ref(stream.get_extra_info("ssl_object"))
            above.transport = stream
            assert await above.lost() is None
        del stream, above
        assert tls() is None
    finally:
        gc.enable()
