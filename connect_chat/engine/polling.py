"""Without a websocket: the transcript is read again and again.

For networks that do not let websockets through. It takes the place of `Links`: connected is who
has a connection token and whose reads succeed. The pace follows the chat: every `poll_fastest`
seconds while something is said, then slower and slower down to `poll_slowest`, so that quiet
chats leave the instance's GetTranscript quota to busy ones.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from connect_chat.engine.backoff import Backoff
from connect_chat.engine.commands import (
    Command,
    Forget,
    Grant,
    RequestConnection,
    Trace,
    Urgency,
)
from connect_chat.engine.links import Watcher
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.patience import Patience
from connect_chat.engine.timers import Timers

__all__ = ["Polling"]

_SLOWER = 1.5


class Polling:
    """Decides when to read the transcript.

    Attributes:
        live: Whether the last read succeeded.
        asked: How many connections were asked for.
        rotations: How many replaced one that was live: none, here.
    """

    def __init__(
        self,
        options: SessionOptions,
        timers: Timers,
        rng: Random,
        emit: Callable[[Command], None],
        watcher: Watcher,
        number: Callable[[], int],
        poll: Callable[[float], None],
        delivered: Callable[[], int],
    ) -> None:
        self.live = False
        self.asked = 0
        self.rotations = 0
        self._options = options
        self._timers = timers
        self._emit = emit
        self._watcher = watcher
        self._number = number
        self._poll = poll
        self._count = delivered
        self._backoff = Backoff(options.backoff_base, options.backoff_cap, rng)
        self._patience = Patience(timers)
        self._urgency: Urgency = "connect"
        self._interval = options.poll_fastest
        self._request: int | None = None
        self._cause: Exception | None = None
        self._delivered = 0

    @property
    def asking(self) -> bool:
        """Whether a connection is being asked for, or is about to be."""
        return self._request is not None or "ask" in self._timers

    def start(self, now: float, urgency: Urgency = "connect") -> None:
        """Ask for a connection token, and to be counted as connected."""
        self._urgency = urgency
        self._patience.begin(self._options.connect_timeout, now)
        self._ask()

    def wind_down(self) -> None:
        """Poll no more."""
        if self._request is not None:
            self._emit(Forget(self._request))
            self._request = None
        self._patience.end()
        self._timers.cancel("ask")
        self._timers.cancel("poll")

    def stop(self, why: str) -> None:
        """Poll no more, and do not count as live."""
        del why
        self.wind_down()
        self.live = False

    def awaits(self, request: int) -> bool:
        """Whether ``request`` is the connection being asked for."""
        return request == self._request

    def queued(self, now: float) -> None:
        """Note that the connection being asked for waits for its turn under the quota."""
        self._patience.wait(now)

    def turn_came(self, now: float) -> None:
        """Note that it no longer does."""
        self._patience.go_on(now)

    def granted(self, _request: int, _grant: Grant, _issued_at: float, now: float) -> None:
        """Take the connection: begin to poll."""
        self._request = None
        self._succeeded(now)
        self._timers.set("poll", now + self._interval)

    def refused(self, _request: int, error: Exception, now: float) -> None:
        """Ask again after a pause."""
        self._request = None
        self._cause = error
        wait = max(self._backoff.next(), getattr(error, "retry_after", None) or 0.0)
        self._timers.set("ask", now + wait)

    def page_read(self, now: float) -> None:
        """Note that a read succeeded."""
        if not self.live:
            self._succeeded(now)
        delivered = self._count()
        if delivered != self._delivered:
            self._delivered = delivered
            self.something_said(now)

    def page_failed(self, error: Exception, now: float) -> None:
        """Note that a read failed."""
        self._cause = error
        if self.live:
            self.live = False
            self._patience.begin(self._options.give_up_after, now)
            self._watcher.link_lost(now)
        self._timers.set("poll", now + self._backoff.next())

    def something_said(self, now: float) -> None:
        """Poll soon: an answer may be on its way."""
        self._interval = self._options.poll_fastest
        if "poll" in self._timers:
            self._timers.set("poll", now + self._interval)

    def wake(self, alarm: str, now: float) -> None:
        """Do what an alarm says."""
        if alarm == "ask":
            self._ask()
        elif alarm == "give up":
            self._watcher.gave_up(now, self._cause)
        elif alarm == "poll":
            self._interval = min(self._interval * _SLOWER, self._options.poll_slowest)
            self._timers.set("poll", now + self._interval)
            self._poll(now)

    def _ask(self) -> None:
        self._request = self._number()
        self.asked += 1
        self._emit(Trace("connection.asked", {"transport": "polling"}))
        self._emit(
            RequestConnection(self._request, False, self._urgency, None, connect_participant=True)
        )

    def _succeeded(self, now: float) -> None:
        self.live = True
        self._cause = None
        self._backoff.reset()
        self._patience.end()
        self._watcher.link_live(now, continuous=False)
