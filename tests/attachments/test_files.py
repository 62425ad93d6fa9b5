"""Blocking calls in worker threads."""

from __future__ import annotations

import asyncio
import threading

import pytest

from connect_chat.files import in_thread


async def test_a_cancelled_call_is_waited_for_and_undone() -> None:
    """What it opened is not lost, and what it works on can be closed then."""
    begun, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    undone: list[str] = []

    def call() -> str:
        loop.call_soon_threadsafe(begun.set)
        may_end.wait(10)
        return "opened"

    task = asyncio.create_task(in_thread(call, undo=undone.append))
    await begun.wait()
    task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undone == ["opened"]
