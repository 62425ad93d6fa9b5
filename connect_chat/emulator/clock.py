"""Time: what o'clock it is, and what is to happen later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Clock", "timestamp"]


class Clock:
    """The one source of time of an emulator: a wall clock, and timers on the running loop.

    Args:
        now: Returns the time in seconds since 1970, UTC.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self._timers: set[asyncio.TimerHandle] = set()

    def after(self, delay: float, callback: Callable[..., None], *args: Any) -> Callable[[], None]:
        """Call ``callback(*args)`` in ``delay`` seconds; return what calls that off."""

        def fire() -> None:
            self._timers.discard(timer)
            callback(*args)

        def cancel() -> None:
            self._timers.discard(timer)
            timer.cancel()

        timer = asyncio.get_running_loop().call_later(max(0, delay), fire)
        self._timers.add(timer)
        return cancel

    def cancel_all(self) -> None:
        """Call off everything that is still to happen."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


def timestamp(milliseconds: int) -> str:
    """Return a time in the service's spelling, ``2019-11-08T02:41:28.172Z``.

    Args:
        milliseconds: Since 1970, UTC.
    """
    seconds, rest = divmod(milliseconds, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z"
