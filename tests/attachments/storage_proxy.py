"""An HTTP proxy before an emulator that sees, and spoils, what goes to and from its storage.

The emulator gives out presigned URLs with the host and port that it was called at, so a client
whose endpoint is the proxy's `url` uploads and downloads through it, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Self

_PIECE = 16384
_LENGTH = re.compile(rb"content-length: (\d+)", re.I)


@dataclass(frozen=True)
class Answer:
    """Read the request, and answer it without asking the storage."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Cut:
    """Reset the connection after so many bytes of the file."""

    after: int


@dataclass
class Hold:
    """Stand still after so many bytes of the file, until the connection is closed."""

    after: int
    reached: asyncio.Event = field(default_factory=asyncio.Event)


Fault = Answer | Cut | Hold


@dataclass(frozen=True)
class Seen:
    """A request for the storage."""

    method: str
    target: str
    headers: dict[str, str]


class _Broken(Exception):
    pass


class StorageProxy:
    """Forwards to an emulator.

    Attributes:
        faults: What becomes of the next requests for the storage; after that all goes well.
        seen: The requests for the storage.
    """

    def __init__(self, target: str) -> None:
        self._port = int(target.rpartition(":")[2])
        self._tasks: set[asyncio.Task[None]] = set()
        self.faults: deque[Fault] = deque()
        self.seen: list[Seen] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            with contextlib.suppress(OSError, EOFError, _Broken):
                await self._serve(near, back)
        except asyncio.CancelledError:
            pass  # the proxy is closing; a stream server would report it
        finally:
            back.close()

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        head = await near.readuntil(b"\r\n\r\n")
        if b" /storage/" not in head.split(b"\r\n", 1)[0]:
            await self._tunnel(head, near, back)
            return
        seen = _parse(head)
        self.seen.append(seen)
        fault = self.faults.popleft() if self.faults else None
        match = _LENGTH.search(head)
        length = int(match[1]) if match else 0
        if isinstance(fault, Answer):
            await near.readexactly(length)
            headers = {"content-length": str(len(fault.body)), "connection": "close"}
            lines = [f"{name}: {value}" for name, value in (headers | fault.headers).items()]
            back.write("\r\n".join([f"HTTP/1.1 {fault.status} X", *lines, "", ""]).encode())
            back.write(fault.body)
            await back.drain()
            return
        far, forth = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            forth.write(head[:-2] + b"Connection: close\r\n\r\n")
            await _carry(near, forth, length, fault if seen.method == "PUT" else None, back)
            answer = await far.readuntil(b"\r\n\r\n")
            back.write(answer)
            await _carry(far, back, None, fault if seen.method == "GET" else None, back)
        finally:
            forth.close()

    async def _tunnel(
        self, head: bytes, near: asyncio.StreamReader, back: asyncio.StreamWriter
    ) -> None:
        far, forth = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            forth.write(head)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pipe(near, forth))
                group.create_task(_pipe(far, back))
        except* OSError:
            pass
        finally:
            forth.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    length: int | None,
    fault: Fault | None,
    client: asyncio.StreamWriter,
) -> None:
    """Carry ``length`` bytes, or all up to the end, unless something happens."""
    carried = 0
    after = fault.after if isinstance(fault, Cut | Hold) else None
    while length is None or carried < length:
        if after is not None and carried >= after:
            await _spoil(fault, client)
        most = min(x for x in (_PIECE, after and after - carried) if x)
        data = await reader.read(most)
        if not data:
            return
        carried += len(data)
        writer.write(data)
        await writer.drain()


async def _spoil(fault: Fault | None, client: asyncio.StreamWriter) -> None:
    if isinstance(fault, Hold):
        fault.reached.set()
        await client.wait_closed()
    sock = client.get_extra_info("socket")
    # A reset overtakes what has not been read yet, so the client gets that first.
    await asyncio.sleep(0.05)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.transport.abort()
    raise _Broken


def _parse(head: bytes) -> Seen:
    request, *lines = head.decode().rstrip().split("\r\n")
    method, target, _ = request.split(" ")
    pairs = [line.split(": ", 1) for line in lines]
    assert len({name.lower() for name, _ in pairs}) == len(pairs), "a header came twice"
    return Seen(method, target, {name.lower(): value for name, value in pairs})
