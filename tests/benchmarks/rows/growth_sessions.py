"""What an item costs in a process with one chat, and with thousands."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

from connect_chat import SessionOptions
from tests.benchmarks.load import Address, Load, load
from tests.benchmarks.machine import Child, hear, most_files
from tests.benchmarks.reference import bare_sockets, item_of
from tests.benchmarks.row import Missing, Row
from tests.benchmarks.sessions import client_at, enter_sessions

__all__ = ["measure"]

_SIZES = (1, 50, 1000, 5000)
_ITEMS = 2000
# Opening so many takes longer than measuring them.
_ROUNDS = 3
# So slow that no two share a read, which would be cheap for one chat, and happens to no others.
_RATE = 800.0
# Heartbeats and looks at the transcript are matters of their own.
_OPTIONS = SessionOptions(
    reorder_window=0,
    relooks=(),
    audit_interval=3600,
    heartbeat_interval=3600,
    silence_timeout=7200,
)
_NOTE = (
    f"{_ITEMS:,} items, {_RATE:,.0f} a second, each in a write of its own and to the chats in "
    "turn; reorder_window=0, no heartbeats or audits. Each number of chats has its own process."
)


def measure(rounds: int) -> list[Row | Missing]:
    """Return a row for each number of sessions, and one for how a bare loop fares."""
    largest = min(_SIZES[-1], (most_files() - 2000) // 2)
    sizes = (*_SIZES[:-1], largest)
    with load() as process, ExitStack() as stack:

        def start(hold: Callable[..., None], size: int) -> _Holder:
            chats = process.new_chats(size)
            return _Holder(process, stack.enter_context(Child(hold, process.address, chats)), chats)

        ours = [start(_hold_sessions, size) for size in sizes]
        bare = [start(_hold_bare, size) for size in (1, largest)]
        for number in range(min(rounds, _ROUNDS) + 1):
            for holder in (*ours, *bare):
                holder.measure(counts=number > 0)
    smallest, *larger = ours
    return [
        *(
            Row(
                f"growth.sessions.{size}",
                f"CPU of an item with {size:,} sessions",
                "with one",
                "µs",
                holder.costs,
                smallest.costs,
                "cost",
                1.2,
                _NOTE,
            )
            for size, holder in zip(sizes[1:], larger, strict=True)
        ),
        Row(
            "growth.sessions.bare",
            f"CPU of an item with {largest:,} bare websockets",
            "with one",
            "µs",
            bare[1].costs,
            bare[0].costs,
            "cost",
            note="For comparison.",
        ),
    ]


class _Holder:
    """A process that holds chats, and what an item has cost it."""

    def __init__(self, process: Load, child: Child, chats: Sequence[int]) -> None:
        self.costs: list[float] = []
        self._process = process
        self._child = child
        self._chats = chats

    def measure(self, *, counts: bool) -> None:
        self._child.ask(_ITEMS)
        self._process.pace(self._chats, _ITEMS, _RATE)
        cost = self._child.hear()
        if counts:
            self.costs.append(cost)


def _hold_sessions(pipe: Connection, address: Address, chats: Sequence[int]) -> None:
    asyncio.run(_sessions(pipe, address, chats))


async def _sessions(pipe: Connection, address: Address, chats: Sequence[int]) -> None:
    async with (
        client_at(address) as client,
        enter_sessions(client, chats, _OPTIONS) as sessions,
    ):
        await _receive(pipe, sessions, lambda item: item)


def _hold_bare(pipe: Connection, address: Address, chats: Sequence[int]) -> None:
    asyncio.run(_bare(pipe, address, chats))


async def _bare(pipe: Connection, address: Address, chats: Sequence[int]) -> None:
    async with bare_sockets(address, chats) as sockets:
        await _receive(pipe, sockets, item_of)


async def _receive(
    pipe: Connection, readers: Sequence[AsyncIterator[Any]], take: Callable[[Any], Any]
) -> None:
    """Receive as many items as is said, all readers together; tell what one cost, in µs of CPU."""
    awaited, began = 0, 0.0
    stop = asyncio.Event()

    def command() -> None:
        nonlocal awaited, began
        heard = hear(pipe)
        if heard == "stop":
            stop.set()
            return
        gc.collect()
        awaited, began = heard, time.process_time()
        pipe.send(None)

    async def read(reader: AsyncIterator[Any]) -> None:
        nonlocal awaited
        async for item in reader:
            take(item)
            awaited -= 1
            if not awaited:
                pipe.send((time.process_time() - began) / _ITEMS * 1e6)

    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        reading = [group.create_task(read(reader)) for reader in readers]
        loop.add_reader(pipe.fileno(), command)
        await stop.wait()
        for task in reading:
            task.cancel()
