"""The memory of idle sessions, against as many bare websockets, each lot in a fresh process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec

from connect_chat import SessionOptions
from tests.benchmarks.load import Address, Load, load
from tests.benchmarks.machine import in_fresh_process, new_loop, resident
from tests.benchmarks.reference import bare_sockets
from tests.benchmarks.row import Missing, Row
from tests.benchmarks.sessions import client_at, enter_sessions

__all__ = ["measure", "measure_tls"]

_KIB = 1024
_COUNT = 2000
_WARM_UP = 50
# They take long, and hardly differ.
_ROUNDS = 2
# The later looks at the transcript leave nothing behind; nobody waits for them here.
_OPTIONS = SessionOptions(relooks=())
_NOTE = (
    f"Resident memory of {_COUNT:,} more connections after {_WARM_UP} others, after gc.collect and "
    "malloc_trim, {tls}; each session has read its transcript and handed out its one item."
)


def measure(rounds: int) -> list[Row | Missing]:
    """Return the row without TLS."""
    if sys.platform != "linux":
        return [Missing("memory", "resident memory is read from /proc")]
    with load() as process:
        ours, bare = _in_turn(process, min(rounds, _ROUNDS), "asyncio", tls=False)
    return [
        Row(
            "memory.plain",
            "of an idle session, ws",
            "a bare websocket",
            "KiB",
            ours,
            bare,
            "extra",
            12,
            _NOTE.format(tls="no TLS"),
        )
    ]


def measure_tls(rounds: int) -> list[Row | Missing]:
    """Return the rows with TLS, on each event loop."""
    if sys.platform != "linux":
        return [Missing("memory.tls", "resident memory is read from /proc")]
    rows: list[Row | Missing] = []
    rounds = min(rounds, _ROUNDS)
    with load() as process:
        ours, bare = _in_turn(process, rounds, "asyncio", tls=True)
        what, against, note = "of an idle session, wss, {}", "a bare websocket", "one TLS context"
        rows.append(
            Row(
                "memory.tls.asyncio",
                what.format("asyncio's loop"),
                against,
                "KiB",
                ours,
                bare,
                "cost",
                0.4,
                _NOTE.format(tls=note),
            )
        )
        if find_spec("uvloop") is None:
            return [*rows, Missing("memory.tls.uvloop", "uvloop is not installed")]
        ours, bare = _in_turn(process, rounds, "uvloop", tls=True)
        rows.append(
            Row(
                "memory.tls.uvloop",
                what.format("uvloop"),
                against,
                "KiB",
                ours,
                bare,
                "extra",
                12,
                _NOTE.format(tls=note),
            )
        )
    return rows


def _in_turn(
    process: Load, rounds: int, loop: str, *, tls: bool
) -> tuple[list[float], list[float]]:
    """Return the KiB of a session, and of a bare websocket, of each round."""
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(rounds):
        for results, sessions in ((ours, True), (bare, False)):
            chats = process.new_chats(_WARM_UP + _COUNT)
            results.append(in_fresh_process(_each, process.address, chats, loop, tls, sessions))
    return ours, bare


def _each(address: Address, chats: Sequence[int], loop: str, tls: bool, sessions: bool) -> float:
    """Return the KiB that a connection takes in this process."""
    with asyncio.Runner(loop_factory=lambda: new_loop(loop)) as runner:
        return runner.run(_measure(address, chats, tls=tls, sessions=sessions))


async def _measure(address: Address, chats: Sequence[int], *, tls: bool, sessions: bool) -> float:
    context = address.ssl_context() if tls else None
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(client_at(address, context))
        held = []
        before = 0
        for some in (chats[:_WARM_UP], chats[_WARM_UP:]):
            before = resident()
            if sessions:
                entered = enter_sessions(client, some, _OPTIONS)
                held.append(await stack.enter_async_context(entered))
            else:
                opened = bare_sockets(address, some, context)
                held.append(await stack.enter_async_context(opened))
            # Whatever ends a little later, such as the last transcript that is read.
            await asyncio.sleep(1)
        return (resident() - before) / _COUNT / _KIB
