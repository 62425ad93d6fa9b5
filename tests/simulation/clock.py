"""Virtual time: a queue of what is going to happen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any

__all__ = ["Clock", "to_datetime", "to_millis", "to_text"]

EPOCH = datetime(2025, 5, 24, 8, 0, tzinfo=UTC)
"""The service's clock when the simulation's shows 0."""


def to_datetime(seconds: float) -> datetime:
    """Return what the service's clock shows at a simulated moment."""
    return EPOCH + timedelta(seconds=seconds)


def to_text(millis: int) -> str:
    """Return an AbsoluteTime, given in milliseconds since `EPOCH`, in the service's spelling."""
    return (EPOCH + timedelta(milliseconds=millis)).isoformat(timespec="milliseconds")[:-6] + "Z"


def to_millis(value: datetime) -> int:
    """Return a moment of the service's clock in milliseconds since `EPOCH`."""
    return round((value - EPOCH).total_seconds() * 1000)


class Clock:
    """The one clock of a simulated world, in seconds from 0."""

    __slots__ = ("_count", "_queue", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, time: float, action: Callable[..., Any], *arguments: object) -> None:
        """Have ``action`` done at ``time``; among equals, the first asked for comes first."""
        self._count += 1
        heappush(self._queue, (time, self._count, action, arguments))

    def after(self, delay: float, action: Callable[..., Any], *arguments: object) -> None:
        """Have ``action`` done ``delay`` seconds from now."""
        self._count += 1
        heappush(self._queue, (self.now + delay, self._count, action, arguments))

    def run(self, until: float) -> None:
        """Let everything happen that is due up to ``until``."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            time, _, action, arguments = heappop(queue)
            if time > self.now:
                self.now = time
            action(*arguments)
        self.now = max(self.now, until)
