"""One reader of a chat: a bounded buffer, and a way back for who falls behind.

A reader that leaves more than its bound waiting is *behind*: nothing more is buffered for it, and
nobody waits for it. Once it has emptied its buffer it is *catching up*: the transcript is read
from the last item that it had, a page at a time as it goes, and what is said meanwhile gathers in
a tail (bounded, too; if that overflows, another pass follows). When a pass has shown everything
that the session delivered and the tail lacks, the tail is appended and the reader is *level*
again. What the transcript doesn't keep (typing, receipts) is lost to a reader while it is behind.

The session numbers what it delivers (`Inbox.number_of`): of the items in the transcript, those
numbered since the reader fell behind are the ones that it has missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random

from connect_chat.engine.backoff import Backoff
from connect_chat.engine.commands import Command, Forget, Position, ReadTranscript
from connect_chat.engine.inbox import MOST, Inbox, identity
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.reading import Positions, Reading
from connect_chat.engine.timers import Timers
from connect_chat.items import ChatEnded, Item

__all__ = ["Reader"]

_BEGINNING = datetime.min.replace(tzinfo=UTC)
# Passes that bring nothing, with growing pauses, until what is lacking counts as not kept by the
# transcript after all.
_PASSES = 8
# Between two passes, at least; a busy chat whose transcript lags has something new for each.
_PAUSE = 2.0


class Reader:
    """Hands out a chat's items, each once and in order, at its own pace.

    Attributes:
        id: Its number.
        failure: Why it can hand out nothing more, or None.
        catchups: How often it fell behind.
        late: How many items it got after a later one.
    """

    __slots__ = (
        "_backoff",
        "_bound",
        "_buffer",
        "_emit",
        "_end",
        "_ended",
        "_evaded",
        "_evading",
        "_floor",
        "_had",
        "_held_back",
        "_inbox",
        "_last_id",
        "_last_time",
        "_newest",
        "_options",
        "_passes",
        "_positions",
        "_pushes",
        "_reading",
        "_request",
        "_request_number",
        "_shown",
        "_since",
        "_tail",
        "_timers",
        "_token",
        "_visible",
        "catchups",
        "failure",
        "id",
        "late",
    )

    def __init__(
        self,
        number: int,
        bound: int,
        inbox: Inbox,
        options: SessionOptions,
        timers: Timers,
        rng: Random,
        emit: Callable[[Command], None],
        request_number: Callable[[], int],
        token: Callable[[], str | None],
        visible: Callable[[Item], Item | None],
        held_back: Callable[[Item], bool],
    ) -> None:
        self.id = number
        self.failure: Exception | None = None
        self.catchups = 0
        self.late = 0
        self._newest: datetime | None = None
        self._passes = 0
        self._bound = bound
        self._inbox = inbox
        self._options = options
        self._timers = timers
        self._emit = emit
        self._request_number = request_number
        self._token = token
        self._visible = visible
        self._held_back = held_back
        self._backoff = Backoff(options.backoff_base, options.backoff_cap, rng)
        self._buffer: deque[Item] = deque()
        self._end: ChatEnded | None = None
        self._ended = False
        self._pushes = 0
        # The place of the newest item that it has had. No Position: most are never asked for.
        self._last_id = inbox.anchor.id if inbox.anchor else None
        self._last_time = inbox.anchor.absolute_time if inbox.anchor else None
        # Only while behind: the first number missed, the inbox's floor at that moment, what it had
        # near there, the newest time that a pass has shown, the earliest item that evaded the pass
        # before this one, the earliest that evades this one, the pass, the tail.
        self._since: int | None = None
        self._floor: datetime | None = None
        self._had: dict[str, datetime] = {}
        self._shown: datetime | None = None
        self._evaded: Position | None = None
        self._evading: Position | None = None
        self._reading: Reading | None = None
        self._positions = Positions()
        self._request: int | None = None
        self._tail: list[Item] | None = None

    @property
    def behind(self) -> bool:
        """Whether it has missed items that the transcript must give."""
        return self._since is not None

    @property
    def waiting(self) -> int:
        """How many items wait in its buffer."""
        return len(self._buffer)

    def push(self, item: Item) -> None:
        """Offer an item that the session delivers."""
        if isinstance(item, ChatEnded):
            self._end = item
            self._pushes += 1
        elif self._since is None:
            if len(self._buffer) < self._bound:
                self._append(item)
            else:
                self._fall_behind(item)
        else:
            self._note_evading(item)
            if self._tail is not None and len(self._tail) < self._bound:
                self._tail.append(item)
            else:
                self._tail = None

    def take(self, now: float) -> Item | None:
        """Return the next item, or None if there is none for now."""
        if self._buffer:
            item = self._buffer.popleft()
            if not self._buffer and self._since is not None:
                self._catch_up(now)
            return item
        if self._since is not None:
            self._catch_up(now)
            return None
        end, self._end = self._end, None
        if end is not None:
            self._ended = True
        return end

    def put_back(self, item: Item) -> None:
        """Take back an item that was handed out last, but not handled."""
        if isinstance(item, ChatEnded):
            self._end, self._ended = item, False
        else:
            self._buffer.appendleft(item)

    def find(self, wanted: Callable[[Item], bool], now: float) -> Item | None:
        """Return the first item that is ``wanted``, wherever it stands, or None for now.

        The ones before it stay, in order, for `take`.
        """
        for index, item in enumerate(self._buffer):
            if wanted(item):
                del self._buffer[index]
                return item
        self._catch_up(now)
        if self._end is not None and self._since is None and wanted(self._end):
            end, self._end = self._end, None
            self._ended = True
            return end
        return None

    @property
    def finished(self) -> bool:
        """Whether it has handed out everything, the chat's end included."""
        return self._ended and not self._buffer

    @property
    def full(self) -> bool:
        """Whether nothing more can come in until something is taken."""
        return len(self._buffer) >= self._bound

    @property
    def pushes(self) -> int:
        """How many items have come in; a change means that `find` may have a new answer."""
        return self._pushes

    @property
    def ready(self) -> bool:
        """Whether `take` has something to return."""
        return bool(self._buffer) or (self._end is not None and self._since is None)

    def unread(self, further: Sequence[Item]) -> tuple[set[str], Position | None]:
        """Return what has been delivered but not handed out: identities, and where it begins.

        Args:
            further: Items on their way to this reader.
        """
        waiting = (*self._buffer, *further)
        names = {identity(item) or "" for item in waiting}
        places = [
            Position(item.id, item.absolute_time)
            for item in waiting
            if item.id is not None and item.absolute_time is not None
        ]
        if self._since is not None:
            lacking = self._lacking(self._since)
            names.update(place.id for place in lacking)
            places += lacking
            places += filter(None, (self._last, self._evaded, self._evading))
        return names, min(places, key=_time_of, default=None)

    @property
    def had(self) -> list[Position]:
        """What it has had while it is behind, which the inbox may have forgotten meanwhile."""
        return [Position(name, time) for name, time in self._had.items()]

    def fail(self, error: Exception) -> None:
        """Hand out what is buffered, then nothing more."""
        self.failure = self.failure or error
        self._stop()

    def close(self) -> None:
        """Stop catching up."""
        self._stop()
        self._since = None
        self._buffer.clear()

    # Catching up.

    def awaits(self, request: int) -> bool:
        """Whether ``request`` is the page that it waits for."""
        return request == self._request

    def page_read(self, items: Sequence[Item], next_token: str | None, now: float) -> None:
        """Take a page of the transcript."""
        reading = self._reading
        self._request = None
        if reading is None or self._since is None:
            return
        level = not all(map(self._take_missed, reading.page(items, next_token)))
        while len(self._had) > MOST:
            del self._had[next(iter(self._had))]
        if reading.done or level:
            self._reading = None
            self._end_pass(self._since, now)
        elif not self._buffer:
            self._next_page(now)

    def _end_pass(self, since: int, now: float) -> None:
        """Become level if nothing is lacking; begin another pass otherwise."""
        tail = self._tail
        known = {identity(item) for item in tail or ()}
        lacking = any(place.id not in known for place in self._lacking(since))
        self._evaded = None
        self._passes += 1
        if tail is None or (lacking and self._passes < _PASSES):
            # Said while the tail was full, or not yet in the transcript.
            self._timers.set(("reader", self.id), now + _PAUSE + self._backoff.next())
            return
        for item in tail:
            if (identity(item) or "") not in self._had:
                self._append(item)
        self._since = None
        self._tail = None
        self._evading = None
        self._had.clear()

    def page_refused(self, now: float) -> None:
        """Fall back from a start position that the service refuses."""
        if self._reading is not None:
            self._positions.rejected(self._reading, now)
        self.page_failed(None, now)

    def page_failed(self, retry_after: float | None, now: float) -> None:
        """Try again after a pause."""
        self._request = None
        wait = max(self._backoff.next(), retry_after or 0.0)
        self._timers.set(("reader", self.id), now + wait)

    def wake(self, now: float) -> None:
        """Go on catching up."""
        self._catch_up(now)

    @property
    def _last(self) -> Position | None:
        """The place of the newest item that it has had."""
        if self._last_id is None or self._last_time is None:
            return None
        return Position(self._last_id, self._last_time)

    def _append(self, item: Item) -> None:
        """Put an item into the buffer, marked if a later one has gone before it."""
        time = item.absolute_time
        if time is not None:
            if self._newest is not None and time < self._newest:
                self.late += 1
                item = item.model_copy(update={"late": True})
            else:
                self._newest = time
                if item.id is not None:
                    self._last_id, self._last_time = item.id, time
        self._buffer.append(item)
        self._pushes += 1

    def _fall_behind(self, item: Item) -> None:
        self.catchups += 1
        # What has no number of its own (updates) came after all that has one.
        self._since = abs(self._inbox.number_of(item) or self._inbox.delivered + 1)
        self._floor = self._inbox.floor
        self._shown = self._newest
        self._note_evading(item)
        missed = {place.id for place in self._inbox.since(self._since)}
        self._had = {
            place.id: place.absolute_time
            for place in self._inbox.since(0)
            if place.id not in missed
        }

    def _note_evading(self, item: Item) -> None:
        """Note a missed item that lies where the pass under way has been already."""
        time, name = item.absolute_time, identity(item)
        if time is None or name is None or self._shown is None or time > self._shown:
            return
        if item.in_transcript and (self._evading is None or time < self._evading.absolute_time):
            self._evading = Position(name, time)

    def _lacking(self, since: int) -> list[Position]:
        """Return the items since a number that it has not had, as far as they are remembered."""
        return [place for place in self._inbox.since(since) if place.id not in self._had]

    def _take_missed(self, item: Item) -> bool:
        """Take an item of the transcript; return False if the session is not that far yet."""
        name, time, since = identity(item), item.absolute_time, self._since
        if name is None or name in self._had or since is None:
            return True
        if time is not None and (self._shown is None or time > self._shown):
            self._shown = time
        if self._held_back(item):
            return False
        number = self._inbox.number_of(item)
        if number is None and not self._inbox.forgotten(item):
            return not self._inbox.precedes(item)
        if number is None:
            missed = self._inbox.forgotten(item, after=self._floor)
        else:
            missed = number >= since
        if missed:
            self._had[name] = time or _BEGINNING
            self._backoff.reset()
            self._passes = 0
            shown = self._visible(item)
            if shown is not None:
                self._append(shown)
        return True

    def _catch_up(self, now: float) -> None:
        if self._since is None or self._request is not None or self._buffer or self.failure:
            return
        if ("reader", self.id) in self._timers:
            return
        if self._reading is None:
            places = [*self._lacking(self._since), self._last, self._evading]
            begin = min(filter(None, places), key=_time_of, default=None) if self._last else None
            self._reading = self._positions.begin(Reading.from_time(begin), now)
            self._evaded, self._evading = self._evading, None
            self._tail = []
        self._next_page(now)

    def _next_page(self, now: float) -> None:
        token = self._token()
        if self._reading is None:
            return
        if token is None:
            self._timers.set(("reader", self.id), now + self._backoff.next())
            return
        self._request = self._request_number()
        self._emit(ReadTranscript(self._request, token, self._reading.query, "history"))

    def _stop(self) -> None:
        if self._request is not None:
            self._emit(Forget(self._request))
        self._request = None
        self._reading = None
        self._timers.cancel(("reader", self.id))


def _time_of(position: Position) -> datetime:
    return position.absolute_time
