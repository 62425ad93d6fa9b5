"""The sockets of one chat: when to ask for one, replace it, rotate it, and when to give up.

At most one link carries the chat (`current`) and at most one is on its way (`coming`); a third
may be retiring for a moment. Never more than two of them hold a socket, of the five that the
service allows a participant.

What happened is reported through `Watcher`, whose methods the session implements.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from connect_chat.engine.backoff import Backoff
from connect_chat.engine.commands import Command, Forget, Grant, RequestConnection, Trace, Urgency
from connect_chat.engine.frames import HeartbeatAnswer, PingAnswer, SubscribeAnswer
from connect_chat.engine.lifetime import connection_lifetime
from connect_chat.engine.link import Link, LinkState
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.patience import Patience
from connect_chat.engine.timers import Timers
from connect_chat.errors import NotConnectedError

__all__ = ["Links", "Watcher"]

# However soon the service says that a socket will expire, it is not replaced sooner than this.
_SOONEST_ROTATION = 2.0
# Who waits this long for a connection is one of many that need one: about 60 by default.
_CROWD = 10.0
# A link that lived this long was no part of a series of failures.
_STABLE_AFTER = 30.0


class Watcher(Protocol):
    """What a session must hear of its links."""

    def link_live(self, now: float, *, continuous: bool) -> None:
        """A link has become the chat's. ``continuous``: the one before it was live until now."""

    def link_lost(self, now: float) -> None:
        """No link is live, so that items may be missed from here on."""

    def still_lost(self, now: float) -> None:
        """An attempt to get a live link has failed, and there is none."""

    def link_doubtful(self, now: float) -> None:
        """The chat is live, but something said before may not have arrived."""

    def link_retired(self, now: float) -> None:
        """The link before this one proved that it had nothing left to deliver."""

    def gave_up(self, now: float, cause: Exception | None) -> None:
        """Nothing worked for as long as the options allow."""

    def shut_out(self, now: float, cause: Exception) -> None:
        """The first connection cannot be had, however often it is tried."""


class Links:
    """Keeps one link live.

    Attributes:
        current: The live (or suspect) link, or None.
        coming: The link that is being asked for, opened or subscribed, or None.
        asked: How many connections were asked for.
        rotations: How many links replaced one that was live.
    """

    def __init__(
        self,
        options: SessionOptions,
        timers: Timers,
        rng: Random,
        emit: Callable[[Command], None],
        watcher: Watcher,
        number: Callable[[], int],
    ) -> None:
        self.current: Link | None = None
        self.coming: Link | None = None
        self.asked = 0
        self.rotations = 0
        self._retiring: Link | None = None
        self._options = options
        self._timers = timers
        self._rng = rng
        self._emit = emit
        self._watcher = watcher
        self._number = number
        self._backoff = Backoff(options.backoff_base, options.backoff_cap, rng)
        self._patience = Patience(timers)
        self._first: Urgency = "connect"
        self._queued_at = 0.0
        self._in_a_crowd = False
        self._deep_wait = options.deep_backoff
        self._deep_not_before = 0.0
        self._cause: Exception | None = None
        self._ever_live = False
        self._at_leisure = False
        self._winding_down = False

    @property
    def live(self) -> bool:
        """Whether items arrive, as far as is known."""
        return self.current is not None and self.current.state is LinkState.LIVE

    @property
    def asking(self) -> bool:
        """Whether a connection is being asked for, or is about to be."""
        coming = self.coming
        return "ask" in self._timers or (coming is not None and coming.state is LinkState.ASKED)

    def start(self, now: float, urgency: Urgency = "connect") -> None:
        """Ask for the first connection."""
        self._first = urgency
        self._patience.begin(self._options.connect_timeout, now)
        self._ask(now)

    def wind_down(self) -> None:
        """Ask for nothing more; listen to what is open."""
        self._winding_down = True
        if self.coming is not None:
            self._drop(self.coming, "the chat is ending")
            self.coming = None
        self._ask_no_more()

    def stop(self, why: str) -> None:
        """Close everything and ask for nothing more."""
        self._winding_down = True
        for link in (self.coming, self.current, self._retiring):
            if link is not None:
                self._drop(link, why)
        self.coming = self.current = self._retiring = None
        self._ask_no_more()

    def _ask_no_more(self) -> None:
        self._patience.end()
        self._timers.cancel("ask")
        self._timers.cancel("rotate")

    # The connection.

    def granted(self, request: int, grant: Grant, issued_at: float, now: float) -> None:
        """Take a connection that was asked for and came at ``issued_at``, and open its socket."""
        link = self.coming
        if link is None or link.id != request:
            return
        if grant.url is None:
            self._failed(link, "no URL was given", now)
            return
        link.granted(grant.url, issued_at + connection_lifetime(grant), issued_at)
        self._open(link, now)

    def refused(self, request: int, error: Exception, now: float) -> None:
        """Note that no connection was given for now; ask again after a pause."""
        link = self.coming
        if link is None or link.id != request:
            return
        retry_after = getattr(error, "retry_after", None)
        self._failed(link, "no connection was given", now, cause=error, retry_after=retry_after)

    def awaits(self, request: int) -> bool:
        """Whether ``request`` is the connection being asked for."""
        return self.coming is not None and self.coming.id == request

    def queued(self, now: float) -> None:
        """Note that the connection being asked for waits for its turn under the quota."""
        self._patience.wait(now)
        self._queued_at = now

    def turn_came(self, now: float) -> None:
        """Note that it no longer does."""
        self._patience.go_on(now)
        waited = now - self._queued_at
        self._in_a_crowd = not self._at_leisure and waited > _CROWD

    # The socket.

    def opened(self, number: int, now: float) -> None:
        """Note that a socket is open."""
        link = self._find(number)
        if link is not None and link.state is LinkState.OPENING:
            link.opened(now)

    def not_opened(
        self, number: int, reason: str, now: float, *, spent: bool, distrusted: bool = False
    ) -> None:
        """Note that a socket did not open.

        A server that is not trusted is not tried again on the way in. Where there was a connection
        before, it may be something in between, and pass.
        """
        link = self._find(number)
        if link is None or link.state is not LinkState.OPENING:
            return
        self._emit(Trace("link.failed", {"link": number, "reason": reason}, "warning"))
        self._cause = cause = NotConnectedError(f"the websocket could not be opened: {reason}")
        if distrusted and not self._ever_live and self._first == "connect":
            self._watcher.shut_out(now, cause)
        elif not link.not_opened(now, spent=spent):
            self._failed(link, "its socket could not be opened", now, cause=cause)

    def closed(self, number: int, code: int | None, now: float) -> None:
        """Note that a socket is gone."""
        link = self._find(number)
        if link is not None:
            self._emit(Trace("socket.closed", {"link": number, "code": code}))
            self._lose(link, "its socket was closed", now)

    def subscription_answered(self, number: int, answer: SubscribeAnswer, now: float) -> None:
        """Take a subscription's answer."""
        link = self._find(number)
        if link is None:
            return
        if link.subscription_answered(answer, now):
            self._became_live(link, now)
        elif link.state is LinkState.CLOSED:
            self._failed(link, "its subscription was refused", now)

    def heartbeat_answered(self, number: int, _answer: HeartbeatAnswer, now: float) -> None:
        """Take a heartbeat's answer."""
        link = self._find(number)
        if link is None:
            return
        had_retired = link.retired
        recovered = link.heartbeat_answered(now)
        if link.retired and not had_retired:
            link.linger(now)
        elif recovered and link is self.current:
            self._emit(Trace("link.back", {"link": number}))
            self._patience.end()
            self._timers.cancel("ask")
            self._plan_rotation(link, now)
            self._watcher.link_live(now, continuous=False)

    def ping_answered(self, number: int, answer: PingAnswer, now: float) -> None:
        """Take a deep heartbeat's answer."""
        link = self._find(number)
        if link is None:
            return
        was_ill = link.deep_failures > 0
        link.ping_answered(answer)
        if answer.healthy:
            self._deep_wait = self._options.deep_backoff
            if was_ill and link is self.current:
                # Nothing else tells what was not pushed while the far end was ill.
                self._watcher.link_doubtful(now)
        self._check_depth(link, now)

    # Time.

    def wake(self, alarm: str, now: float) -> None:
        """Do what an alarm of the chat says."""
        if alarm == "ask":
            self._ask(now)
        elif alarm == "rotate":
            if self.coming is None and "ask" not in self._timers:
                self._ask(now)
        elif alarm == "give up":
            self._watcher.gave_up(now, self._cause)

    def wake_link(self, alarm: str, number: int, now: float) -> None:
        """Do what an alarm of a link says."""
        link = self._find(number)
        if link is None:
            return
        if alarm == "open":
            if link.state is LinkState.ISSUED:
                self._open(link, now)
            else:
                self._failed(link, "its socket did not open in time", now)
        elif alarm == "silence":
            self._emit(Trace("link.silent", {"link": number}, "warning"))
            self._forget_failures(link, now)
            link.suspect()
            self._timers.cancel("rotate")
            self._missing(now)
        elif alarm == "retire":
            why = "retired" if link.retired else "it did not answer while retiring"
            self._dismiss(link, why, now)
        else:
            link.wake(alarm, now)
            if link.state is LinkState.CLOSED:
                self._failed(link, "its subscription was not answered", now)
            else:
                self._check_depth(link, now)

    # Decisions.

    def _ask(self, now: float) -> None:
        link = Link(self._number(), self._options, self._timers, self._emit)
        self.coming = link
        self.asked += 1
        self._patience.go_on(now)
        urgency: Urgency = "reconnect" if self._ever_live else self._first
        deadline: float | None = None
        if self.live and self.current is not None and now < self.current.expires_at:
            urgency, deadline = "rotate", self.current.expires_at
        self._at_leisure = deadline is not None
        self._emit(Trace("connection.asked", {"link": link.id, "urgency": urgency}))
        self._emit(RequestConnection(link.id, True, urgency, deadline))

    def _open(self, link: Link, now: float) -> None:
        if self._retiring is not None and self.current is not None and self.current.open:
            # Two sockets are enough: the oldest makes room, and what it still had is looked for.
            self._dismiss(self._retiring, "it made room", now)
        if not link.start_opening(now):
            self._failed(link, "its URL was too old", now)

    def _became_live(self, link: Link, now: float) -> None:
        before = self.current
        continuous = self.live
        self.current, self.coming = link, None
        self._ever_live = True
        self._cause = None
        self._patience.end()
        self._emit(Trace("link.live", {"link": link.id, "rotation": continuous}))
        if before is not None:
            if continuous:
                self.rotations += 1
                if self._retiring is not None:
                    self._dismiss(self._retiring, "a newer link retires", now)
                self._retiring = before
                before.retire(now)
            else:
                before.close("replaced")
        self._plan_rotation(link, now)
        self._watcher.link_live(now, continuous=continuous)

    def _plan_rotation(self, link: Link, now: float) -> None:
        lifetime = link.expires_at - now
        margin = min(self._options.rotation_margin, lifetime / 5)
        jitter = min(self._options.rotation_jitter, lifetime / 5)
        if self._in_a_crowd:
            # The others are connected at the same pace; they would rotate at it, too, every time.
            jitter = lifetime / 2
        at = max(link.expires_at - margin - jitter * self._rng.random(), now + _SOONEST_ROTATION)
        self._timers.set("rotate", at)

    def _check_depth(self, link: Link, now: float) -> None:
        """Replace a link whose far end is ill though its near end answers, but not in a storm."""
        if (
            link is self.current
            and link.state is LinkState.LIVE
            and link.deep_failures >= self._options.deep_failures
            and self.coming is None
            and "ask" not in self._timers
            and now >= self._deep_not_before
            and not self._winding_down
        ):
            self._deep_not_before = now + self._deep_wait
            self._deep_wait = min(self._deep_wait * 2, self._options.deep_backoff * 16)
            self._emit(Trace("link.ill", {"link": link.id}, "warning"))
            self._watcher.link_doubtful(now)
            self._ask(now)

    def _lose(self, link: Link, why: str, now: float) -> None:
        link.close(why)
        if link is self._retiring:
            self._dismiss(link, why, now)
        elif link is self.coming:
            self._failed(link, why, now)
        elif link is self.current:
            self.current = None
            self._timers.cancel("rotate")
            self._forget_failures(link, now)
            self._missing(now)

    def _dismiss(self, link: Link, why: str, now: float) -> None:
        """Close the retiring link; what it may still have had is looked for."""
        self._retiring = None
        link.close(why)
        if link.retired:
            self._watcher.link_retired(now)
        else:
            self._watcher.link_doubtful(now)

    def _missing(self, now: float) -> None:
        """Start over: no link is live."""
        if self._winding_down:
            return
        self._patience.begin(self._options.give_up_after, now)
        coming = self.coming
        if coming is not None and coming.state is LinkState.ASKED and self._at_leisure:
            # Ask again as somebody whose chat is broken.
            self._drop(coming, "asked again with more urgency")
            self._ask(now)
        elif coming is None and "ask" not in self._timers:
            self._ask_after(now, None)
        self._watcher.link_lost(now)

    def _forget_failures(self, link: Link, now: float) -> None:
        """Begin anew with a link that fails after it was live for long."""
        if link.live_at is not None and now - link.live_at >= _STABLE_AFTER:
            self._backoff.reset()

    def _failed(
        self,
        link: Link,
        why: str,
        now: float,
        *,
        cause: Exception | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Note that the coming link came to nothing."""
        link.close(why)
        self.coming = None
        self._cause = cause or NotConnectedError(f"a websocket came to nothing: {why}")
        self._emit(Trace("connection.failed", {"link": link.id, "why": why}))
        self._ask_after(now, retry_after)
        if not self.live:
            self._watcher.still_lost(now)

    def _ask_after(self, now: float, retry_after: float | None) -> None:
        """Ask at once the first time, then after a growing pause."""
        first = self._backoff.tries == 0
        wait = self._backoff.next()
        if first and retry_after is None and self._ever_live:
            self._ask(now)
        else:
            self._timers.set("ask", now + max(wait, retry_after or 0.0))

    def _drop(self, link: Link, why: str) -> None:
        if link.state is LinkState.ASKED:
            self._emit(Forget(link.id))
        link.close(why)

    def _find(self, number: int) -> Link | None:
        for link in (self.current, self.coming, self._retiring):
            if link is not None and link.id == number and link.state is not LinkState.CLOSED:
                return link
        return None
