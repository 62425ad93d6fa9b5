"""What the tests of the hub share."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connect_chat import ChatSession, Item, Message, ParticipantClient, SessionOptions, Snapshot
from connect_chat.emulator import Emulator

QUICK = SessionOptions(reorder_window=0, backoff_base=0.01, relooks=(0.05,))


@asynccontextmanager
async def service() -> AsyncIterator[tuple[Emulator, ParticipantClient]]:
    async with (
        Emulator() as emulator,
        ParticipantClient(endpoint_url=emulator.url, quota=None) as client,
    ):
        yield emulator, client


class Texts:
    """A handler that keeps the texts of each contact and can be waited for."""

    def __init__(self) -> None:
        self.of: defaultdict[str | None, list[str]] = defaultdict(list)
        self._changed = asyncio.Event()

    async def __call__(self, chat: ChatSession, item: Item) -> None:
        if isinstance(item, Message):
            self.of[chat.contact_id].append(item.text)
        self._changed.set()

    async def until(self, count: int) -> None:
        while sum(map(len, self.of.values())) < count:
            self._changed.clear()
            await self._changed.wait()


class MemoryStore:
    """A store that lives as long as the test."""

    def __init__(self) -> None:
        self.dumps: dict[str, str] = {}

    async def save(self, snapshot: Snapshot) -> None:
        self.dumps[snapshot.key] = snapshot.dump()

    async def delete(self, key: str) -> None:
        self.dumps.pop(key, None)

    async def load(self) -> AsyncIterator[Snapshot]:
        for dump in list(self.dumps.values()):
            yield Snapshot.load(dump)

    def copy(self) -> MemoryStore:
        """Return what another process would find if this one died now."""
        other = MemoryStore()
        other.dumps = dict(self.dumps)
        return other
