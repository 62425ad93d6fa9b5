"""What an item costs, and what a chat occupies, at its beginning and after very many items."""

from __future__ import annotations

import asyncio
import gc
import sys
import time

from connect_chat import ChatSession, SessionOptions
from tests.benchmarks.load import Load, load
from tests.benchmarks.machine import in_fresh_process, resident
from tests.benchmarks.row import Missing, Row
from tests.benchmarks.sessions import client_at, enter_sessions
from tests.benchmarks.virtual import INTERVAL, VirtualChat

__all__ = ["measure"]

_MIB = 1024 * 1024
_COMPARED = 3
_BEGINNING = 1000

_BURST = 1_000_000
_BURST_BLOCK = 10_000
_BURST_PLATEAU = 100_000
# Without the transcript, what is remembered grows to its bound: the worst case for memory.
_BURST_OPTIONS = SessionOptions(reorder_window=0, relooks=(), audit_interval=3600)
_BURST_NOTE = (
    f"One chat over one websocket at full speed, reorder_window=0, the transcript not read "
    f"meanwhile. The {_COMPARED} last tenths against the first {_COMPARED} blocks of "
    f"{_BURST_BLOCK:,} after {_BEGINNING:,}."
)

_LONG = 100_000
_LONG_BLOCK = 5000
_LONG_NOTE = (
    f"The engine alone, by a clock of its own: {_LONG * INTERVAL / 3600:.1f} hours, an item every "
    f"{INTERVAL * 1000:.0f} ms, default options, with heartbeats, rotations and audits. The "
    f"{_COMPARED} last blocks of {_LONG_BLOCK:,} against the first after {_BEGINNING:,}."
)


def measure(rounds: int) -> list[Row | Missing]:
    """Return the rows. There is one run of each, whatever the rounds: it is long enough."""
    del rounds
    return [*in_fresh_process(_measure_burst), *in_fresh_process(_measure_long)]


def _measure_burst() -> list[Row | Missing]:
    with load() as process:
        return asyncio.run(_burst(process))


async def _burst(process: Load) -> list[Row | Missing]:
    costs: list[float] = []
    plateau = 0
    (chat,) = chats = process.new_chats(1)
    async with (
        client_at(process.address) as client,
        enter_sessions(client, chats, _BURST_OPTIONS) as (session,),
    ):
        await _block(process, chat, session, _BEGINNING)
        for number in range(1, _BURST // _BURST_BLOCK + 1):
            costs.append(await _block(process, chat, session, _BURST_BLOCK))
            if number * _BURST_BLOCK == _BURST_PLATEAU:
                plateau = _resident()
        end = _resident()
    tenth = len(costs) // 10
    late = [
        sum(costs[at : at + tenth]) / tenth
        for at in range(len(costs) - _COMPARED * tenth, len(costs), tenth)
    ]
    return [
        Row(
            "growth.burst",
            f"CPU of an item after {_BURST:,} at full speed",
            "at the beginning",
            "µs",
            late,
            costs[:_COMPARED],
            "cost",
            1.2,
            _BURST_NOTE,
        ),
        _memory("growth.burst.memory", _BURST, _BURST_PLATEAU, end, plateau),
    ]


async def _block(process: Load, chat: int, session: ChatSession, count: int) -> float:
    """Receive so many; return the microseconds of CPU of each."""
    push = process.prepare([chat], count)
    gc.collect()
    began = time.process_time()
    push()
    left = count
    async for _ in session:
        left -= 1
        if not left:
            break
    return (time.process_time() - began) / count * 1e6


def _measure_long() -> list[Row | Missing]:
    chat = VirtualChat(SessionOptions())
    chat.say(chat.texts(_BEGINNING))
    costs, plateau = [], 0
    for number in range(1, _LONG // _LONG_BLOCK + 1):
        costs.append(_virtual_block(chat, _LONG_BLOCK))
        if number * _LONG_BLOCK == _LONG // 10:
            plateau = _resident()
    return [
        Row(
            "growth.long",
            f"CPU of an item after {_LONG:,} at 10/s",
            "at the beginning",
            "µs",
            costs[-_COMPARED:],
            costs[:_COMPARED],
            "cost",
            1.2,
            _LONG_NOTE,
        ),
        _memory("growth.long.memory", _LONG, _LONG // 10, _resident(), plateau),
    ]


def _virtual_block(chat: VirtualChat, count: int) -> float:
    texts, received, served = chat.texts(count), chat.received, chat.served
    gc.collect()
    began = time.process_time()
    chat.say(texts)
    used = time.process_time() - began - (chat.served - served)
    # Some that were said last still wait for earlier ones.
    if abs(chat.received - received - count) > 10:
        raise RuntimeError(f"{chat.received - received} items of {count} were handed out")
    return used / count * 1e6


def _resident() -> int:
    return resident() if sys.platform == "linux" else 0


def _memory(name: str, count: int, before: int, end: int, plateau: int) -> Row | Missing:
    if not plateau:
        return Missing(name, "resident memory is read from /proc")
    return Row(
        name,
        f"resident memory after {count:,} items",
        f"after {before:,}",
        "MiB",
        [end / _MIB],
        [plateau / _MIB],
        "extra",
        1,
        "Of the whole process, after gc.collect and malloc_trim.",
    )
