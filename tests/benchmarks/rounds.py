"""Rounds: ours, the reference, ours, the reference, …, so that what disturbs one disturbs both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

__all__ = ["at_most", "in_turn"]

T = TypeVar("T")


async def in_turn(rounds: int, *measures: Callable[[], Awaitable[T]]) -> list[list[T]]:
    """Return, for each measure, what it returned in each round.

    One more round comes before those, and does not count: the first time costs more.
    """
    results: list[list[T]] = [[] for _ in measures]
    for number in range(rounds + 1):
        for result, measure in zip(results, measures, strict=True):
            measured = await measure()
            if number:
                result.append(measured)
    return results


async def at_most(limit: int, calls: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """Await calls, so many at a time; return their results in order."""
    waiting = iter(enumerate(calls))
    results: dict[int, T] = {}

    async def work() -> None:
        for number, call in waiting:
            results[number] = await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(limit):
            group.create_task(work())
    return [results[number] for number in sorted(results)]
