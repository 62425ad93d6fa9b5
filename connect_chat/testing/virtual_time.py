"""An event loop on which an hour of waiting takes no time.

Theory of operation
-------------------
The loop's clock stands still while there is anything to do. When there is nothing, it jumps to
the next timer. The difficulty is to know that there is nothing: bytes that one socket has sent and
another has not received yet are somewhere in the system, and a clock that jumped meanwhile would
let every timeout expire. So bytes never are under way here: a connection to a server of the same
loop is made of a pair of connected local sockets instead of TCP. Such a pair has no network in
between, what is written at one end can be read at the other at once, and "no socket is ready"
means exactly "nothing is under way". Everything above the sockets, asyncio's transports, HTTP,
websockets, TLS, is what it always is.

While threads work for the loop (``asyncio.to_thread``, ``anyio.to_thread``, name resolution), the
clock runs as real time does. What else is outside the loop cannot be seen from here: a connection
to another process is refused with `VirtualTimeError` rather than let time out by a jump.
"""

from __future__ import annotations

import asyncio
import ipaddress
import selectors
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["VirtualTimeError", "VirtualTimeLoop", "run_in_virtual_time"]

T = TypeVar("T")

DAY = 86_400.0
_TCP_ONLY = (
    *("family", "proto", "flags", "local_addr", "happy_eyeballs_delay", "interleave"),
    "all_errors",
)


class VirtualTimeError(RuntimeError):
    """A test in virtual time does what only real time can wait for, or never ends."""


def run_in_virtual_time(main: Coroutine[Any, Any, T], *, limit: float = DAY) -> T:
    """Run ``main`` to its end, as ``asyncio.run`` does, on a `VirtualTimeLoop`.

    Args:
        main: What to run.
        limit: See `VirtualTimeLoop`.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(limit=limit)) as runner:
        return runner.run(main)


class _Jumping(selectors.DefaultSelector):
    """Waits by moving the clock."""

    def __init__(self, limit: float, working: Callable[[], bool]) -> None:
        super().__init__()
        self.now = 0.0
        self._limit = limit
        self._working = working

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._working():
            began = time.monotonic()
            ready = super().select(timeout)
            self.now += time.monotonic() - began
            return ready
        if timeout is None:
            raise VirtualTimeError("everything waits, and there is no timer that could end it")
        if self.now + timeout > self._limit:
            raise VirtualTimeError(
                f"the test has not ended within {self._limit:g} s of virtual time: something "
                "that it waits for does not come"
            )
        self.now += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when nothing else is left to do.

    Its clock begins at 0. Servers and connections between them are made with ``create_server`` and
    ``create_connection``, which is what asyncio's streams, httpx, websockets and the emulator do.

    Args:
        limit: The time, in seconds of its clock, after which it raises `VirtualTimeError`, since
            a test that hangs would otherwise jump from timer to timer for ever.
    """

    def __init__(self, *, limit: float = DAY) -> None:
        self._jumping = _Jumping(limit, self._working)
        self._began = float(int(time.time()))
        self._busy = 0
        self._threads: Any = None
        self._servers: dict[int, tuple[asyncio.Server, Callable[[], Any], Any]] = {}
        self._accepting: set[asyncio.Task[Any]] = set()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._jumping.now

    def wall_time(self) -> float:
        """Return what a clock on the wall would show, in seconds since 1970, UTC.

        It is right when the loop is made, but for the fraction of a second, and moves with `time`.
        """
        return self._began + self._jumping.now

    def _working(self) -> bool:
        return self._busy > 0 or (self._threads is not None and self._threads.borrowed_tokens > 0)

    def run_until_complete(self, future: Any) -> Any:
        """Run until the future is done, and return its result."""
        if self._threads is None:
            super().run_until_complete(self._find_threads())
        return super().run_until_complete(future)

    async def _find_threads(self) -> None:
        # Here, since the plugin is loaded in test runs that have no use for it.
        from anyio.to_thread import current_default_thread_limiter

        self._threads = current_default_thread_limiter()

    def run_in_executor(  # type: ignore[override]  # spelled with less precision
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """Run a function in a thread, while the clock runs as real time does."""
        future = super().run_in_executor(executor, func, *args)
        self._busy += 1
        future.add_done_callback(self._idle)
        return future

    def _idle(self, _: object) -> None:
        self._busy -= 1

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for the threads, for which asyncio takes another one."""
        self._busy += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._busy -= 1

    async def create_server(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> asyncio.Server:
        """Open a port, for connections from this loop and, as TCP, from threads."""
        server = await super().create_server(protocol_factory, host, port, **options)
        for listening in server.sockets:
            port = listening.getsockname()[1]
            self._servers[port] = (server, protocol_factory, options.get("ssl"))
        return server

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """Connect to a server of this loop.

        Raises:
            VirtualTimeError: The server is somewhere else.
            OSError: There is no server.
        """
        if options.get("sock") is not None:
            return await super().create_connection(protocol_factory, **options)
        server, accept, ssl = self._servers.get(port, (None, None, None))
        if server is None or not server.is_serving() or not _is_loopback(host):
            return await self._refuse(host, port)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        task = self.create_task(self._accept(accept, theirs, ssl))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        if options.get("ssl") and options.get("server_hostname") is None:
            options["server_hostname"] = host
        kept = {name: value for name, value in options.items() if name not in _TCP_ONLY}
        return await super().create_connection(protocol_factory, sock=ours, **kept)

    async def _accept(self, accept: Any, theirs: socket.socket, ssl: Any) -> None:
        try:
            await self.connect_accepted_socket(accept, theirs, ssl=ssl)
        except OSError:  # of the TLS handshake: the other end is told as well
            theirs.close()

    async def _refuse(self, host: Any, port: Any) -> Any:
        """Fail as a connection to where nobody listens fails, or say that it would not."""
        if _is_loopback(host):
            self._busy += 1
            try:
                transport, _ = await super().create_connection(asyncio.Protocol, host, port)
            finally:
                self._busy -= 1
            transport.abort()
        raise VirtualTimeError(
            f"virtual time cannot wait for {host}:{port}, which is outside this event loop: "
            "replace it in the test, or let the test run in real time"
        )


def _is_loopback(host: Any) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
