"""What pages are shown of each chat, numbered and kept in a file.

A page names the last number that it has and gets what comes after it, whichever process wrote
that. This is what makes a page's stream exact: the hub may hand an item out a second time when
the process died before its snapshot was saved, but here it has its number already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple, Self

import aiosqlite

TABLE = """
CREATE TABLE IF NOT EXISTS event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    contact TEXT NOT NULL, item TEXT NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL,
    UNIQUE (contact, item)
)
"""


class Event(NamedTuple):
    """What a page shows: a message, a notice or the end; ``data`` is JSON."""

    number: int
    kind: str
    data: str


class ChatLog:
    """The log of all chats, in an SQLite database.

    It holds what was said: keep it as long as your rules on such data allow.
    """

    def __init__(self, path: str) -> None:
        self._database = aiosqlite.connect(path, isolation_level=None)
        self._pages: dict[str, set[asyncio.Event]] = {}
        self.closing = False

    async def __aenter__(self) -> Self:
        await self._database
        await self._database.execute("PRAGMA journal_mode=WAL")
        await self._database.execute(TABLE)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._database.close()

    async def append(self, contact_id: str, item_id: str, kind: str, data: str) -> None:
        """Add an event, unless its item has one already."""
        await self._database.execute(
            "INSERT OR IGNORE INTO event (contact, item, kind, data) VALUES (?, ?, ?, ?)",
            (contact_id, item_id, kind, data),
        )
        self.announce(contact_id)

    async def since(self, contact_id: str, number: int) -> list[Event]:
        """Return a chat's events after a number."""
        rows = await self._database.execute_fetchall(
            "SELECT number, kind, data FROM event WHERE contact = ? AND number > ? ORDER BY number",
            (contact_id, number),
        )
        return [Event(*row) for row in rows]

    # Who waits for news.

    @contextmanager
    def page(self, contact_id: str) -> Iterator[asyncio.Event]:
        """Give a page's stream what is set whenever there is news of its chat."""
        news = asyncio.Event()
        pages = self._pages.setdefault(contact_id, set())
        pages.add(news)
        try:
            yield news
        finally:
            pages.remove(news)
            if not pages:
                del self._pages[contact_id]

    def announce(self, contact_id: str) -> None:
        """Tell a chat's pages that there is news."""
        for news in self._pages.get(contact_id, ()):
            news.set()

    def close(self) -> None:
        """Tell all pages that the server is about to stop."""
        self.closing = True
        for contact_id in self._pages:
            self.announce(contact_id)
