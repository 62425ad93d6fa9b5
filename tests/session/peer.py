"""The server's end of a connection, which does what a test says, byte for byte."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import Event
from websockets.server import ServerProtocol

T = TypeVar("T")


class Peer:
    """One connection, at the server's end.

    Attributes:
        reader: What arrives, as it is on the wire.
        writer: Where to write what is to be on the wire.
        tls: TLS, if there is any. What it has to say goes out with what is sent next.
        websocket: The websocket.
        request: What opened it.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        context: ssl.SSLContext | None,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context and context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.websocket = ServerProtocol()
        self.request: Request | None = None
        self._events: list[Event] = []

    async def shake_hands(self) -> None:
        """Make the handshake of TLS; its last flight goes out with what is sent next."""
        assert self.tls is not None
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.send(b"")
                self._incoming.write(await self._some())
            else:
                return

    def encrypted(self, data: bytes) -> bytes:
        """Return what data is on the wire."""
        if self.tls is None:
            return data
        while data:
            data = data[self.tls.write(data) :]
        return self._outgoing.read()

    def send(self, data: bytes) -> None:
        self.writer.write(self.encrypted(data))

    async def receive(self) -> bytes:
        """Return the next data; nothing at a close_notify, or an end without TLS."""
        if self.tls is None:
            return await self.reader.read(65536)
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                self._incoming.write(await self._some())

    async def _some(self) -> bytes:
        data = await self.reader.read(65536)
        if not data:
            raise EOFError("the client has closed")
        return data

    async def accept(self, *frames: bytes) -> None:
        """Open a websocket, and send frames with the answer, in one write."""
        self.send(await self.answer() + b"".join(frames))

    async def answer(self) -> bytes:
        """Return the answer that opens the websocket that is asked for."""
        if self.tls is not None:
            await self.shake_hands()
        self.request = await self._event(Request)
        self.websocket.send_response(self.websocket.accept(self.request))
        return b"".join(self.websocket.data_to_send())

    async def frame(self) -> Frame:
        """Return the client's next frame."""
        return await self._event(Frame)

    async def _event(self, kind: type[T]) -> T:
        while not self._events:
            self.websocket.receive_data(await self.receive())
            self._events += self.websocket.events_received()
        event = self._events.pop(0)
        assert isinstance(event, kind)
        return event

    async def closed(self) -> None:
        """Wait until the client has closed the connection."""
        while await self.reader.read(65536):
            pass


Talk = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def serving(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Have each connection talked with, and return the port.

    What goes wrong there fails the test; at the end, every talk is waited for.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(Peer(reader, writer, context))
        finally:
            writer.close()

    async with asyncio.TaskGroup() as group:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            group.create_task(serve(reader, writer))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
