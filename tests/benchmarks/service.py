"""The participant service, as light as can be: what `load` runs in a process of its own.

It answers the calls that a participant makes with prebuilt bytes, and pushes prebuilt frames, many
in one write. It is no emulator: it checks nothing, and a token is whatever names a chat. Only the
transcript is honest: it has what has been pushed, and nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import re
import ssl
import time
from collections.abc import Sequence
from email.utils import formatdate
from multiprocessing.connection import Connection
from typing import Any

import trustme

from tests.benchmarks import script
from tests.benchmarks.machine import hear

__all__ = ["CHATS", "HOST", "run"]

HOST = "127.0.0.1"
CHATS = "/chat/"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_BEARER = re.compile(rb"(?i)\r\nx-amz-bearer: *[a-z]+-(\d+)")
_KEY = re.compile(rb"(?i)\r\nsec-websocket-key: *(\S+)")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_SUBSCRIBED = script.websocket_frame(
    b'{"topic":"aws/subscribe","content":{"status":"success","topics":["aws/chat"]}}'
)
_ANSWERS = {
    b'{"topic":"aws/heartbeat"}': script.websocket_frame(b'{"topic":"aws/heartbeat"}'),
    b'{"topic":"aws/ping"}': script.websocket_frame(
        b'{"topic":"aws/ping","statusCode":200,"statusContent":"OK"}'
    ),
}
_CONNECTED = (
    b'{"Websocket":{"Url":"%s/chat/%d","ConnectionExpiry":"%s"},'
    b'"ConnectionCredentials":{"ConnectionToken":"connection-%d","Expiry":"%s"}}'
)
_SENT = b'{"AbsoluteTime":"2025-05-24T21:40:03.411Z","Id":"5e9d0000-0000-4000-8000-000000000000"}'

_PUSHED = 256
"""Frames in one write."""
_BUFFERED = 1 << 20
"""Bytes that may wait in a connection before its pushes pause."""


class Service:
    """The chats: how much has been said in each, and the websocket that it goes to."""

    def __init__(self) -> None:
        self.sockets: dict[int, Wire] = {}
        self.subscribed = 0
        self._said: dict[int, int] = {}
        self._second = 0
        self._dates = (b"", b"")

    def said(self, chat: int) -> int:
        """Return how many items a chat has; each begins with one, its customer's joining."""
        return self._said.get(chat, 1)

    def say(self, chat: int, count: int) -> int:
        """Have more said in a chat, without pushing it; return the number of the first of it."""
        first = self.said(chat)
        self._said[chat] = first + count
        return first

    def answer(self, path: bytes, head: bytes, body: bytes, websockets: bytes) -> bytes:
        """Return the answer to a participant's call."""
        bearer = _BEARER.search(head)
        chat = int(bearer[1]) if bearer else 0
        date, expiry = self._now()
        if path == b"/participant/connection":
            content = _CONNECTED % (websockets, chat, expiry, chat, expiry)
        elif path == b"/participant/transcript":
            content = script.page(chat, self.said(chat), json.loads(body))
        elif path in {b"/participant/message", b"/participant/event"}:
            content = _SENT
        else:
            content = b"{}"
        return (
            b"HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (date, len(content), content)
        )

    def _now(self) -> tuple[bytes, bytes]:
        """Return the time as HTTP spells it, and the time an hour from now as the service does."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            later = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now + 3600))
            self._dates = formatdate(now, usegmt=True).encode(), later.encode()
        return self._dates


class Wire(asyncio.Protocol):
    """One connection: calls, and, once it is upgraded, a websocket."""

    def __init__(self, service: Service, websockets: bytes) -> None:
        self._service = service
        self._websockets = websockets
        self._buffer = b""
        self._chat: int | None = None
        self._free = asyncio.Event()
        self._free.set()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(_BUFFERED)

    def connection_lost(self, exc: Exception | None) -> None:
        self._free.set()
        if self._chat is not None and self._service.sockets.get(self._chat) is self:
            del self._service.sockets[self._chat]
            self._service.subscribed -= 1

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()

    async def push(self, data: bytes) -> None:
        """Send bytes once those before them are on their way."""
        await self._free.wait()
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._chat is None:
            self._read_requests()
        if self._chat is not None:
            self._read_frames()

    def _read_requests(self) -> None:
        while self._chat is None and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, begin = self._buffer[:end], end + 4
            found = _LENGTH.search(head)
            whole = begin + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            path = head.split(b" ", 2)[1]
            body, self._buffer = self._buffer[begin:whole], self._buffer[whole:]
            key = _KEY.search(head)
            if key:
                self._chat = int(path.removeprefix(CHATS.encode()))
                accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
                self.transport.write(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n" % accept
                )
            else:
                self.transport.write(self._service.answer(path, head, body, self._websockets))

    def _read_frames(self) -> None:
        """Read what clients send: short frames, in one piece, masked."""
        buffer, at = self._buffer, 0
        while len(buffer) >= at + 6:
            size = buffer[at + 1] & 0x7F
            end = at + 6 + size
            if len(buffer) < end:
                break
            mask = int.from_bytes((buffer[at + 2 : at + 6] * (size // 4 + 1))[:size], "big")
            masked = int.from_bytes(buffer[at + 6 : end], "big")
            self._take(buffer[at] & 0x0F, (mask ^ masked).to_bytes(size, "big"))
            at = end
        self._buffer = buffer[at:]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 1 and (answer := _ANSWERS.get(payload)) is not None:
            self.transport.write(answer)
        elif opcode == 1 and b"aws/subscribe" in payload and self._chat is not None:
            self.transport.write(_SUBSCRIBED)
            if self._chat not in self._service.sockets:
                self._service.subscribed += 1
            self._service.sockets[self._chat] = self
        elif opcode == 8:
            self.transport.write(b"\x88" + bytes((len(payload),)) + payload)
            self.transport.close()
        elif opcode == 9:
            self.transport.write(b"\x8a" + bytes((len(payload),)) + payload)


class Pusher:
    """Pushes what the other end of the pipe asks for."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._prepared: list[tuple[int, bytes]] = []

    def prepare(self, chats: Sequence[int], count: int) -> None:
        """Build frames: ``count`` for each chat, some to each in turn."""
        plans = [self._blocks(chat, count) for chat in chats]
        rounds = itertools.zip_longest(*plans)
        self._prepared = [block for each in rounds for block in each if block is not None]

    def _blocks(self, chat: int, count: int) -> list[tuple[int, bytes]]:
        first = self._service.said(chat)
        built = list(script.frames(chat, first, count))
        return [(chat, b"".join(built[at : at + _PUSHED])) for at in range(0, len(built), _PUSHED)]

    async def push(self, count: int) -> None:
        """Send what has been prepared, as fast as it is taken."""
        prepared, self._prepared = self._prepared, []
        for chat in {chat for chat, _ in prepared}:
            self._service.say(chat, count)
        for chat, block in prepared:
            await self._service.sockets[chat].push(block)

    async def pace(self, chats: Sequence[int], count: int, rate: float, *, stamped: bool) -> None:
        """Send ``count`` items, ``rate`` a second, to the chats in turn, each in its own write.

        If they are stamped, all are messages, and the text of each is the moment at which it is
        sent, by the clock that all processes share.
        """
        began = time.perf_counter()
        for number in range(count):
            ahead = began + number / rate - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            chat = chats[number % len(chats)]
            place = self._service.say(chat, 1)
            transport = self._service.sockets[chat].transport
            if stamped:
                transport.write(script.stamped(chat, place, time.perf_counter_ns()))
            else:
                transport.write(script.frame(chat, place))


async def _serve(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    service, ca = Service(), trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(HOST).configure_cert(tls)
    ports = []
    for scheme, context in (("ws", None), ("wss", tls)):
        server = await loop.create_server(
            # The port is known only once it listens; nobody connects before that.
            lambda scheme=scheme: Wire(service, urls[scheme]),  # type: ignore[misc]
            HOST,
            0,
            ssl=context,
            backlog=4096,
        )
        ports.append(server.sockets[0].getsockname()[1])
    urls = {
        "ws": b"ws://%s:%d" % (HOST.encode(), ports[0]),
        "wss": b"wss://%s:%d" % (HOST.encode(), ports[1]),
    }
    pipe.send((*ports, ca.cert_pem.bytes()))
    commands: asyncio.Queue[Any] = asyncio.Queue()
    loop.add_reader(pipe.fileno(), lambda: commands.put_nowait(hear(pipe)))
    pusher = Pusher(service)
    while True:
        match await commands.get():
            case ("say", arguments):
                for chat in arguments[0]:
                    service.say(chat, arguments[1])
                pipe.send(None)
            case ("prepare", arguments):
                pusher.prepare(*arguments)
                pipe.send(None)
            case ("push", arguments):
                await pusher.push(*arguments)
            case ("pace", arguments):
                chats, count, rate, stamped = arguments
                await pusher.pace(chats, count, rate, stamped=stamped)
            case ("subscribed", _):
                pipe.send(service.subscribed)
            case ("cpu", _):
                pipe.send(time.process_time())
            case _:
                return


def run(pipe: Connection) -> None:
    """Serve, and do what the other end of the pipe asks for, until it says stop."""
    asyncio.run(_serve(pipe))
