"""Receiving: iterating over a session, against ChatJS in Node on the same frames."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks import script
from tests.benchmarks.load import Load, load, participant_token
from tests.benchmarks.rounds import in_turn
from tests.benchmarks.row import Missing, Row
from tests.benchmarks.rows.receive import AT_ONCE, BARE, Cost, receive_bare, receive_in_sessions
from tests.benchmarks.sessions import client_at

__all__ = ["measure"]

_FOLDER = Path(__file__).parents[2] / "clients" / "chatjs"
_ITEMS = 20_000
_HEARD = 0.9
"""So much of it at least is handed out: all kinds but "participant left" have a handler."""
_PATIENCE = 30.0
_NOTE = (
    "ChatJS gives each item to a handler as it comes: it drops no repeated ones, puts nothing in "
    "order, and Node's garbage collector works on other cores."
)


def measure(rounds: int) -> list[Row | Missing]:
    """Return the rows, where Node and ChatJS are there."""
    if shutil.which("node") is None:
        return [Missing("receive.chatjs", "there is no Node.js here")]
    if not (_FOLDER / "node_modules" / "amazon-connect-chatjs").is_dir():
        return [Missing("receive.chatjs", "ChatJS is not installed: make bench does it with npm")]
    with load() as process:
        return asyncio.run(_measure(process, rounds))


class _ChatJs:
    """ChatJS at work in one chat."""

    def __init__(self, process: Load, chat: int, node: asyncio.subprocess.Process) -> None:
        self._process = process
        self._chat = chat
        self._node = node
        self._said = 1

    async def hear(self) -> dict[str, Any]:
        """Return what it says next.

        Raises:
            RuntimeError: It has ended, or says nothing.
        """
        assert self._node.stdout is not None
        try:
            line = await asyncio.wait_for(self._node.stdout.readline(), _PATIENCE)
        except TimeoutError:
            raise RuntimeError(f"ChatJS has said nothing for {_PATIENCE:g} s") from None
        if not line:
            raise RuntimeError("ChatJS has failed; see above")
        found: dict[str, Any] = json.loads(line)
        return found

    async def receive(self) -> Cost:
        """Have it receive a burst; return what an item cost."""
        assert self._node.stdin is not None
        push = self._process.prepare([self._chat], _ITEMS)
        self._said += _ITEMS
        last = script.identity(self._chat, self._said - 1)
        self._node.stdin.write(last.encode() + b"\n")
        await self.hear()
        push()
        heard = await self.hear()
        if heard["count"] < _ITEMS * _HEARD:
            raise RuntimeError(f"of {_ITEMS} items, ChatJS has handed out {heard['count']}")
        return Cost(heard["cpu"] / _ITEMS, heard["wall"] / _ITEMS)


@asynccontextmanager
async def _chatjs(process: Load) -> AsyncIterator[_ChatJs]:
    (chat,) = process.new_chats(1)
    node = await asyncio.create_subprocess_exec(
        *("node", str(_FOLDER / "counter.mjs"), process.address.url()),
        *(script.CONTACT, participant_token(chat)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        chatjs = _ChatJs(process, chat, node)
        await chatjs.hear()
        deadline = time.monotonic() + _PATIENCE
        while not process.subscribed:
            if time.monotonic() > deadline:
                raise RuntimeError(f"ChatJS has not subscribed within {_PATIENCE:g} s")
            await asyncio.sleep(0.05)
        yield chatjs
    finally:
        node.kill()
        await node.wait()


async def _measure(process: Load, rounds: int) -> list[Row | Missing]:
    async with client_at(process.address) as client, _chatjs(process) as chatjs:
        ours, bare, theirs = await in_turn(
            rounds,
            partial(receive_in_sessions, process, client, 1, _ITEMS, AT_ONCE),
            partial(receive_bare, process, 1, _ITEMS),
            chatjs.receive,
        )
    return [
        Row(
            f"receive.chatjs{suffix}",
            what,
            "ChatJS in Node",
            "µs",
            [getattr(cost, kind) for cost in measured],
            [getattr(cost, kind) for cost in theirs],
            "speed",
            target,
            _NOTE,
        )
        for suffix, what, measured, kind, target in (
            ("", "CPU of an item, one chat, reorder_window=0", ours, "cpu", 1.0),
            (".wall", "the same, by the clock", ours, "wall", 1.0),
            (".bare", f"CPU of an item, {BARE}", bare, "cpu", None),
        )
    ]
