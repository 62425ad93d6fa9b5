"""After a gap: read the transcript, merge it with what arrives, and look again.

Four kinds of look at the transcript, in falling urgency:

- A *gap*: no link was live for a while (or this is the very first connection). Live items are
  held until the transcript has been read from the anchor to its end, at most `merge_wait` seconds
  after the last page that brought something. The transcript may lag, so it is read again at each
  of `relooks`; only then is the gap closed.
- A *doubt*: something may be missing though a link is live (a damaged frame, an ill far end, a
  retiring link that gave no proof that it had nothing left). The same, but nothing is held:
  later items have gone out by then.
- An *audit*: nothing is known to be missing. One read in the background, after a rotation and
  every so many items. Its purpose is to move the anchor, which only a complete read moves; so
  whatever a socket dropped without a sign is found, sooner or later, before the anchor passes it.
- A *poll*: like an audit, but the only way that items arrive: without websockets (see
  `polling.py`), and while a link cannot be had.

The anchor is moved to the newest item that a read without a break has shown, less the overlap
(see `Reading.verified`): never past a place where something may still be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import IntEnum
from random import Random

from connect_chat.engine.backoff import Backoff
from connect_chat.engine.commands import Command, Forget, ReadTranscript, Trace, Urgency
from connect_chat.engine.inbox import Inbox, identity
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.reading import KEPT, Positions, Reading
from connect_chat.engine.timers import Timers
from connect_chat.items import Item

__all__ = ["Look", "Recovery"]

# While a live item waits that the transcript does not show yet, it is read again this soon.
_LAG_RETRY = 0.3


class Look(IntEnum):
    """Why the transcript is read; a higher one takes the place of a lower one."""

    NONE = 0
    AUDIT = 1
    POLL = 2
    DOUBT = 3
    GAP = 4
    FINAL = 5


class Recovery:
    """Reads the transcript when something is, or may be, missing.

    Attributes:
        gaps: How many gaps were opened.
        gap: Whether a gap is open: from the loss of the link to the last look after it.
        look: What is being read for now.
        done: How many gaps were closed.
        finished: Whether the last look is over, and nothing is read any more.
    """

    def __init__(
        self,
        inbox: Inbox,
        options: SessionOptions,
        timers: Timers,
        rng: Random,
        emit: Callable[[Command], None],
        deliver: Callable[[Sequence[Item], float], None],
        number: Callable[[], int],
        token: Callable[[], str | None],
        unfinished: Callable[[], datetime | None],
    ) -> None:
        self.gap = False
        self.gaps = 0
        self.look = Look.NONE
        self.done = 0
        self.finished = False
        self._inbox = inbox
        self._options = options
        self._timers = timers
        self._emit = emit
        self._deliver = deliver
        self._number = number
        self._token = token
        self._unfinished = unfinished
        self._backoff = Backoff(options.backoff_base, options.backoff_cap, rng)
        self._reading: Reading | None = None
        self._positions = Positions()
        self._first_page_at: float | None = None
        # What walks backward that came to nothing have found, and nobody has got yet.
        self._found: dict[str, Item] = {}
        self._request: int | None = None
        self._relooks: list[float] = []
        self._lag_wait = _LAG_RETRY
        self._last_audit = float("-inf")
        self._audited = 0
        self._again = False

    def interrupted(self, now: float) -> None:
        """Open a gap: no link is live. What arrives from now on is held for a while."""
        self._open_gap()
        if self.look is not Look.FINAL:
            self._stop()
            self.look = Look.NONE
            self._hold(now)

    def begin(self, look: Look, now: float) -> None:
        """Read the transcript, unless it is being read for a better reason already."""
        if self.finished or look <= self.look:
            # Said after the transcript was read, what is missing now may lag beyond the last look.
            self._again = self._again or look is Look.DOUBT
            return
        goes_on = look is Look.FINAL and self._reading is not None
        if not goes_on:
            self._stop()
        self._again = False
        self.look = look
        self._relooks = []
        self._lag_wait = _LAG_RETRY
        self._backoff.reset()
        if look >= Look.GAP:
            self._hold(now)
        if look is Look.FINAL:
            # Its own time, however long something has been waiting already.
            self._timers.set("merge", now + self._options.merge_wait)
        if look is Look.GAP or look is Look.DOUBT:
            self._open_gap()
            self._relooks = list(self._options.relooks)
        elif look is Look.FINAL and self.gap:
            wait = self._options.merge_wait
            self._relooks = [at for at in self._options.relooks if at <= wait]
        self._emit(Trace("recovery.begin", {"look": look.name.lower()}, "debug"))
        if not goes_on:
            # A read that is under way may be the last that the service allows.
            self._read(now)

    def audit_if_due(self, now: float) -> None:
        """Compare with the transcript when enough has been delivered since the last time."""
        if (
            self._inbox.delivered - self._audited >= self._options.audit_after
            and now - self._last_audit >= self._options.audit_interval
            and not self.gap
        ):
            self.begin(Look.AUDIT, now)

    def held(self, now: float) -> None:
        """Note that a live item has begun to wait."""
        if "merge" not in self._timers:
            self._timers.set("merge", now + self._options.merge_wait)

    def stop(self) -> None:
        """Read nothing more."""
        self._stop()
        self._found.clear()
        self.finished = True
        self._timers.cancel("merge")

    def awaits(self, request: int) -> bool:
        """Whether ``request`` is the page being read."""
        return request == self._request

    def page_read(self, items: Sequence[Item], next_token: str | None, now: float) -> None:
        """Take a page of the transcript."""
        reading = self._reading
        if reading is None:
            return
        self._request = None
        if self._first_page_at is None:
            self._first_page_at = now
        found = self._inbox.merge(reading.page(items, next_token))
        verified = reading.verified(now - self._first_page_at, self._unfinished())
        if verified is not None:
            self._inbox.move_anchor(verified)
        if found:
            self._backoff.reset()
            if self._inbox.holding and "merge" in self._timers:
                self._timers.set("merge", now + self._options.merge_wait)
            if not self._inbox and self.look is not Look.FINAL:
                # The next item that has to wait has all the time for itself.
                self._timers.cancel("merge")
            self._emit(Trace("recovery.found", {"items": len(found)}, "debug"))
            self._deliver(found, now)
        if not reading.done:
            self._next_page(now)
        else:
            self._read_through(reading, now)

    def abandon(self, now: float) -> None:
        """Look no further: the transcript is closed to us."""
        self._stop()
        self.look = Look.NONE
        self.gap = False
        self._let_go(now)

    def try_again(self, now: float) -> None:
        """Ask again at once for the page whose call was refused, now that there is a newer token.

        Only the first time: a page that is refused with any token must not be asked for in a storm.
        """
        if self._reading is not None and self._request is None and self._backoff.tries == 1:
            self._timers.cancel("page")
            self._next_page(now)

    def page_refused(self, now: float) -> None:
        """Fall back from a start position, or a NextToken, that the service refuses."""
        self._request = None
        self._keep_rest()
        if self._reading is not None and self._positions.rejected(self._reading, now):
            self._emit(Trace("recovery.fallback", {}))
            self._retry(now, None)
        else:
            self.page_failed(None, now)

    def page_failed(self, retry_after: float | None, now: float) -> None:
        """Try again after a pause; an audit is not worth one, and a poll has its own pace."""
        self._request = None
        if self.look is Look.AUDIT or self.look is Look.POLL:
            self._last_audit = now
            self._stop()
            self.look = Look.NONE
        else:
            self._retry(now, retry_after)

    def page_denied(self, now: float) -> None:
        """Note that a page is refused because the chat is over: there will be no other."""
        self._request = None
        self._finish(now)

    def wake(self, alarm: str, now: float) -> None:
        """Do what an alarm says."""
        if alarm == "page":
            self._next_page(now)
        elif alarm == "relook":
            self._read(now)
        elif alarm == "merge":
            if self.look is Look.FINAL:
                self._finish(now)
            else:
                self._let_go(now)

    def _read(self, now: float) -> None:
        reading = Reading(self._inbox.anchor, self._options.overlap)
        self._reading = self._positions.begin(reading, now)
        self._first_page_at = None
        self._next_page(now)

    def _next_page(self, now: float) -> None:
        token = self._token()
        if self._reading is None:
            return
        if token is None:
            self._retry(now, None)
            return
        self._request = self._number()
        # Live items wait for the first read of a gap; the looks after it are in no hurry.
        urgency: Urgency = "reconnect" if self._inbox.holding else "history"
        if self.look is Look.POLL:
            urgency = "rotate"
        self._emit(ReadTranscript(self._request, token, self._reading.query, urgency))

    def _retry(self, now: float, retry_after: float | None) -> None:
        self._timers.set("page", now + max(self._backoff.next(), retry_after or 0.0))

    def _read_through(self, reading: Reading, now: float) -> None:
        """Decide what a complete read means."""
        self._reading = None
        self._found.clear()
        self._backoff.reset()
        self._last_audit = now
        self._audited = self._inbox.delivered
        if (
            self._inbox.holding
            and "merge" in self._timers
            and self._inbox.awaits_any(reading.shown)
        ):
            # It lags behind the socket: what is missing may lag, too.
            self._timers.set("relook", now + self._lag_wait)
            self._lag_wait *= 2
            return
        if self.look is Look.FINAL and not self._relooks:
            self._finish(now)
            return
        if self.look is Look.POLL and self.gap:
            # No link is live: what is held goes on waiting for one, and the gap stays open.
            self.look = Look.NONE
            return
        if self.look is not Look.FINAL:
            self._let_go(now)
        if self._relooks:
            wait = self._relooks.pop(0)
            self._relooks = [later - wait for later in self._relooks]
            self._timers.set("relook", now + wait)
            return
        if self.gap:
            self.gap = False
            self.done += 1
            self._emit(Trace("gap.closed", {}))
        self.look = Look.NONE
        if self._again:
            self.begin(Look.DOUBT, now)

    def _open_gap(self) -> None:
        self.gaps += not self.gap
        self.gap = True

    def _hold(self, now: float) -> None:
        self._inbox.holding = True
        if len(self._inbox):
            self.held(now)

    def _let_go(self, now: float) -> None:
        """Hold no longer; what came in just now still waits for its turn."""
        self._timers.cancel("merge")
        if self._inbox.holding:
            self._inbox.holding = False
            self._deliver(self._inbox.release(now), now)

    def _finish(self, now: float) -> None:
        """End the last look, with what unfinished walks backward have found."""
        self._keep_rest()
        self._deliver(self._inbox.merge(list(self._found.values())), now)
        self.stop()
        self.look = Look.NONE
        self._let_go(now)

    def _keep_rest(self) -> None:
        """Keep what a walk backward has found, in case that none comes to its end any more."""
        if self._reading is None:
            return
        for item in self._reading.rest():
            name = identity(item)
            if name is not None and not self._inbox.knows(item):
                self._found[name] = item
        while len(self._found) > KEPT:
            del self._found[next(iter(self._found))]

    def _stop(self) -> None:
        self._keep_rest()
        if self._request is not None:
            self._emit(Forget(self._request))
        self._request = None
        self._reading = None
        self._timers.cancel("page")
        self._timers.cancel("relook")
