"""Where snapshots are kept between two lives of a process.

A store is anything with the three methods of `SnapshotStore`. Two real ones ship with the
library: `SqliteSnapshotStore` (extra ``sqlite``) and `RedisSnapshotStore` (extra ``redis``).
Snapshots hold tokens in the clear: protect the file or the server as you would a password.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from connect_chat.engine.snapshot import Snapshot
from connect_chat.errors import MissingExtraError

if TYPE_CHECKING:
    import aiosqlite
    import redis.asyncio

__all__ = ["RedisSnapshotStore", "SnapshotStore", "SqliteSnapshotStore"]


_REDIS_COMMANDS = 16


class SnapshotStore(Protocol):
    """Keeps one snapshot per participant, by its ``key``."""

    async def save(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, in place of the participant's older one; durable on return."""

    async def delete(self, key: str) -> None:
        """Forget a participant's snapshot, if there is one."""

    def load(self) -> AsyncIterator[Snapshot]:
        """Iterate over all snapshots, in any order."""


class SqliteSnapshotStore:
    """Keeps snapshots in an SQLite database, a file of this machine.

    Saves that come while one is being written are written together, in one transaction, so that
    thousands of chats can be saved after each of their items.

    Args:
        path: The database file; made, readable by its owner only, if it does not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            import aiosqlite
        except ModuleNotFoundError as error:
            raise MissingExtraError("SqliteSnapshotStore", "sqlite") from error
        self._connect = aiosqlite.connect
        self._path = os.fspath(path)
        self._database: aiosqlite.Connection | None = None
        # What the next transaction will write, by key: a dump, or None to delete.
        self._pending: dict[str, str | None] = {}
        self._written: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._database = await self._connect(self._path, isolation_level=None)
        await self._database.execute("PRAGMA journal_mode=WAL")
        await self._database.execute("PRAGMA synchronous=FULL")
        await self._database.execute(
            "CREATE TABLE IF NOT EXISTS snapshot (key TEXT PRIMARY KEY, dump TEXT NOT NULL)"
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Write what is pending, and close the database. Idempotent."""
        if self._writer is not None:
            await asyncio.wait([self._writer])
        database, self._database = self._database, None
        if database is not None:
            await database.close()

    async def save(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; on return it is on disk."""
        await self._write(snapshot.key, snapshot.dump())

    async def delete(self, key: str) -> None:
        """Forget a participant's snapshot; on return it is gone from disk."""
        await self._write(key, None)

    async def load(self) -> AsyncIterator[Snapshot]:
        """Iterate over all snapshots."""
        async with self._open().execute("SELECT dump FROM snapshot") as rows:
            async for (dump,) in rows:
                yield Snapshot.load(dump)

    async def _write(self, key: str, dump: str | None) -> None:
        self._open()
        self._pending[key] = dump
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        written = self._written
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_pending())
        # Cancelled, the caller stops waiting; the others' snapshots are in the same transaction.
        await asyncio.shield(written)

    async def _write_pending(self) -> None:
        try:
            while self._written is not None:
                pending, self._pending = self._pending, {}
                written, self._written = self._written, None
                try:
                    await self._transact(pending)
                except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
                    written.set_exception(error)
                    written.exception()
                else:
                    written.set_result(None)
        finally:
            self._writer = None

    async def _transact(self, pending: dict[str, str | None]) -> None:
        database = self._open()
        await database.execute("BEGIN IMMEDIATE")
        try:
            await database.executemany(
                "INSERT OR REPLACE INTO snapshot VALUES (?, ?)",
                [(key, dump) for key, dump in pending.items() if dump is not None],
            )
            await database.executemany(
                "DELETE FROM snapshot WHERE key = ?",
                [(key,) for key, dump in pending.items() if dump is None],
            )
        except BaseException:
            await database.execute("ROLLBACK")
            raise
        await database.execute("COMMIT")

    def _open(self) -> aiosqlite.Connection:
        if self._database is None:
            raise RuntimeError("the store is not open: use it inside `async with`")
        return self._database


class RedisSnapshotStore:
    """Keeps snapshots in one hash of a Redis server.

    Args:
        client: An asyncio client of the ``redis`` package; it stays the caller's to close.
        name: The name of the hash.
    """

    def __init__(
        self, client: redis.asyncio.Redis, *, name: str = "connect_chat:snapshots"
    ) -> None:
        # The package's types differ between versions in whether answers are awaitable.
        self._client: Any = client
        self._name = name
        # The client opens a connection for each command at a time, and fails beyond its limit.
        self._turn = asyncio.Semaphore(_REDIS_COMMANDS)

    async def save(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; as durable as the server is configured to be."""
        async with self._turn:
            await self._client.hset(self._name, snapshot.key, snapshot.dump())

    async def delete(self, key: str) -> None:
        """Forget a participant's snapshot."""
        async with self._turn:
            await self._client.hdel(self._name, key)

    async def load(self) -> AsyncIterator[Snapshot]:
        """Iterate over all snapshots."""
        async for _, dump in self._client.hscan_iter(self._name):
            yield Snapshot.load(dump)
