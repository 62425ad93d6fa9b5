"""From the moment a frame is sent until its item is in the reader's hands, against a bare loop."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from websockets.asyncio.client import ClientConnection

from connect_chat import ChatSession, Message, SessionOptions
from tests.benchmarks.load import Load, load
from tests.benchmarks.reference import bare_sockets, item_of
from tests.benchmarks.rounds import in_turn
from tests.benchmarks.row import Missing, Row
from tests.benchmarks.sessions import client_at, enter_sessions
from tests.benchmarks.statistics import percentile

__all__ = ["measure"]

T = TypeVar("T")

_BARE = "websockets recv, from_json twice"
_AT_ONCE = SessionOptions(reorder_window=0, relooks=())
_DEFAULT = SessionOptions(relooks=())
_HELD = "An item waits 0.1 s for an earlier one: see SessionOptions.reorder_window."


class Delay(NamedTuple):
    """Microseconds, of half and of 99 % of the items."""

    p50: float
    p99: float


def measure(rounds: int) -> list[Row | Missing]:
    """Return the rows: quiet and busy, p50 and p99, delivered at once and with the default."""
    with load() as process:
        return [*asyncio.run(_quiet(process, rounds)), *asyncio.run(_busy(process, rounds))]


async def _quiet(process: Load, rounds: int) -> list[Row]:
    """Measure one chat of each kind, all at the same time: their items take turns, too."""
    rate, count = 50, 200
    async with _chats(process, 1) as kinds:
        chats = [kind.chats[0] for kind in kinds]

        async def window() -> list[Delay]:
            receiving = [kind.receive(count) for kind in kinds]
            process.pace(chats, count * len(kinds), rate * len(kinds), stamped=True)
            return await asyncio.gather(*receiving)

        (windows,) = await in_turn(rounds, window)
    return _rows("quiet", f"{rate} items/s in a chat", *zip(*windows, strict=True))


async def _busy(process: Load, rounds: int) -> list[Row]:
    """Measure many chats of each kind, one kind after the other."""
    rate, count = 1000, 2000
    async with _chats(process, 200) as kinds:

        async def window(kind: _Kind) -> Delay:
            receiving = asyncio.ensure_future(kind.receive(count // len(kind.chats)))
            process.pace(kind.chats, count, rate, stamped=True)
            return await receiving

        measured = await in_turn(rounds, *(partial(window, kind) for kind in kinds))
    return _rows("busy", f"{rate:,} items/s over 200 chats", *measured)


def _rows(
    name: str, load_is: str, ours: Sequence[Delay], bare: Sequence[Delay], held: Sequence[Delay]
) -> list[Row]:
    return [
        Row(
            f"latency.{name}.{percent}{suffix}",
            f"{percent} of the delay, {load_is}, {options}",
            _BARE,
            "µs",
            [getattr(delay, percent) for delay in delays],
            [getattr(delay, percent) for delay in bare],
            "cost",
            target,
            note,
        )
        for delays, suffix, options, target, note in (
            (ours, "", "reorder_window=0", 2.0, ""),
            (held, ".default", "default options", None, _HELD),
        )
        for percent in Delay._fields
    ]


class _Kind(Generic[T]):
    """Some chats, and how their items are received."""

    def __init__(
        self,
        chats: Sequence[int],
        readers: Sequence[T],
        read: Callable[[T, int, list[int]], Awaitable[None]],
    ) -> None:
        self.chats = chats
        self._readers = readers
        self._read = read

    async def receive(self, each: int) -> Delay:
        """Receive so many items in each chat; return how long they took."""
        delays: list[int] = []
        gc.collect()
        await asyncio.gather(*(self._read(reader, each, delays) for reader in self._readers))
        return Delay(percentile(delays, 50) / 1000, percentile(delays, 99) / 1000)


@asynccontextmanager
async def _chats(process: Load, count: int) -> AsyncIterator[tuple[_Kind[Any], ...]]:
    """Hold chats of each kind: ours, bare, and ours with the default options."""
    ours, bare, held = (process.new_chats(count) for _ in range(3))
    async with (
        client_at(process.address) as client,
        enter_sessions(client, ours, _AT_ONCE) as at_once,
        bare_sockets(process.address, bare) as sockets,
        enter_sessions(client, held, _DEFAULT) as default,
    ):
        yield (
            _Kind(ours, at_once, _iterate),
            _Kind(bare, sockets, _recv),
            _Kind(held, default, _iterate),
        )


async def _iterate(chat: ChatSession, count: int, delays: list[int]) -> None:
    async for item in chat:
        now = time.perf_counter_ns()
        if not isinstance(item, Message):
            raise TypeError(f"not a message: {type(item).__name__}")
        delays.append(now - int(item.text))
        count -= 1
        if not count:
            return


async def _recv(socket: ClientConnection, count: int, delays: list[int]) -> None:
    async for text in socket:
        item = item_of(text)
        now = time.perf_counter_ns()
        delays.append(now - int(item["Content"]))
        count -= 1
        if not count:
            return
