"""A listener on the loopback that carries bytes to a server, until it falls silent."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Relay:
    """Carries bytes to a server of this machine.

    Args:
        server: The server's URL.
        proxy: Whether to be an HTTP proxy, which is told by ``CONNECT`` that it is to do so.
        tls: Its own TLS settings; None for none.

    Attributes:
        silent: Whether it drops what it should carry; connections stay open.
        passed: How many pieces came by, carried or dropped.
        heads: What it was told by ``CONNECT``.
    """

    def __init__(
        self, server: str, *, proxy: bool = False, tls: ssl.SSLContext | None = None
    ) -> None:
        self._target = urlsplit(server)
        self._proxy = proxy
        self._tls = tls
        self.silent = False
        self.passed = 0
        self.heads: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open(self) -> int:
        """How many connections to it are open."""
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        secure = self._tls if self._proxy else self._target.scheme == "https"
        self.url = f"{'https' if secure else 'http'}://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            if self._proxy:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target.port)
            writers.append(far_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, far_writer))
                group.create_task(self._carry(far_reader, writer))
        except* (asyncio.CancelledError, _Ended):
            pass
        finally:
            self._tasks.discard(task)
            for one in writers:
                one.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.passed += 1
                if not self.silent:
                    writer.write(data)
        except ConnectionError:
            pass
        raise _Ended


class _Ended(Exception):
    """One end is closed, so that the other is to be."""
