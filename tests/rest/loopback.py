"""A tiny HTTP server on the loopback that answers by a script, as rudely as a test wants."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What to answer; ``status`` None hangs up instead, after ``body`` has been sent as it is.

    It is held back until ``hold`` is set, and its last byte until ``rest`` is. To hang up may be to
    ``reset`` the connection.
    """

    status: int | None = 200
    body: bytes | dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    hold: asyncio.Event | None = None
    rest: asyncio.Event | None = None
    reset: bool = False

    def spell(self) -> bytes:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        if self.status is None:
            return body
        headers = {"content-length": str(len(body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} X", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + body


LOST = Reply(status=None, body=b"")
"""The request is read, and the connection closed without a word."""


RESET = Reply(status=None, body=b"", reset=True)
"""The request is read, and the connection is reset."""


class Loopback:
    """Answers requests with ``replies`` in turn, the last one for ever; keeps what it got."""

    def __init__(self, *replies: Reply, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.replies = list(replies or (Reply(),))
        self.received: list[Received] = []
        self.connections = 0
        self.arrived = asyncio.Event()
        self._handlers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._handlers)

    def say(self, data: bytes, *, to: int | None = None) -> None:
        """Send something down the oldest but so many connections unasked, or all; and close it."""
        writers = list(self._handlers.values())
        for writer in writers if to is None else writers[to : to + 1]:
            writer.write(data)
            writer.close()

    def shut(self) -> None:
        """End every connection, before anybody else on this event loop can do something."""
        for writer in self._handlers.values():
            # A socket of our own for the same connection: loops don't lend theirs for this.
            with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as copy:
                copy.shutdown(socket.SHUT_WR)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers[task] = writer
        self.connections += 1
        try:
            while received := await self._read(reader):
                self.received.append(received)
                self.arrived.set()
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if reply.hold is not None:
                    await reply.hold.wait()
                spelled = reply.spell()
                if reply.rest is not None:
                    writer.write(spelled[:-1])
                    await reply.rest.wait()
                    spelled = spelled[-1:]
                writer.write(spelled)
                await writer.drain()
                if reply.reset:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, linger
                    )
                if reply.status is None:
                    break
        except asyncio.CancelledError:
            pass
        except ConnectionError:
            pass
        finally:
            del self._handlers[task]
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Received | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return None
        start, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = start.split(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Received(method, target, headers, body)
