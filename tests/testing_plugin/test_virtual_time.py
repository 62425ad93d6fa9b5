"""The event loop whose clock jumps, and what it takes care of."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
import pytest
import trustme

from connect_chat.testing import VirtualTimeError, VirtualTimeLoop, run_in_virtual_time

HOUR = 3600.0


def now() -> float:
    return asyncio.get_running_loop().time()


def test_waiting_takes_no_time() -> None:
    """A day is over in a moment; sleepers wake in their order, at their times."""
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(now())

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for hours in (20, 3, 7):
                group.create_task(sleep(hours * HOUR))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(HOUR):
                await asyncio.Event().wait()

    began = time.monotonic()
    run_in_virtual_time(main())
    assert woken == [3 * HOUR, 7 * HOUR, 20 * HOUR]
    assert time.monotonic() - began < 5


def test_the_result_is_returned_and_errors_are_raised() -> None:
    """As by asyncio.run."""

    async def give() -> int:
        return 42

    async def fail() -> None:
        raise ZeroDivisionError

    assert run_in_virtual_time(give()) == 42
    with pytest.raises(ZeroDivisionError):
        run_in_virtual_time(fail())


def test_the_wall_clock_moves_along() -> None:
    """It begins at the real time."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        assert abs(loop.wall_time() - time.time()) < 5
        before = loop.wall_time()
        await asyncio.sleep(HOUR)
        assert loop.wall_time() - before == pytest.approx(HOUR)

    run_in_virtual_time(main())


@contextlib.asynccontextmanager
async def echo_server(**options: object) -> AsyncIterator[int]:
    """Run a server that sends back what it gets, and yield its port."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0, **options) as server:
        yield server.sockets[0].getsockname()[1]


async def exchange(port: int, size: int, **options: object) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    data = b"x" * size
    sending = asyncio.create_task(writer.drain())
    writer.write(data)
    assert await reader.readexactly(size) == data
    await sending
    writer.close()
    await writer.wait_closed()


def test_no_time_passes_while_bytes_are_under_way() -> None:
    """However many, and though a timer is always due soon."""

    async def main() -> None:
        async def tick() -> None:
            for _ in range(1_000_000):
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        async with echo_server() as port:
            before = now()
            await exchange(port, 10_000_000)
            await asyncio.gather(*(exchange(port, 1000) for _ in range(20)))
            assert now() == before
        ticking.cancel()

    run_in_virtual_time(main())


def test_tls_works_as_ever(tmp_path: Path) -> None:
    """Over the pair of sockets; who does not trust the certificate gets an error."""
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_context)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)

    async def main() -> None:
        async with echo_server(ssl=server_context) as port:
            await exchange(port, 100_000, ssl=trusting)
            with pytest.raises(ssl.SSLCertVerificationError):
                await exchange(port, 1, ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    run_in_virtual_time(main())


@pytest.mark.parametrize("to_thread", [asyncio.to_thread, anyio.to_thread.run_sync])
def test_the_clock_runs_as_ever_while_a_thread_works(to_thread: object) -> None:
    """A timeout of an hour does not strike while it does, and one of 10 ms does."""

    async def main() -> None:
        released = threading.Event()
        async with asyncio.timeout(HOUR):
            await to_thread(time.sleep, 0.05)
        assert now() < 10
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.shield(asyncio.create_task(to_thread(released.wait)))
        released.set()
        assert now() < 10

    run_in_virtual_time(main())


def test_threads_may_connect_as_ever() -> None:
    """To a server of the loop, by TCP."""

    def talk(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"Hello")
            return connection.recv(5)

    async def main() -> None:
        async with echo_server() as port:
            assert await asyncio.to_thread(talk, port) == b"Hello"

    run_in_virtual_time(main())


def test_a_server_that_is_closed_or_never_was_refuses() -> None:
    """As without virtual time."""

    async def main() -> None:
        async with echo_server() as port:
            await exchange(port, 1)
        with pytest.raises(ConnectionRefusedError):
            await exchange(port, 1)

    run_in_virtual_time(main())


def test_what_is_elsewhere_cannot_be_waited_for() -> None:
    """Neither another machine nor a server of another thread: the error says what to do."""

    async def main(port: int) -> None:
        for host in ("127.0.0.1", "service.example"):
            with pytest.raises(VirtualTimeError, match=f"{host}:{port}.*real time"):
                await asyncio.open_connection(host, port)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        run_in_virtual_time(main(listening.getsockname()[1]))


def test_a_socket_that_is_connected_already_is_used() -> None:
    """That is the caller's own."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
        theirs.sendall(b"Hello")
        assert await reader.readexactly(5) == b"Hello"
        writer.close()
        await writer.wait_closed()
        theirs.close()

    run_in_virtual_time(main())


def test_waiting_for_nothing_is_an_error() -> None:
    """Without a timer, nothing can ever happen."""
    with pytest.raises(VirtualTimeError, match="no timer"):
        run_in_virtual_time(asyncio.Event().wait())


def test_what_never_ends_is_an_error() -> None:
    """After a day of its clock, unless it may take longer."""

    async def tick(hours: int) -> None:
        for _ in range(hours):
            await asyncio.sleep(HOUR)

    with pytest.raises(VirtualTimeError, match="within 86400 s of virtual time"):
        run_in_virtual_time(tick(25))
    run_in_virtual_time(tick(25), limit=48 * HOUR)
