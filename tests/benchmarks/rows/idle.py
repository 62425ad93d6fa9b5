"""The heartbeats of idle sessions, against bare websockets on which the same frames pass."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple, Self

from connect_chat import ChatSession, SessionOptions
from tests.benchmarks.load import Address, load
from tests.benchmarks.machine import Child, hear, most_files
from tests.benchmarks.reference import HEARTBEAT, PING, bare_sockets
from tests.benchmarks.row import Missing, Row
from tests.benchmarks.sessions import client_at, enter_sessions

__all__ = ["measure"]

_COUNT = 5000
_INTERVAL = 2.5
_TICK = 0.01
_OPTIONS = SessionOptions(heartbeat_interval=_INTERVAL, silence_timeout=20.0, relooks=())


class Usage(NamedTuple):
    """Seconds of CPU, and of the clock."""

    cpu: float
    wall: float

    @classmethod
    def now(cls) -> Self:
        return cls(time.process_time(), time.perf_counter())

    def __sub__(self, before: Usage) -> Usage:
        return Usage(self.cpu - before.cpu, self.wall - before.wall)


def measure(rounds: int) -> list[Row | Missing]:
    """Return the row: both at work at the same time, each in a process of its own."""
    count = min(_COUNT, (most_files() - 200) // 2)
    with (
        load() as process,
        Child(_hold_sessions, process.address, process.new_chats(count)) as ours,
        Child(_hold_bare, process.address, process.new_chats(count)) as bare,
    ):
        for child in (ours, bare):
            child.ask("ready")
        time.sleep(_INTERVAL)
        used: dict[Child, list[float]] = {ours: [], bare: []}
        for _ in range(rounds):
            before = {child: child.ask("usage") for child in used}
            time.sleep(_INTERVAL)
            for child, results in used.items():
                cpu, wall = child.ask("usage") - before[child]
                results.append(cpu / wall * _INTERVAL / count * 1e6)
        if process.subscribed != 2 * count:
            raise RuntimeError("not all connections lived through it")
    return [
        Row(
            "idle",
            f"CPU of a heartbeat and a ping, {count:,} idle sessions",
            "bare websockets, one timer",
            "µs",
            used[ours],
            used[bare],
            "cost",
            1.5,
            f"Every {_INTERVAL} s rather than 10 s, silence_timeout=20; both processes at once, "
            "each with a task per chat that receives; the reference's timer ticks every 10 ms.",
        )
    ]


def _hold_sessions(pipe: Connection, address: Address, chats: Sequence[int]) -> None:
    asyncio.run(_sessions(pipe, address, chats))


async def _sessions(pipe: Connection, address: Address, chats: Sequence[int]) -> None:
    async def read(chat: ChatSession) -> None:
        async for _ in chat:
            pass

    async with (
        client_at(address) as client,
        enter_sessions(client, chats, _OPTIONS) as sessions,
        asyncio.TaskGroup() as group,
    ):
        reading = [group.create_task(read(chat)) for chat in sessions]
        await _answer(pipe)
        for task in reading:
            task.cancel()


def _hold_bare(pipe: Connection, address: Address, chats: Sequence[int]) -> None:
    asyncio.run(_bare(pipe, address, chats))


async def _bare(pipe: Connection, address: Address, chats: Sequence[int]) -> None:
    async with bare_sockets(address, chats) as sockets, asyncio.TaskGroup() as group:

        async def read(number: int) -> None:
            async for _ in sockets[number]:
                pass

        async def beat() -> None:
            loop = asyncio.get_running_loop()
            began, sent = loop.time(), 0
            while True:
                due = int((loop.time() - began) / _INTERVAL * len(sockets))
                for number in range(sent, due):
                    socket = sockets[number % len(sockets)]
                    await socket.send(HEARTBEAT)
                    await socket.send(PING)
                sent = max(sent, due)
                await asyncio.sleep(_TICK)

        tasks = [group.create_task(read(number)) for number in range(len(sockets))]
        tasks.append(group.create_task(beat()))
        await _answer(pipe)
        for task in tasks:
            task.cancel()


async def _answer(pipe: Connection) -> None:
    """Answer what is asked over the pipe, until that is to stop."""
    gc.collect()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    answers: dict[str, Callable[[], object]] = {"ready": bool, "usage": Usage.now}

    def take() -> None:
        command = hear(pipe)
        if command in answers:
            pipe.send(answers[command]())
        else:
            stop.set()

    loop.add_reader(pipe.fileno(), take)
    await stop.wait()
    loop.remove_reader(pipe.fileno())
