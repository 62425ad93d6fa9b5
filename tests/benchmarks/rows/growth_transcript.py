"""What an item of the transcript costs on connection, in short chats and long ones."""

from __future__ import annotations

import asyncio
import gc
import time
from functools import partial
from typing import NamedTuple

from connect_chat import ParticipantClient, SessionOptions
from tests.benchmarks.load import Load, load
from tests.benchmarks.rounds import in_turn
from tests.benchmarks.row import Missing, Row
from tests.benchmarks.script import KEPT, PERIOD
from tests.benchmarks.sessions import client_at, session

__all__ = ["measure"]

_SIZES = (100, 1000, 10_000)
_ITEMS = 10_000
_OPTIONS = SessionOptions(relooks=())
_NOTE = (
    f"Of about {_ITEMS:,} items in as many chats as it takes, received from sessions that connect "
    "one after the other; what the connection of a chat with one item costs is taken off. "
    "{calls} GetTranscript calls a chat, {kept:,} items."
)


def measure(rounds: int) -> list[Row | Missing]:
    """Return a row for each length of a transcript."""
    with load() as process:
        return asyncio.run(_measure(process, rounds))


async def _measure(process: Load, rounds: int) -> list[Row | Missing]:
    async with client_at(process.address) as client:
        empty, *measured = await in_turn(
            rounds, *(partial(_connect, process, client, size) for size in (0, *_SIZES))
        )
    each = [
        [
            (chat.cost - connection.cost) / _kept(size) * 1e6
            for chat, connection in zip(chats, empty, strict=True)
        ]
        for size, chats in zip(_SIZES, measured, strict=True)
    ]
    shortest, *longer = each
    return [
        Row(
            f"growth.transcript.{size}",
            f"CPU of an item to merge, of {size:,}",
            f"of {_SIZES[0]:,}",
            "µs",
            costs,
            shortest,
            "cost",
            1.2,
            _NOTE.format(calls=round(chats[0].calls), kept=_kept(size)),
        )
        for size, costs, chats in zip(_SIZES[1:], longer, measured[1:], strict=True)
    ]


def _said(size: int) -> int:
    """Return how many items to say for the transcript to have ``size`` more, or just over."""
    return -(-size // KEPT) * PERIOD


def _kept(size: int) -> int:
    return _said(size) // PERIOD * KEPT


class _Chat(NamedTuple):
    """What a chat took: seconds of CPU, GetTranscript calls."""

    cost: float
    calls: float


async def _connect(process: Load, client: ParticipantClient, size: int) -> _Chat:
    """Connect to chats and receive what is in them; return what one took."""
    chats = process.new_chats(max(1, _ITEMS // size) if size else 50)
    process.say(chats, _said(size))
    gc.collect()
    used, before = 0.0, _reads(client)
    for chat in chats:
        began = time.process_time()
        async with session(client, chat, _OPTIONS) as one:
            for _ in range(1 + _kept(size)):
                await one.receive(30)
            used += time.process_time() - began
    return _Chat(used / len(chats), (_reads(client) - before) / len(chats))


def _reads(client: ParticipantClient) -> int:
    return client.stats.calls.get("GetTranscript", 0)
