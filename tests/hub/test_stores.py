"""The stores of snapshots: the same promises, kept by a file and by a server."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis.asyncio
from pydantic import SecretStr

from connect_chat import RedisSnapshotStore, Snapshot, SnapshotStore, SqliteSnapshotStore


def snapshot(token: str, **values: object) -> Snapshot:
    return Snapshot(participant_token=SecretStr(token), **values)


async def loaded(store: SnapshotStore) -> dict[str, Snapshot]:
    return {one.key: one async for one in store.load()}


@asynccontextmanager
async def redis_server(folder: Path) -> AsyncIterator[redis.asyncio.Redis]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian's package redis-server)")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    process = await asyncio.create_subprocess_exec(program, *arguments, stdout=subprocess.PIPE)
    client = redis.asyncio.Redis(port=port)
    try:
        assert process.stdout is not None
        await process.stdout.readuntil(b"Ready to accept connections")
        yield client
    finally:
        await client.aclose()
        process.terminate()
        await process.communicate()


@pytest.fixture(params=["sqlite", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def store_of(kind: str, folder: Path) -> AsyncIterator[SnapshotStore]:
    if kind == "sqlite":
        async with SqliteSnapshotStore(folder / "chats.db") as store:
            yield store
    else:
        async with redis_server(folder) as client:
            yield RedisSnapshotStore(client)


async def test_the_last_snapshot_of_each_participant_is_kept(kind: str, tmp_path: Path) -> None:
    async with store_of(kind, tmp_path) as store:
        last = snapshot("one", contact_id="c", last_time=datetime(2026, 1, 1, tzinfo=UTC))
        for one in (snapshot("one"), last, snapshot("two")):
            await store.save(one)
        assert await loaded(store) == {last.key: last, snapshot("two").key: snapshot("two")}
        assert (await loaded(store))[last.key].participant_token.get_secret_value() == "one"


async def test_a_deleted_snapshot_is_gone_and_deleting_it_again_is_fine(
    kind: str, tmp_path: Path
) -> None:
    async with store_of(kind, tmp_path) as store:
        await store.save(snapshot("one"))
        for _ in range(2):
            await store.delete(snapshot("one").key)
        assert await loaded(store) == {}


async def test_saves_at_once_are_all_kept(kind: str, tmp_path: Path) -> None:
    async with store_of(kind, tmp_path) as store:
        await asyncio.gather(*(store.save(snapshot(f"{number}")) for number in range(300)))
        assert len(await loaded(store)) == 300


async def test_a_file_outlives_its_process_and_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    async with SqliteSnapshotStore(path) as store:
        await store.save(snapshot("one"))
    assert os.stat(path).st_mode & 0o077 == 0
    async with SqliteSnapshotStore(path) as store:
        assert len(await loaded(store)) == 1


async def test_a_cancelled_save_does_not_cost_the_others_theirs(tmp_path: Path) -> None:
    async with SqliteSnapshotStore(tmp_path / "chats.db") as store:
        saves = [asyncio.create_task(store.save(snapshot(f"{number}"))) for number in range(10)]
        await asyncio.sleep(0)
        saves[0].cancel()
        await asyncio.gather(*saves, return_exceptions=True)
        assert len(await loaded(store)) >= 9


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await SqliteSnapshotStore(tmp_path / "chats.db").save(snapshot("one"))
