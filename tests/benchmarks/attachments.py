"""What a large file costs in memory and time, up and down.

    python tests/benchmarks/attachments.py

The emulator runs in a process of its own, so that what is measured is the client alone. Memory is
measured twice: what Python allocates (tracemalloc, which slows things down) and what the process
occupies (the kernel's high-water mark; on Linux).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from connect_chat import ChatSession, ParticipantClient

MIB = 1024 * 1024
SIZE = 20 * MIB
MOST_EXTRA = 4 * MIB


@asynccontextmanager
async def emulator() -> AsyncIterator[str]:
    """Run an emulator in another process; yield its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "from connect_chat.cli import main; main()", "emulator", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def chat(url: str) -> AsyncIterator[ChatSession]:
    """Hold a new chat."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as web:
        answer = await web.put(
            f"{url}/contact/chat",
            json={
                "InstanceId": "instance",
                "ContactFlowId": "flow",
                "ParticipantDetails": {"DisplayName": "Ana"},
            },
        )
    token = answer.raise_for_status().json()["ParticipantToken"]
    async with (
        ParticipantClient(endpoint_url=url) as client,
        ChatSession(token, client=client) as session,
    ):
        yield session


class Transfers:
    """A file, to be sent and fetched in a chat."""

    def __init__(self, session: ChatSession, source: Path, target: Path) -> None:
        self._session = session
        self._source = source
        self._target = target
        self._id = ""

    async def up(self) -> None:
        sent = await self._session.send_attachment(self._source)
        self._id = sent.attachment_id

    async def down(self) -> None:
        await self._session.download_attachment(self._id, self._target)


@asynccontextmanager
async def transfers(size: int) -> AsyncIterator[Transfers]:
    """Prepare a file of ``size`` bytes, and a chat in which one was sent and fetched before."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "large.mp4"), Path(folder, "back.mp4")
        async with emulator() as url, chat(url) as session:
            source.write_bytes(b"x" * 1000)
            prepared = Transfers(session, source, target)
            await prepared.up()
            await prepared.down()
            with source.open("wb") as file:
                for _ in range(size // MIB):
                    file.write(bytes(MIB))
            yield prepared
            assert target.stat().st_size == size


async def allocated(step: Callable[[], Awaitable[None]]) -> int:
    """Return the bytes that Python allocates at most while a step runs, over what it had."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        await step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


async def occupied(step: Callable[[], Awaitable[None]]) -> int:
    """Return the bytes that the process occupies at most while a step runs, over what it did."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark is the level of now
    before = _status("VmRSS")
    await step()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


async def main() -> None:
    """Measure, and print."""
    worst = 0
    async with transfers(SIZE) as prepared:
        print(f"{SIZE // MIB} MiB        time    occupied    allocated")
        for name, step in (("up", prepared.up), ("down", prepared.down)):
            # The first time counts: a process keeps what it once occupied.
            began = time.perf_counter()
            rss = await occupied(step)
            took = time.perf_counter() - began
            peak = await allocated(step)
            worst = max(worst, rss, peak)
            print(f"{name:6}  {took:8.3f} s  {rss / MIB:6.2f} MiB  {peak / MIB:6.2f} MiB")
    print(f"at most {worst / MIB:.2f} MiB more than before; the target is {MOST_EXTRA // MIB} MiB")
    sys.exit(worst >= MOST_EXTRA)


if __name__ == "__main__":
    asyncio.run(main())
