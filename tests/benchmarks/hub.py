"""Many chats in one process: opened, talked in, cut all at once, and compared with transcripts.

    python tests/benchmarks/hub.py [--chats 2000] [--rounds 5] [--store]

The emulator runs in a process of its own. Calls are not paced here, so that what is measured is
the machine and not the documented quota of six connections a second. In every round one thing is
said in every chat; all sockets are cut in the middle of one round. The exit status is 0 only if
nothing is lost, repeated or out of order. With ``--store``, each chat's snapshot is saved to an
SQLite file after each item.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from connect_chat import (
    ChatHub,
    ChatSession,
    Item,
    ParticipantClient,
    SnapshotStore,
    SqliteSnapshotStore,
)
from connect_chat.emulator import Emulator, EmulatorSettings

KIB, MIB = 1024, 1024 * 1024


# --- The process with the emulator ---------------------------------------------------------------


def serve(pipe: Connection) -> None:
    """Run an emulator, and do what the other end of the pipe asks for."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    chats: list[str] = []
    async with Emulator(settings=EmulatorSettings(max_items=10_000_000)) as emulator:

        async def say(number: int) -> None:
            for index, contact_id in enumerate(chats):
                await emulator.say(contact_id, f"Round {number}: hello, this is a message.")
                if index % 50 == 0:
                    await asyncio.sleep(0)

        pipe.send(emulator.url)
        while True:
            match await asyncio.to_thread(pipe.recv):
                case ("start", int(count)):
                    started = [await emulator.start_chat() for _ in range(count)]
                    chats.extend(chat.contact_id for chat in started)
                    pipe.send([(chat.contact_id, chat.participant_token) for chat in started])
                case ("say", int(number)):
                    await say(number)
                    pipe.send(None)
                case ("cut", int(number)):
                    saying = asyncio.create_task(say(number))
                    await asyncio.sleep(0.01)
                    pipe.send(emulator.drop_connections())
                    await saying
                case ("transcripts", _):
                    pipe.send(
                        {chat: [item["Id"] for item in emulator.transcript(chat)] for chat in chats}
                    )
                case _:
                    return


@contextmanager
def emulator_process() -> Iterator[Connection]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    process.start()
    try:
        yield ours
    finally:
        ours.send(("stop", 0))
        process.join()


async def ask(pipe: Connection, command: str, argument: int = 0) -> Any:
    pipe.send((command, argument))
    return await asyncio.to_thread(pipe.recv)


# --- The process with the chats ------------------------------------------------------------------


class Handled:
    """What has been handled, by contact, and how long that took."""

    def __init__(self) -> None:
        self.items: defaultdict[str, list[str]] = defaultdict(list)
        self.count = 0
        self._wanted = 0
        self._reached = asyncio.Event()

    async def __call__(self, chat: ChatSession, item: Item) -> None:
        self.items[chat.contact_id or ""].append(item.id or "")
        self.count += 1
        if self.count == self._wanted:
            self._reached.set()

    async def until(self, count: int) -> None:
        """Wait until so many items have been handled, for ten minutes at most."""
        self._wanted = count
        self._reached.clear()
        if self.count < count:
            async with asyncio.timeout(600):
                await self._reached.wait()


@contextmanager
def timed(what: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    print(
        f"{what:<38}{time.perf_counter() - wall:8.2f} s, {time.process_time() - cpu:6.2f} s of CPU"
    )


def memory() -> int:
    """Return the bytes of memory that this process occupies (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@asynccontextmanager
async def holding(url: str, store: SnapshotStore | None) -> AsyncIterator[tuple[ChatHub, Handled]]:
    handled = Handled()
    async with (
        ParticipantClient(endpoint_url=url, quota=None) as client,
        ChatHub(client, on_item=handled, store=store, concurrency=1000) as hub,
    ):
        yield hub, handled


async def measure(pipe: Connection, chats: int, rounds: int, store: SnapshotStore | None) -> bool:
    """Run it all and print what it took; return whether nothing was lost or repeated."""
    async with holding(pipe.recv(), store) as (hub, handled):
        started = await ask(pipe, "start", chats)
        before = memory()
        with timed(f"open {chats:,} chats"):
            await asyncio.gather(*(hub.open(token, contact_id=chat) for chat, token in started))
        # Each chat has an item already: its customer's joining.
        await handled.until(chats)
        print(f"{'memory of a chat':<38}{(memory() - before) / chats / KIB:8.1f} KiB")
        for number in range(1, rounds + 1):
            if number != rounds // 2 + 1:
                with timed("one item in each"):
                    await ask(pipe, "say", number)
                    await handled.until(chats * (number + 1))
                continue
            with timed("one in each while all sockets are cut"):
                dropped = await ask(pipe, "cut", number)
                await handled.until(chats * (number + 1))
                while hub.stats.states != {"connected": chats}:  # noqa: ASYNC110 - no event of its
                    await asyncio.sleep(0.02)
            print(f"{'sockets cut':<38}{dropped:8,}")
        transcripts = await ask(pipe, "transcripts")
        # What would be repeated would come after that.
        await asyncio.sleep(2)
        stats = hub.stats
        print(f"{'memory altogether':<38}{memory() / MIB:8.1f} MiB")
        print(f"{'hub.get of the last chat':<38}{lookup(hub, started[-1][0]):8.1f} µs")
    print(
        f"connections {stats.counters['connections']:,}, gaps {stats.counters['gaps']:,}, "
        f"duplicates dropped {stats.counters['duplicates']:,}, late {stats.counters['late']:,}, "
        f"errors {stats.errors:,}"
    )
    return compare(transcripts, handled.items)


def lookup(hub: ChatHub, contact_id: str) -> float:
    """Return how long it takes to find a chat, in microseconds."""
    begun = time.perf_counter()
    for _ in range(100):
        hub.get(contact_id)
    return (time.perf_counter() - begun) / 100 * 1e6


def compare(transcripts: dict[str, list[str]], handled: dict[str, list[str]]) -> bool:
    """Print and return whether what was handled is what the transcripts keep, in order."""
    lost = repeated = disordered = total = 0
    for chat, said in transcripts.items():
        got = handled[chat]
        total += len(said)
        lost += len(set(said) - set(got))
        repeated += len(got) - len(set(got))
        disordered += got != said and sorted(got) == sorted(said)
    print(f"items {total:,}, lost {lost}, repeated {repeated}, chats out of order {disordered}")
    return lost == repeated == disordered == 0


async def main(chats: int, rounds: int, *, save: bool) -> bool:
    with TemporaryDirectory() as folder, emulator_process() as pipe:
        path = Path(folder, "chats.db")
        async with SqliteSnapshotStore(path) if save else nullcontext() as store:
            return await measure(pipe, chats, rounds, store)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chats", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", action="store_true", help="save snapshots to an SQLite file")
    arguments = parser.parse_args()
    good = asyncio.run(main(arguments.chats, arguments.rounds, save=arguments.store))
    sys.exit(0 if good else 1)
