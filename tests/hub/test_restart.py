"""A process that is killed with its chats, and another one that goes on with them."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from connect_chat import SqliteSnapshotStore
from connect_chat.emulator import Emulator

ROOT = Path(__file__).parents[2]
CHATS = 50
ROUNDS = 6

Handled = dict[str, list[str]]


async def hold(url: str, database: Path, tokens: list[str]) -> Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.hub.holder", url, str(database)),
        cwd=ROOT,
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdin is not None
    process.stdin.write("".join(f"{token}\n" for token in tokens).encode())
    process.stdin.write_eof()
    return process


async def note(process: Process, handled: Handled, *, kill_at: int | None = None) -> None:
    """Note what a process handles, by contact, until it has ended or was killed."""
    assert process.stdout is not None
    count = 0
    async for line in process.stdout:
        contact_id, item_id = line.decode().split()
        handled[contact_id].append(item_id)
        count += 1
        if count == kill_at:
            process.kill()
    await process.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(2))
async def test_a_killed_process_loses_nothing_and_repeats_at_most_what_was_in_flight(
    seed: int, tmp_path: Path
) -> None:
    """Every item is handled, in order; at most one of each chat is handled by both processes.

    The hub saves a chat's snapshot after each item, before the next one is handed out. So of
    each chat, all that was handled before the kill is saved but, at most, the last item: its
    handler had returned (its line is there) and the snapshot was still on its way to the disk.
    The other process gets that one again, first. Any other repetition, and any gap, would show
    in the order: what the one handled and what the other handled, joined there, is the transcript.
    """
    rng = Random(seed)
    database = tmp_path / "chats.db"
    before: Handled = defaultdict(list)
    after: Handled = defaultdict(list)

    def all_but_the_end(contact_id: str) -> bool:
        handled = {*before[contact_id], *after[contact_id]}
        return len(handled) == len(emulator.transcript(contact_id))

    async with Emulator() as emulator, asyncio.timeout(40):
        chats = [await emulator.start_chat() for _ in range(CHATS)]
        contact_ids = [chat.contact_id for chat in chats]
        first = await hold(emulator.url, database, [chat.participant_token for chat in chats])
        kill_at = rng.randint(CHATS, CHATS * (ROUNDS - 1))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(note(first, before, kill_at=kill_at))
            await until(lambda: emulator.open_connections() == CHATS)
            for _ in range(ROUNDS):
                for contact_id in rng.sample(contact_ids, CHATS):
                    await emulator.say(contact_id, "something")
                    await asyncio.sleep(0.001)
        assert first.returncode == -signal.SIGKILL
        second = await hold(emulator.url, database, [])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(note(second, after))
            # Once a chat has ended, its transcript can no longer be read.
            await until(lambda: all(map(all_but_the_end, contact_ids)))
            for contact_id in contact_ids:
                emulator.end_chat(contact_id)
        assert second.returncode == 0
        for contact_id in contact_ids:
            one, other = before[contact_id], after[contact_id]
            in_flight = one[-1:] == other[:1]
            said = [item["Id"] for item in emulator.transcript(contact_id)]
            assert one + other[in_flight:] == said
    async with SqliteSnapshotStore(database) as store:
        assert [snapshot async for snapshot in store.load()] == []
