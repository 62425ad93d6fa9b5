"""Receiving: iterating over a session, against a bare loop over the same frames."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from websockets.asyncio.client import ClientConnection

from connect_chat import ChatSession, ParticipantClient, SessionOptions
from tests.benchmarks.load import Load, load
from tests.benchmarks.reference import bare_sockets, item_of
from tests.benchmarks.rounds import in_turn
from tests.benchmarks.row import Missing, Row
from tests.benchmarks.sessions import client_at, enter_sessions

__all__ = ["AT_ONCE", "BARE", "Cost", "measure", "receive_bare", "receive_in_sessions"]

T = TypeVar("T")

BARE = "websockets recv, from_json twice"
_ITEMS = 20_000
_CHATS = 40
# Fewer than a reader's buffer holds, so that none falls behind however the burst comes in.
_EACH = 500
# The later looks at the transcript, up to 10 s after the first, would fall into the measurement.
AT_ONCE = SessionOptions(reorder_window=0, relooks=())
_DEFAULT = SessionOptions(relooks=())


class Cost(NamedTuple):
    """Microseconds an item."""

    cpu: float
    wall: float


def measure(rounds: int) -> list[Row | Missing]:
    """Return the rows: one chat that delivers at once, and many with the default options."""
    with load() as process:
        return asyncio.run(_measure(process, rounds))


async def _measure(process: Load, rounds: int) -> list[Row | Missing]:
    async with client_at(process.address) as client:
        one, bare_one, many, bare_many = await in_turn(
            rounds,
            partial(receive_in_sessions, process, client, 1, _ITEMS, AT_ONCE),
            partial(receive_bare, process, 1, _ITEMS),
            partial(receive_in_sessions, process, client, _CHATS, _EACH, _DEFAULT),
            partial(receive_bare, process, _CHATS, _EACH),
        )
    return [
        Row(
            "receive.one",
            "CPU of an item, one chat, reorder_window=0",
            BARE,
            "µs",
            [cost.cpu for cost in one],
            [cost.cpu for cost in bare_one],
            "speed",
            0.6,
        ),
        Row(
            "receive.one.wall",
            "the same, by the clock",
            BARE,
            "µs",
            [cost.wall for cost in one],
            [cost.wall for cost in bare_one],
            "speed",
            note="Wall time depends on what else the machine does.",
        ),
        Row(
            "receive.many",
            f"CPU of an item, {_CHATS} chats, default options",
            BARE,
            "µs",
            [cost.cpu for cost in many],
            [cost.cpu for cost in bare_many],
            "speed",
            0.6,
        ),
    ]


async def receive_in_sessions(
    process: Load, client: ParticipantClient, count: int, each: int, options: SessionOptions
) -> Cost:
    """Have so many sessions receive so many items each, all at once; return what one cost."""
    chats = process.new_chats(count)
    async with enter_sessions(client, chats, options) as sessions:
        return await _timed(process, chats, each, sessions, _iterate)


async def receive_bare(process: Load, count: int, each: int) -> Cost:
    """Have a bare loop do the same."""
    chats = process.new_chats(count)
    async with bare_sockets(process.address, chats) as sockets:
        return await _timed(process, chats, each, sockets, _recv)


async def _timed(
    process: Load,
    chats: Sequence[int],
    each: int,
    readers: Sequence[T],
    receive: Callable[[T, int], Awaitable[None]],
) -> Cost:
    """Return the cost of an item, of ``each`` pushed to every reader."""
    push = process.prepare(chats, each)
    gc.collect()
    receiving = [asyncio.ensure_future(receive(reader, each)) for reader in readers]
    wall, cpu = time.perf_counter(), time.process_time()
    push()
    await asyncio.gather(*receiving)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(cpu / (each * len(readers)) * 1e6, wall / (each * len(readers)) * 1e6)


async def _iterate(chat: ChatSession, count: int) -> None:
    received = 0
    async for _ in chat:
        received += 1
        if received == count:
            return


async def _recv(socket: ClientConnection, count: int) -> None:
    received = 0
    async for text in socket:
        item_of(text)
        received += 1
        if received == count:
            return
