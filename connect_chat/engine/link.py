"""One websocket's life, as a state machine.

Theory of operation
-------------------
A link begins as a question to the service and ends closed; it never comes back from there::

    state        entered when                            left for
    -----------  --------------------------------------  -------------------------------------
    ASKED        CreateParticipantConnection is called   ISSUED granted · CLOSED refused
    ISSUED       a URL came; 85 s to open it             OPENING · CLOSED too old
    OPENING      the shell opens the socket              SUBSCRIBING opened · ISSUED not reached
                                                         (the URL is unspent) · CLOSED refused
    SUBSCRIBING  the socket is open: we subscribe        LIVE accepted · CLOSED refused 5 times,
                                                         or unanswered 3 times
    LIVE         items flow; heartbeats every 10 s       SUSPECT silent · RETIRING replaced
    SUSPECT      15 s without a heartbeat's answer       LIVE it answered after all
    RETIRING     a newer link is live; a last heartbeat  (only CLOSED)
                 proves that everything pushed before
                 that moment has arrived here; what was
                 taken before is listened for a little
                 longer
    CLOSED       the socket is gone or unwanted

Every state may go to CLOSED. `TRANSITIONS` is this table for the machine; a step that is not in
it is a defect and raises. A link decides about itself only; what a loss means for the chat is
decided in `links.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from connect_chat.engine.commands import CloseSocket, Command, OpenSocket, SendFrame, Trace
from connect_chat.engine.frames import (
    HEARTBEAT,
    PING,
    SUBSCRIBE,
    PingAnswer,
    SubscribeAnswer,
)
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.timers import Timers

__all__ = ["TRANSITIONS", "Link", "LinkState"]

SUBSCRIBE_REFUSALS = 5
SUBSCRIBE_RETRY = 0.5
SUBSCRIBE_SILENCES = 3
SUBSCRIBE_TIMEOUT = 1.0
# Not reached at all, a socket may be opened again with the same URL, which is unspent and costs
# nobody's quota; so often, and this long after.
OPEN_TRIES = 3
OPEN_RETRY = 1.0


class LinkState(Enum):
    """Where a link is in its life; see the table above."""

    ASKED = auto()
    ISSUED = auto()
    OPENING = auto()
    SUBSCRIBING = auto()
    LIVE = auto()
    SUSPECT = auto()
    RETIRING = auto()
    CLOSED = auto()


_S = LinkState
TRANSITIONS: dict[LinkState, frozenset[LinkState]] = {
    _S.ASKED: frozenset({_S.ISSUED, _S.CLOSED}),
    _S.ISSUED: frozenset({_S.OPENING, _S.CLOSED}),
    _S.OPENING: frozenset({_S.SUBSCRIBING, _S.ISSUED, _S.CLOSED}),
    _S.SUBSCRIBING: frozenset({_S.LIVE, _S.CLOSED}),
    _S.LIVE: frozenset({_S.SUSPECT, _S.RETIRING, _S.CLOSED}),
    _S.SUSPECT: frozenset({_S.LIVE, _S.CLOSED}),
    _S.RETIRING: frozenset({_S.CLOSED}),
    _S.CLOSED: frozenset(),
}
_OPEN = frozenset({_S.OPENING, _S.SUBSCRIBING, _S.LIVE, _S.SUSPECT, _S.RETIRING})
_ALARMS = ("open", "subscribe", "resubscribe", "beat", "silence", "retire")


class Link:
    """One websocket, from the question for it to its end.

    Attributes:
        id: Its number, also of the RequestConnection that it began with.
        state: Where it is.
        live_at: When it became live, or None.
        expires_at: When the service will close it, by our clock.
        deep_failures: Deep heartbeats that failed in a row.
    """

    __slots__ = (
        "_answered",
        "_emit",
        "_options",
        "_owed",
        "_ping_due",
        "_refusals",
        "_sent",
        "_silences",
        "_timers",
        "_tries",
        "_url",
        "_url_dies_at",
        "deep_failures",
        "expires_at",
        "id",
        "live_at",
        "state",
    )

    def __init__(
        self,
        number: int,
        options: SessionOptions,
        timers: Timers,
        emit: Callable[[Command], None],
    ) -> None:
        self.id = number
        self.state = LinkState.ASKED
        self.live_at: float | None = None
        self.expires_at = float("inf")
        self.deep_failures = 0
        self._options = options
        self._timers = timers
        self._emit = emit
        self._url = ""
        self._url_dies_at = 0.0
        self._tries = 0
        self._refusals = 0
        self._silences = 0
        self._sent = 0
        self._answered = 0
        self._owed: int | None = None
        self._ping_due = False

    @property
    def open(self) -> bool:
        """Whether it holds, or may come to hold, one of the participant's sockets."""
        return self.state in _OPEN

    def granted(self, url: str, expires_at: float, now: float) -> None:
        """Take the URL that the service gave."""
        self._enter(LinkState.ISSUED)
        self._url = url
        self._url_dies_at = now + self._options.url_lifetime
        self.expires_at = expires_at

    def start_opening(self, now: float) -> bool:
        """Open the socket. False if the URL has grown too old: the link is then closed."""
        if now >= self._url_dies_at:
            self.close("its URL was not opened in time")
            return False
        self._enter(LinkState.OPENING)
        self._tries += 1
        timeout = self._options.open_timeout
        self._emit(OpenSocket(self.id, self._url, timeout))
        # The shell keeps the timeout; this alarm is for a shell that doesn't.
        self._set("open", now + timeout + 1.0)
        return True

    def not_opened(self, now: float, *, spent: bool) -> bool:
        """Note that the socket did not open. True if it will be tried again with this URL."""
        if spent or self._tries >= OPEN_TRIES or now + OPEN_RETRY >= self._url_dies_at:
            self.close("its socket could not be opened")
            return False
        self._enter(LinkState.ISSUED)
        self._set("open", now + OPEN_RETRY)
        return True

    def opened(self, now: float) -> None:
        """Note that the socket is open, and subscribe."""
        self._enter(LinkState.SUBSCRIBING)
        self._timers.cancel(("open", self.id))
        self._url = ""
        self._subscribe(now)

    def subscription_answered(self, answer: SubscribeAnswer, now: float) -> bool:
        """Take the answer to our subscription. True if it has just made the link live."""
        if self.state is not LinkState.SUBSCRIBING:
            return False
        if answer.accepted:
            self._enter(LinkState.LIVE)
            self.live_at = now
            self._timers.cancel(("subscribe", self.id))
            self._timers.cancel(("resubscribe", self.id))
            self._set("silence", now + self._options.silence_timeout)
            self._beat(now)
            return True
        self._refusals += 1
        if self._refusals > SUBSCRIBE_REFUSALS:
            self.close("its subscription was refused")
        else:
            self._timers.cancel(("subscribe", self.id))
            self._set("resubscribe", now + SUBSCRIBE_RETRY)
        return False

    def heartbeat_answered(self, now: float) -> bool:
        """Take a heartbeat's answer. True if it made a suspect link live again."""
        self._answered = min(self._answered + 1, self._sent)
        if self.state is LinkState.LIVE or self.state is LinkState.SUSPECT:
            self._set("silence", now + self._options.silence_timeout)
        if self.state is LinkState.SUSPECT:
            self._enter(LinkState.LIVE)
            return True
        return False

    def ping_answered(self, answer: PingAnswer) -> None:
        """Take a deep heartbeat's answer."""
        self._ping_due = False
        self.deep_failures = 0 if answer.healthy else self.deep_failures + 1

    def suspect(self) -> None:
        """Note that the link has been silent for too long; it is listened to all the same."""
        self._enter(LinkState.SUSPECT)

    def retire(self, now: float) -> None:
        """Ask for one last answer, which proves that nothing said so far is still under way."""
        self._enter(LinkState.RETIRING)
        self._timers.cancel(("beat", self.id))
        self._timers.cancel(("silence", self.id))
        self._sent += 1
        self._owed = self._sent
        self._emit(SendFrame(self.id, HEARTBEAT))
        self._set("retire", now + self._options.retire_timeout)

    def linger(self, now: float) -> None:
        """Listen a little longer, though the last answer has come.

        The service may have looked up who gets an item before the newer link was there, and push
        it only now. What the transcript does not keep would be lost for good.
        """
        self._set("retire", now + self._options.retire_timeout / 5)

    @property
    def retired(self) -> bool:
        """Whether the last answer has come."""
        return self._owed is not None and self._answered >= self._owed

    def close(self, why: str) -> None:
        """End the link, whatever it was doing."""
        if self.state is LinkState.CLOSED:
            return
        if self.open:
            self._emit(CloseSocket(self.id))
        was = self.state
        self._enter(LinkState.CLOSED)
        for alarm in _ALARMS:
            self._timers.cancel((alarm, self.id))
        self._emit(Trace("link.closed", {"link": self.id, "was": was.name, "why": why}))

    def wake(self, alarm: str, now: float) -> None:
        """Do what is due: subscribe again, or send the next heartbeats."""
        if alarm == "beat":
            self._beat(now)
        elif alarm == "resubscribe":
            self._subscribe(now)
        elif alarm == "subscribe":
            self._silences += 1
            if self._silences >= SUBSCRIBE_SILENCES:
                self.close("its subscription was not answered")
            else:
                self._subscribe(now)

    def _subscribe(self, now: float) -> None:
        self._emit(SendFrame(self.id, SUBSCRIBE))
        self._set("subscribe", now + SUBSCRIBE_TIMEOUT)

    def _beat(self, now: float) -> None:
        if self._ping_due:
            self.deep_failures += 1
        self._sent += 1
        self._ping_due = True
        self._emit(SendFrame(self.id, HEARTBEAT))
        self._emit(SendFrame(self.id, PING))
        self._set("beat", now + self._options.heartbeat_interval)

    def _set(self, alarm: str, at: float) -> None:
        self._timers.set((alarm, self.id), at)

    def _enter(self, state: LinkState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"a link cannot go from {self.state.name} to {state.name}")
        self.state = state
