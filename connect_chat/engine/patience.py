"""When to give up: after so long without success, not counting the wait for our own turn."""

from __future__ import annotations

from connect_chat.engine.timers import Timers

__all__ = ["Patience"]

_ALARM = "give up"


class Patience:
    """Sets the alarm ``give up``, and stops its clock while a call waits under the quota.

    In a crowd the queue alone takes longer than anything may take: 5,000 chats need 14 minutes at
    six connections a second. That is no sign that anything is wrong.
    """

    __slots__ = ("_at", "_left", "_timers", "_waiting")

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._at: float | None = None
        self._left: float | None = None
        self._waiting = False

    def begin(self, seconds: float, now: float) -> None:
        """Give up in so many seconds, unless that is about to happen already."""
        if self._at is None and self._left is None:
            self._left = seconds
            self._run(now)

    def end(self) -> None:
        """Do not give up."""
        self._at = self._left = None
        self._timers.cancel(_ALARM)

    def wait(self, now: float) -> None:
        """Stop the clock: the call has to wait for its turn."""
        self._waiting = True
        if self._at is not None:
            self._left = max(0.0, self._at - now)
            self._at = None
            self._timers.cancel(_ALARM)

    def go_on(self, now: float) -> None:
        """Let the clock run: the call is under way, or there is none."""
        self._waiting = False
        self._run(now)

    def _run(self, now: float) -> None:
        if self._left is not None and not self._waiting:
            self._at = now + self._left
            self._left = None
            self._timers.set(_ALARM, self._at)
