"""A TCP proxy on loopback that breaks the path in the ways real paths break."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Self

Direction = Literal["up", "down"]
"""``up`` is from the client to the service, ``down`` the way back."""

BOTH: tuple[Direction, ...] = ("up", "down")

_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)


class Lane:
    """One direction of one connection. Whatever holds its bytes up, they are not lost.

    Attributes:
        flowing: Cleared while the lane is frozen.
        delay: Seconds that bytes take, at least; at most twice that.
        rate: Bytes per second, or None for no bound.
        upgraded: Whether a websocket was asked for on it, in the clear.
        tap: Called with what goes through.
    """

    def __init__(self) -> None:
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.delay = 0.0
        self.rate: int | None = None
        self.upgraded = False
        self.tap: Callable[[bytes], object] = len

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes over until their end, and then the end."""
        while data := await reader.read(_CHUNK):
            self.tap(data)
            self.upgraded = self.upgraded or b"Upgrade: websocket" in data
            await asyncio.sleep(self.delay)
            for piece in self._pieces(data):
                await self.flowing.wait()
                writer.write(piece)
                if self.rate is not None:
                    await asyncio.sleep(len(piece) / self.rate)
            await writer.drain()
        await self.flowing.wait()
        writer.write_eof()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        size = len(data) if self.rate is None else max(1, self.rate // 50)
        return (data[start : start + size] for start in range(0, len(data), size))


class Connection:
    """One connection through the proxy: a socket at either end, and two lanes."""

    def __init__(self) -> None:
        self.lanes: dict[Direction, Lane] = {"up": Lane(), "down": Lane()}
        self._writers: list[asyncio.StreamWriter] = []

    async def run(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
    ) -> None:
        """Serve the connection until both sides have closed it, or one has reset it."""
        self._writers.append(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            self._writers.append(far_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.lanes["up"].carry(reader, far_writer))
                group.create_task(self.lanes["down"].carry(far_reader, writer))
        except* OSError:
            for lane in self.lanes.values():
                await lane.flowing.wait()
            self.cut(reset=True)
        finally:
            for one in self._writers:
                one.close()

    def push(self, data: bytes) -> None:
        """Send bytes to the client as if the service had, if this is a websocket."""
        if self.lanes["up"].upgraded:
            self._writers[0].write(data)

    def cut(self, *, reset: bool) -> None:
        """Close the sockets at both ends, with a RST or with a FIN."""
        for writer in self._writers:
            if reset:
                _reset(writer)
            else:
                writer.close()
        for lane in self.lanes.values():
            lane.flowing.set()


class Proxy:
    """A listener that forwards to a port of this machine.

    The emulator gives out websocket URLs with the host and port that it was called at, so a client
    whose endpoint is the proxy's `url` opens its websockets through the proxy, too.

    Attributes:
        connections: What is open, oldest first.
        refusing: Whether new connections are reset at once.
        accepted: How many connections there were.
    """

    def __init__(self, target: str) -> None:
        self._scheme, _, port = target.rpartition(":")
        self._target = int(port)
        self._frozen: set[Direction] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections: list[Connection] = []
        self.refusing = False
        self.accepted = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def url(self) -> str:
        port = self._server.sockets[0].getsockname()[1]
        return f"{self._scheme}:{port}"

    def cut(self, *, reset: bool = True) -> int:
        """Cut every connection; return how many there were."""
        for connection in self.connections:
            connection.cut(reset=reset)
        return len(self.connections)

    def push(self, data: bytes) -> None:
        """Send bytes down every websocket as if the service had."""
        for connection in self.connections:
            connection.push(data)

    def forward_to(self, target: str) -> None:
        """Forward new connections to another server."""
        self._target = int(target.rpartition(":")[2])

    def freeze(self, directions: Iterable[Direction] = BOTH, *, new: bool = True) -> None:
        """Stop forwarding while TCP stays open; ``new``: also on connections still to come."""
        for lane in self._lanes(directions):
            lane.flowing.clear()
        if new:
            self._frozen.update(directions)

    def heal(self) -> None:
        """Forward again, first of all what was held up."""
        self._frozen.clear()
        for lane in self._lanes(BOTH):
            lane.flowing.set()

    def slow(self, *, delay: float = 0.0, rate: int | None = None) -> None:
        """Delay what goes through the open connections, and bound its rate in bytes/s."""
        for lane in self._lanes(BOTH):
            lane.delay, lane.rate = delay, rate

    def _lanes(self, directions: Iterable[Direction]) -> list[Lane]:
        return [one.lanes[direction] for one in self.connections for direction in directions]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refusing:
            _reset(writer)
            return
        connection = Connection()
        for direction in self._frozen:
            connection.lanes[direction].flowing.clear()
        self.connections.append(connection)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await connection.run(reader, writer, self._target)
        finally:
            self.connections.remove(connection)


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
