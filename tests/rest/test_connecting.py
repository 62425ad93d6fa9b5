"""Connecting to hosts with several addresses."""

from __future__ import annotations

import asyncio
import socket
from functools import partial

import pytest

from connect_chat.transport.connecting import connect

PORT = 443


class Protocol(asyncio.Protocol):
    """Knows whether it is connected."""

    transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None


class Host:
    """A host whose addresses behave as they are told, whatever is really there.

    Attributes:
        silent: The addresses that do not answer; the others do.
        refusing: The addresses that refuse.
        tried: The addresses that were tried, and when.
        gate: Set when the silent ones are to answer after all.
    """

    def __init__(self, monkeypatch, far_ends, *addresses, silent=(), refusing=()):
        self.silent, self.refusing = silent, refusing
        self.tried = []
        self.gate = asyncio.Event()
        self._far_ends = far_ends
        self._loop = asyncio.get_running_loop()
        self._found = [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, 1, 6, "", (one, PORT))
            for one in addresses
        ]
        self._create_connection = self._loop.create_connection
        monkeypatch.setattr(self._loop, "getaddrinfo", self._getaddrinfo)
        monkeypatch.setattr(self._loop, "create_connection", self._connect)

    @property
    def addresses(self):
        return [address for address, _ in self.tried]

    async def _getaddrinfo(self, host, port, **_):
        return self._found

    async def _connect(self, factory, address, port):
        self.tried.append((address, self._loop.time()))
        if address in self.refusing:
            raise ConnectionRefusedError(f"{address} refuses")
        if address in self.silent:
            await self.gate.wait()
        near, far = socket.socketpair()
        self._far_ends.append(far)
        near.setblocking(False)
        return await self._create_connection(factory, sock=near)


@pytest.fixture
def host(monkeypatch):
    """Make a host."""
    far_ends = []
    yield partial(Host, monkeypatch, far_ends)
    for far in far_ends:
        far.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_it_really_connects(name):
    """To an address, and to a name that may have one more where nobody listens."""
    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", 0)
    async with server:
        protocol = await connect(Protocol, name, server.sockets[0].getsockname()[1])
        protocol.transport.abort()
        await asyncio.sleep(0)


async def test_families_take_turns(host):
    """The system's first address first, then one of the other family."""
    there = host("::1", "::2", "127.0.0.1", refusing={"::1", "127.0.0.1"})
    protocol = await connect(Protocol, "name.example", PORT)
    assert there.addresses == ["::1", "127.0.0.1", "::2"]
    protocol.transport.abort()
    await asyncio.sleep(0)


async def test_nobody_answers(host):
    there = host("::1", "127.0.0.1", refusing={"::1", "127.0.0.1"})
    with pytest.raises(ConnectionRefusedError, match=r"127\.0\.0\.1 refuses"):
        await connect(Protocol, "name.example", PORT)
    assert there.addresses == ["::1", "127.0.0.1"]


async def test_a_silent_address_costs_a_quarter_of_a_second(host):
    """Then the next one is tried beside it, and the one that answers is taken."""
    there = host("::1", "127.0.0.1", silent={"::1"})
    protocol = await connect(Protocol, "name.example", PORT)
    (_, first), (address, second) = there.tried
    assert address == "127.0.0.1"
    assert second - first > 0.24
    protocol.transport.abort()
    await asyncio.sleep(0)


async def test_the_first_may_still_answer_when_the_last_has_refused(host):
    there = host("::1", "127.0.0.1", silent={"::1"}, refusing={"127.0.0.1"})
    connecting = asyncio.create_task(connect(Protocol, "name.example", PORT))
    while len(there.tried) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    there.gate.set()
    (await connecting).transport.abort()
    await asyncio.sleep(0)


async def test_one_that_comes_too_late_is_closed(host):
    """Both answer in the same turn of the loop: one connection is kept."""
    made = []

    class Counted(Protocol):
        def __init__(self) -> None:
            made.append(self)

    there = host("::1", "127.0.0.1", silent={"::1", "127.0.0.1"})
    connecting = asyncio.create_task(connect(Counted, "name.example", PORT))
    while len(there.tried) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    there.gate.set()
    protocol = await connecting
    for _ in range(3):
        await asyncio.sleep(0)
    assert [one for one in made if one.transport] == [protocol]
    protocol.transport.abort()
    await asyncio.sleep(0)


async def test_cancelled_it_leaves_nothing(host):
    there = host("::1", "127.0.0.1", silent={"::1", "127.0.0.1"})
    connecting = asyncio.create_task(connect(Protocol, "name.example", PORT))
    while len(there.tried) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    connecting.cancel()
    await asyncio.wait([connecting])
    assert connecting.cancelled()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
