"""One chat, decided: the parts of the engine put together.

Theory of operation
-------------------
The shell (``connect_chat.session``) tells the engine what happened, with the time; the engine
answers with commands, which the shell carries out, and with items, which readers hand out. The
same inputs give the same outputs, so a run can be replayed.

::

    state         meaning                                   left for
    ------------  ----------------------------------------  --------------------------------------
    NEW           not started                               CONNECTING `start`
    CONNECTING    no link has been live yet                 CONNECTED subscribed · ENDED the chat
                                                            is over · FAILED refused, or no success
                                                            within `connect_timeout`
    CONNECTED     a link is live                            RECONNECTING lost or silent · ENDED
                                                            the chat is over · FAILED a defect
    RECONNECTING  no link is live; calls go on              CONNECTED subscribed · ENDED the chat
                                                            is over · FAILED no success within
                                                            `give_up_after`
    ENDED         the readers have the ChatEnded            (only CLOSED)
    FAILED        `error` says why; a snapshot is possible  (only CLOSED)
    CLOSED        `close` was called                        (nothing)

Every state may go to CLOSED. `TRANSITIONS` is this table for the machine; a step that is not in
it is a defect and raises. The chat is over when ``chat.ended`` has come, a connection is refused
(403) to a chat that had one, an agent's part was transferred, or nothing was said for long after
`DisconnectParticipant`.

An item's way: frame or page → `Inbox` (once, in order) → told apart from our own → `Reader`.
Calls go through the `Outbox`; sockets are kept by `Links`; what is missing is found by
`Recovery`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from itertools import count
from random import Random

from connect_chat.engine.beginning import Beginning
from connect_chat.engine.commands import (
    Command,
    Grant,
    Outgoing,
    Position,
    Trace,
)
from connect_chat.engine.credentials import Credentials
from connect_chat.engine.echo import EchoGate
from connect_chat.engine.files import Files
from connect_chat.engine.frames import (
    BadFrame,
    HeartbeatAnswer,
    PingAnswer,
    SubscribeAnswer,
    parse_frame,
)
from connect_chat.engine.inbox import Inbox
from connect_chat.engine.links import Links
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.outbox import CallResult, Outbox
from connect_chat.engine.polling import Polling
from connect_chat.engine.presence import Presence
from connect_chat.engine.reader import Reader
from connect_chat.engine.receipts import ReceiptKind, Receipts, deserves_receipt
from connect_chat.engine.recovery import Look, Recovery
from connect_chat.engine.sent import SentMessages
from connect_chat.engine.snapshot import Snapshot, take_snapshot
from connect_chat.engine.streams import Streams
from connect_chat.engine.timers import Alarm, Timers
from connect_chat.errors import (
    ChatEndedError,
    ConflictException,
    NotConnectedError,
    ResourceNotFoundException,
    ServiceError,
    ValidationException,
)
from connect_chat.items import (
    EVENT_PREFIX,
    AttachmentMessage,
    AuthenticationInitiated,
    ChatEnded,
    Event,
    Item,
    Message,
    Receipt,
    TransferSucceeded,
    Typing,
)

__all__ = ["TRANSITIONS", "SessionEngine", "SessionState"]


class SessionState(StrEnum):
    """Where a session is; see the table above."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    FAILED = "failed"
    CLOSED = "closed"


_S = SessionState
TRANSITIONS: dict[SessionState, frozenset[SessionState]] = {
    _S.NEW: frozenset({_S.CONNECTING, _S.CLOSED}),
    _S.CONNECTING: frozenset({_S.CONNECTED, _S.ENDED, _S.FAILED, _S.CLOSED}),
    _S.CONNECTED: frozenset({_S.RECONNECTING, _S.ENDED, _S.FAILED, _S.CLOSED}),
    _S.RECONNECTING: frozenset({_S.CONNECTED, _S.ENDED, _S.FAILED, _S.CLOSED}),
    _S.ENDED: frozenset({_S.CLOSED}),
    _S.FAILED: frozenset({_S.CLOSED}),
    _S.CLOSED: frozenset(),
}
_OVER = frozenset({_S.ENDED, _S.FAILED, _S.CLOSED})


class SessionEngine:
    """All decisions of one participant's session; waits for nothing.

    Args:
        participant_token: The participant's token.
        options: Times and bounds.
        rng: The randomness of backoff and jitter.
        participant_id: Our participant, if known; learnt from our first message otherwise.
        participant_role: Our role, if known; learnt likewise.
        contact_id: The contact, if known; learnt from its first item otherwise.
        own: Whether our own messages are delivered, too.
        from_start: Whether what was said before we connected is delivered.
        updates: Whether streamed messages are also delivered as they grow.
        auto_receipts: Whether messages are marked as delivered and read by themselves.
        polling: Whether the transcript is polled instead of opening a websocket.
        snapshot: Where an earlier session stood.

    Attributes:
        state: Where the session is.
        error: Why it failed, or None.
        reader: The first reader.
        commands: What the shell is to do and has not taken yet.
        contact_id: The contact, as far as known.
        connected_at: When the present link became live (the engine's clock), or None.
        bad_frames: How many frames made no sense.
        authentication: The last request to sign in, or None.
        inbox, credentials, beginning, links, polling, outbox, echoes, streams, receipts, presence,
        sent, files, recovery, timers: The parts.
    """

    __slots__ = (
        "_admitted",
        "_auto_receipts",
        "_ends_at",
        "_leaving",
        "_number",
        "_options",
        "_own",
        "_participant_token",
        "_resumed",
        "_rng",
        "_updates",
        "authentication",
        "bad_frames",
        "beginning",
        "commands",
        "connected_at",
        "connection",
        "contact_id",
        "credentials",
        "echoes",
        "error",
        "files",
        "inbox",
        "links",
        "outbox",
        "polling",
        "presence",
        "reader",
        "readers",
        "receipts",
        "recovery",
        "sent",
        "state",
        "streams",
        "timers",
    )

    def __init__(
        self,
        participant_token: str,
        *,
        options: SessionOptions,
        rng: Random,
        participant_id: str | None = None,
        participant_role: str | None = None,
        contact_id: str | None = None,
        own: bool = False,
        from_start: bool = True,
        updates: bool = False,
        auto_receipts: bool = False,
        polling: bool = False,
        snapshot: Snapshot | None = None,
    ) -> None:
        self.state = SessionState.NEW
        self.error: Exception | None = None
        self.contact_id = contact_id
        self.connected_at: float | None = None
        self.bad_frames = 0
        self.authentication: AuthenticationInitiated | None = None
        self._participant_token = participant_token
        self._options = options
        self._rng = rng
        self._own = own
        self._updates = updates
        self._auto_receipts = auto_receipts
        self._resumed = snapshot is not None
        # Whether there was ever a connection for this participant; a refusal is the end then.
        self._admitted = snapshot is not None
        self.commands: list[Command] = []
        self._number = count(1).__next__
        self._leaving = False
        # When the chat's end may be delivered, once it has come in.
        self._ends_at: float | None = None

        anchor: Position | None = None
        floor: datetime | None = None
        seen: Sequence[tuple[str, datetime]] = ()
        token: str | None = None
        if snapshot is not None:
            participant_id = participant_id or snapshot.participant_id
            participant_role = participant_role or snapshot.participant_role
            self.contact_id = contact_id or snapshot.contact_id
            if snapshot.connection_token is not None:
                token = snapshot.connection_token.get_secret_value()
            if snapshot.anchor_id is not None and snapshot.anchor_time is not None:
                anchor = Position(snapshot.anchor_id, snapshot.anchor_time)
            floor, seen = snapshot.floor, snapshot.seen

        self.timers = Timers()
        emit = self.commands.append
        self.inbox = Inbox(options.reorder_window, anchor=anchor, floor=floor, seen=seen)
        self.credentials = Credentials(token, options, self.timers, rng, emit, self._number)
        self.beginning = Beginning(
            self.inbox, emit, self._number, pending=not from_start and snapshot is None
        )
        self.links = Links(options, self.timers, rng, emit, self, self._number)
        self.polling: Polling | None = None
        if polling:
            self.polling = Polling(
                options,
                self.timers,
                rng,
                emit,
                self,
                self._number,
                lambda now: self.recovery.begin(Look.POLL, now),
                lambda: self.inbox.delivered,
            )
        self.connection: Links | Polling = self.polling or self.links
        self.outbox = Outbox(emit, self.credentials.current)
        self.echoes = EchoGate(lambda: self.outbox.said, participant_id, participant_role)
        self.files = Files(options)
        self.streams = Streams(options, self.timers)
        self.receipts = Receipts(options, self.timers, emit, self._number)
        self.presence = Presence(options)
        self.sent = SentMessages()
        self.recovery = Recovery(
            self.inbox,
            options,
            self.timers,
            rng,
            emit,
            self._deliver,
            self._number,
            self.credentials.current,
            lambda: self.streams.since,
        )
        self.readers: list[Reader] = []
        self.reader = self.open_reader()

    # For the shell.

    @property
    def wake_at(self) -> float | None:
        """When `wake` must be called at the latest, or None."""
        return self.timers.next

    def take_commands(self) -> list[Command]:
        """Return the commands that have gathered, in order, once."""
        taken = self.commands[:]
        self.commands.clear()
        return taken

    def take_results(self) -> list[CallResult]:
        """Return the outcomes of calls that have gathered, once."""
        taken = self.outbox.results
        if taken:
            self.outbox.results = []
        return taken

    def open_reader(self, buffer: int | None = None) -> Reader:
        """Return a further reader, which begins with the next item that is delivered."""
        reader = Reader(
            self._number(),
            buffer or self._options.buffer,
            self.inbox,
            self._options,
            self.timers,
            self._rng,
            self.commands.append,
            self._number,
            self.credentials.current,
            self._shown,
            self.echoes.holds,
        )
        if self.state is SessionState.ENDED and self.inbox.end is not None:
            reader.push(self.inbox.end)
        elif self.error is not None:
            reader.fail(self.error)
        self.readers.append(reader)
        return reader

    def close_reader(self, reader: Reader, now: float) -> None:
        """Let a reader go."""
        del now
        reader.close()
        self.readers.remove(reader)

    @property
    def over(self) -> bool:
        """Whether nothing will happen any more: it has ended, failed or was closed."""
        return self.state in _OVER

    @property
    def token(self) -> str | None:
        """The connection token, if there is one that was not refused. A secret."""
        return self.credentials.token

    @property
    def participant_id(self) -> str | None:
        """Our participant, as far as known."""
        return self.echoes.participant_id

    @property
    def counters(self) -> dict[str, int]:
        """Plain numbers: what happened since the session began."""
        return {
            "items": self.inbox.delivered,
            "duplicates": self.inbox.duplicates,
            "late": self.reader.late,
            "bad_frames": self.bad_frames,
            "connections": self.connection.asked,
            "rotations": self.connection.rotations,
            "gaps": self.recovery.gaps,
            "recoveries": self.recovery.done,
            "catchups": sum(reader.catchups for reader in self.readers),
        }

    # What happens.

    def start(self, now: float) -> None:
        """Begin: connect."""
        self._enter(SessionState.CONNECTING)
        self.recovery.interrupted(now)
        # Somebody is waiting for a new chat; those that are resumed come by the thousand.
        self.connection.start(now, "reconnect" if self._resumed else "connect")

    def wake(self, now: float) -> None:
        """Do what is due."""
        for alarm in self.timers.due(now):
            if isinstance(alarm, str):
                self._ring(alarm, now)
            elif alarm[0] == "reader":
                for reader in self.readers:
                    if reader.id == alarm[1]:
                        reader.wake(now)
            else:
                self.links.wake_link(*alarm, now)

    def _ring(self, alarm: str, now: float) -> None:
        match alarm:
            case "ask" | "rotate" | "give up" | "poll":
                self.connection.wake(alarm, now)
            case "page" | "relook" | "merge":
                self.recovery.wake(alarm, now)
                self._plan_release()
                self._check_end(now)
            case "release":
                self._deliver(self.inbox.release(now), now)
                self._plan_release()
                self._check_end(now)
            case "stream":
                self._mend_streams(now)
            case "delivered" | "read":
                self.receipts.wake(alarm, now)
            case "echo":
                self._hand_out(self.echoes.give_up_waiting(), now)
                self._check_end(now)
            case "renew":
                self.credentials.wake()
                self._renew()
            case "end":
                self._check_end(now)
            case "leaving":
                if self.connection.live:
                    self._end_inferred(now)
                else:
                    # The flow cannot be heard; how long it may not be is bounded elsewhere.
                    self.timers.set("leaving", now + self._options.disconnect_timeout)

    def connection_granted(self, request: int, grant: Grant, now: float) -> None:
        """Take what CreateParticipantConnection gave."""
        if self.state in _OVER:
            return
        renewal = self.credentials.awaits(request)
        if not renewal and not self.connection.awaits(request):
            return
        self._admitted = True
        self.credentials.granted(grant, now)
        self.outbox.resume()
        self.recovery.try_again(now)
        if renewal:
            return
        if self.beginning.pending:
            self.beginning.hold(request, grant, now)
        else:
            self.connection.granted(request, grant, now, now)

    def connection_queued(self, request: int, now: float) -> None:
        """Note that a CreateParticipantConnection waits for its turn under the quota."""
        if self.connection.awaits(request):
            self.connection.queued(now)

    def connection_turn_came(self, request: int, now: float) -> None:
        """Note that it no longer does."""
        if self.connection.awaits(request):
            self.connection.turn_came(now)

    def connection_refused(self, request: int, error: Exception, now: float) -> None:
        """Note that CreateParticipantConnection failed."""
        if self.state in _OVER:
            return
        renewal = self.credentials.awaits(request)
        if not renewal and not self.connection.awaits(request):
            return
        self._trace(
            "connection.refused", {"error": type(error).__name__}, warning=not _denied(error)
        )
        first = self.state is SessionState.CONNECTING
        leaving = self._leaving and self.links.live
        if _denied(error) and not leaving and self._admitted:
            self._end_inferred(now)
        elif first and isinstance(error, ServiceError) and not error.retryable:
            self._fail(error, now)
        elif first and not self._resumed and not getattr(error, "retryable", True):
            self.shut_out(now, error)
        elif renewal:
            self.credentials.failed(getattr(error, "retry_after", None), now)
        else:
            self.connection.refused(request, error, now)

    def socket_opened(self, link: int, now: float) -> None:
        """Note that a socket is open."""
        self.links.opened(link, now)

    def socket_failed(
        self, link: int, reason: str, now: float, *, spent: bool, distrusted: bool = False
    ) -> None:
        """Note that a socket did not open.

        Args:
            link: Which one.
            reason: Why.
            now: The time.
            spent: Whether its URL cannot be tried again.
            distrusted: Whether that is because the server's certificate is not trusted.
        """
        self.links.not_opened(link, reason, now, spent=spent, distrusted=distrusted)

    def socket_closed(self, link: int, code: int | None, now: float) -> None:
        """Note that a socket is gone."""
        self.links.closed(link, code, now)

    def frame_received(self, link: int, text: str | bytes, now: float) -> None:
        """Take a frame from a socket."""
        if self.state in _OVER:
            return
        frame = parse_frame(text)
        if isinstance(frame, Item):
            self._item(frame, now)
        elif isinstance(frame, HeartbeatAnswer):
            self.links.heartbeat_answered(link, frame, now)
        elif isinstance(frame, PingAnswer):
            self.links.ping_answered(link, frame, now)
        elif isinstance(frame, SubscribeAnswer):
            self.links.subscription_answered(link, frame, now)
        else:
            self._bad_frame(link, frame, now)

    def page_read(
        self, request: int, items: Sequence[Item], next_token: str | None, now: float
    ) -> None:
        """Take a page of the transcript."""
        for item in items:
            self.files.seen(item)
        self.echoes.learn(items)
        if self.beginning.awaits(request):
            held = self.beginning.found(items)
            if held is not None:
                self.connection.granted(*held, now)
        elif self.recovery.awaits(request):
            self.recovery.page_read(items, next_token, now)
            if self.polling is not None:
                # Only now, since a link that is live again begins another read.
                self.polling.page_read(now)
            self._plan_release()
            self._check_end(now)
        else:
            for reader in self.readers:
                if reader.awaits(request):
                    reader.page_read(items, next_token, now)

    def page_failed(self, request: int, error: Exception, now: float) -> None:
        """Note that a page of the transcript could not be read."""
        refused = isinstance(error, ValidationException | ResourceNotFoundException)
        denied = _denied(error)
        if self.beginning.awaits(request):
            held = self.beginning.not_found()
            if held is not None:
                self.connection.refused(held[0], error, now)
            return
        readers_of_pages: tuple[Recovery | Reader, ...] = (self.recovery, *self.readers)
        for waiting in readers_of_pages:
            if not waiting.awaits(request):
                continue
            self._trace("transcript.failed", {"error": type(error).__name__})
            if denied and self.state in _OVER and isinstance(waiting, Reader):
                waiting.fail(_unreadable(error))
            elif denied and self.inbox.end is not None and waiting is self.recovery:
                self.recovery.page_denied(now)
            elif refused:
                waiting.page_refused(now)
            else:
                waiting.page_failed(getattr(error, "retry_after", None), now)
            if denied:
                self._denied_page(now)
            elif self.polling is not None and waiting is self.recovery and not refused:
                self.polling.page_failed(error, now)
        self._plan_release()
        self._check_end(now)

    def _denied_page(self, now: float) -> None:
        if self._leaving and self.links.live:
            # We have left, so that nothing is granted to us any more; but what the disconnect
            # flow still says, and the end, come through the socket.
            self.recovery.abandon(now)
            self._plan_release()
        elif self.inbox.end is None:
            self._renew()

    def _renew(self) -> None:
        """Get a newer token, unless one will come with the connection that is being asked for."""
        if not self.connection.asking:
            self.credentials.renew()

    def send(self, outgoing: Outgoing, now: float) -> int:
        """Queue a call behind those before it; return its number.

        Raises:
            ChatEndedError: The chat is over.
            NotConnectedError: The session is closed, failed or not started.
        """
        self.check_open()
        call = self._number()
        self.outbox.put(call, outgoing)
        return call

    def call_succeeded(
        self, call: int, item_id: str | None, absolute_time: datetime | None, now: float
    ) -> None:
        """Take the answer to a call."""
        said = self.outbox.said
        if call != self.outbox.current or said is None:
            return
        if item_id is not None:
            self.echoes.sent(item_id)
            self.sent.add(item_id)
        if self.polling is not None:
            self.polling.something_said(now)
        self.outbox.finish(CallResult(call, item_id, absolute_time))
        self._settle_echoes(now)
        if said.operation == "DisconnectParticipant" and self.state not in _OVER:
            self._leaving = True
            self.timers.set("leaving", now + self._options.disconnect_timeout)

    def call_failed(self, call: int, error: Exception, now: float) -> None:
        """Note that a call failed: repeat it with a newer token, or tell the caller."""
        if call != self.outbox.current:
            return
        if _denied(error) and self.state not in _OVER and self.outbox.pause(now):
            self._renew()
            return
        if _denied(error) and self.state is SessionState.ENDED:
            error = _ended()
        self.outbox.finish(CallResult(call, error=error))
        self._settle_echoes(now)

    def file_announced(self, attachment_id: str) -> None:
        """Note the id of a file of ours, before anybody can be told of it."""
        self.echoes.sent(attachment_id)
        self.files.announced(attachment_id)

    def typing_begun(self, now: float) -> None:
        """Note that SendEvent is called with a typing event; its echo may overtake its answer."""
        del now
        self.echoes.typing_begun()

    def typing_ended(self, item_id: str | None, now: float) -> None:
        """Note that this call has ended: with the event's Id, or None if it failed."""
        self.echoes.typing_ended(item_id)
        self._hand_out(self.echoes.settle(), now)

    def mark(self, kind: ReceiptKind, item: Item, now: float) -> None:
        """Mark somebody else's item as delivered to, or read by, our user."""
        if self.state not in _OVER and not self.echoes.is_mine(item):
            self.receipts.mark(kind, item, now)

    def handed_out(self, item: Item, now: float) -> None:
        """Note that an item has reached the application."""
        if self._auto_receipts and deserves_receipt(item):
            self.mark("read", item, now)

    def receipt_failed(self, error: Exception, now: float) -> None:
        """Note that a receipt was not taken; it is not repeated."""
        del now
        if isinstance(error, ConflictException):
            self.receipts.switch_off("a supervisor has barged in")

    def token_refused(self, token: str, now: float) -> None:
        """Note that a call outside the order of sends was refused: get a newer token.

        A newer one than ``token`` may be here already.
        """
        del now
        if token == self.credentials.token and self.state not in _OVER:
            self.credentials.token = None
            self._renew()

    def crash(self, error: BaseException, now: float) -> None:
        """Fail because of a defect, so that it surfaces where the user waits."""
        if self.state in _OVER:
            return
        failure = NotConnectedError(
            f"connect_chat has a defect ({type(error).__name__}); please report it with its "
            "traceback, and resume the chat from its snapshot"
        )
        failure.__cause__ = error
        self._fail(failure, now)

    def withdraw(self, call: int) -> None:
        """Note that nobody waits for a call any more."""
        self.outbox.withdraw(call)

    def close(self, now: float) -> None:
        """Close our end. The participant stays in the chat."""
        if self.state is SessionState.CLOSED:
            return
        over = self.state in _OVER
        self._stop("closed")
        self.outbox.fail_all(NotConnectedError("the session is closed"), but_current=False)
        for reader in self.readers:
            if reader.behind or not over:
                reader.fail(
                    NotConnectedError(
                        "the session is closed: iterate inside `async with`, or resume it from a "
                        "snapshot"
                    )
                )
        self._enter(SessionState.CLOSED)

    def snapshot(self) -> Snapshot:
        """Return where the first reader stands."""
        return take_snapshot(
            self._participant_token,
            self.credentials.token,
            self.contact_id,
            self.inbox,
            self.echoes,
            self.reader,
        )

    # What the links report.

    def link_live(self, now: float, *, continuous: bool) -> None:
        """A link has become the chat's."""
        self.connected_at = now
        self._enter(SessionState.CONNECTED)
        if self.outbox.paused or self.credentials.token is None:
            # A link that came back brings no token with it.
            self._renew()
        if not continuous:
            self.recovery.begin(Look.GAP, now)

    def link_lost(self, now: float) -> None:
        """No link is live."""
        self.connected_at = None
        if self.state is SessionState.CONNECTED:
            self._enter(SessionState.RECONNECTING)
        self.recovery.interrupted(now)

    def still_lost(self, now: float) -> None:
        """Read what can be read, though no link is live: the transcript needs none."""
        known = self.credentials.token is not None and not self.beginning.pending
        if known and self.inbox.end is None:
            self.recovery.begin(Look.POLL, now)

    def link_doubtful(self, now: float) -> None:
        """Something may not have arrived though a link is live."""
        if self.connection.live:
            self.recovery.begin(Look.DOUBT, now)

    def link_retired(self, now: float) -> None:
        """The link before this one had nothing left."""
        self.recovery.begin(Look.AUDIT, now)

    def gave_up(self, now: float, cause: Exception | None) -> None:
        """Nothing worked for as long as the options allow."""
        first = self.state is SessionState.CONNECTING
        waited = self._options.connect_timeout if first else self._options.give_up_after
        did = "connected" if first else "reconnected"
        last = "" if cause is None else f", and the last attempt said: {cause}"
        advice = (
            "Check region or endpoint_url, the network, and that an emulator is running."
            if first and not self._resumed
            else "Check the network and the service's health, then resume it from its snapshot."
        )
        error = NotConnectedError(
            f"the chat could not be {did} within {waited:g} s{last}. {advice}"
        )
        error.__cause__ = cause
        self._fail(error, now)

    def shut_out(self, now: float, cause: Exception) -> None:
        """The first connection cannot be had, however often it is tried."""
        error = NotConnectedError(f"the chat could not be connected: {cause}")
        error.__cause__ = cause
        self._fail(error, now)

    # Items.

    def _item(self, item: Item, now: float) -> None:
        """Take an item from a socket."""
        inbox = self.inbox
        if self.echoes.participant_id is None:
            self.echoes.learn((item,))
        if item.message_metadata and isinstance(item, Message) and item.streaming:
            self._piece(item, now)
            return
        if item.attachments:
            self.files.seen(item)
        ready = inbox.live(item, now)
        if ready:
            self._deliver(ready, now)
        if inbox.waiting.items:
            if inbox.holding:
                self.recovery.held(now)
            elif "release" not in self.timers:
                self._plan_release()
        if inbox.end is not None:
            self._check_end(now)

    def _piece(self, item: Message, now: float) -> None:
        if self.inbox.knows(item) or self.inbox.holds(item):
            # It comes behind its whole.
            return
        self._hand_out(self.streams.make_room(item), now)
        update = self.streams.piece(item, now)
        if update is not None and self._updates:
            self._hand_out((update,), now)

    def _mend_streams(self, now: float) -> None:
        look, broken = self.streams.wake(now)
        if look:
            self.link_doubtful(now)
        self._hand_out(broken, now)

    def _deliver(self, items: Sequence[Item], now: float) -> None:
        if not items:
            return
        self._hand_out(self.echoes.let_through(items), now)
        if self.echoes.waiting:
            self._bound_echo_wait(now)
        if self.state is SessionState.CONNECTED:
            self.recovery.audit_if_due(now)

    def _settle_echoes(self, now: float) -> None:
        """Let through what no longer has to wait, now that a call has ended."""
        self._hand_out(self.echoes.settle(), now)
        self._bound_echo_wait(now)
        self._check_end(now)

    def _bound_echo_wait(self, now: float) -> None:
        if self.echoes.waiting and "echo" not in self.timers:
            self.timers.set("echo", now + self._options.echo_wait)

    def _hand_out(self, items: Sequence[Item], now: float) -> None:
        for item in items:
            if self.contact_id is None and item.contact_id and item.related_contact_id is None:
                self.contact_id = item.contact_id
                self._trace("contact.known", {"contact": item.contact_id})
            self.streams.completed(item)
            shown = self._shown(item)
            if shown is None:
                continue
            for reader in self.readers:
                reader.push(shown)
            if not shown.from_me:
                self.presence.see(shown, now)
                if self._auto_receipts and deserves_receipt(shown):
                    self.receipts.mark("delivered", shown, now)
            if isinstance(item, Event):
                self._notice(item, mine=shown.from_me)
        if self._leaving and items:
            self.timers.set("leaving", now + self._options.disconnect_timeout)

    def _notice(self, event: Event, *, mine: bool) -> None:
        """Take what an event says about what was read, who has to sign in, and our part's end."""
        if isinstance(event, TransferSucceeded) and self._only_our_part():
            # Whoever delivers checks for the end when it is done.
            self._infer_end()
        elif mine:
            return
        elif isinstance(event, AuthenticationInitiated):
            self.authentication = event
        elif isinstance(event, Receipt):
            self.sent.take(event)

    def _only_our_part(self) -> bool:
        """Whether a transfer ends our part of the chat."""
        return self.echoes.participant_role in ("AGENT", "SUPERVISOR")

    def _shown(self, item: Item) -> Item | None:
        """Return the item as our readers get it, or None if it is not for them."""
        if not self.echoes.is_mine(item):
            return item
        if isinstance(item, Receipt):
            return None
        if not self._own and isinstance(item, Message | AttachmentMessage | Typing):
            return None
        return item.model_copy(update={"from_me": True})

    def _plan_release(self) -> None:
        at = self.inbox.next_release
        if at is not None:
            self.timers.set("release", at)

    def _bad_frame(self, link: int, frame: BadFrame, now: float) -> None:
        self.bad_frames += 1
        self._trace("frame.ignored", {"link": link, "why": frame.why}, warning=frame.damaged)
        if frame.damaged:
            self.link_doubtful(now)

    # The end.

    def _check_end(self, now: float) -> None:
        """Take the last look once the end has come in, and conclude once that is over."""
        if self.inbox.end is None or self.state in _OVER:
            return
        if self._ends_at is None:
            # As any item, the end may have overtaken one that was said before it.
            self._ends_at = now + (0.0 if self.inbox.end.inferred else self._options.reorder_window)
        if not self.recovery.finished:
            self.connection.wind_down()
            self.recovery.begin(Look.FINAL, now)
        if not self.recovery.finished:
            return
        if now >= self._ends_at:
            self._conclude(now)
        else:
            self.timers.set("end", self._ends_at)

    def _end_inferred(self, now: float) -> None:
        self._infer_end()
        self._check_end(now)

    def _infer_end(self) -> None:
        if self.inbox.end is None:
            self.inbox.end = ChatEnded(
                type="EVENT",
                content_type=EVENT_PREFIX + "chat.ended",
                contact_id=self.contact_id,
                inferred=True,
            )

    def _conclude(self, now: float) -> None:
        end = self.inbox.end
        if end is None:
            return
        self._deliver(self.inbox.flush(), now)
        self._stop("the chat ended")
        self._hand_out(self.echoes.open(), now)
        self._hand_out(self.streams.break_off(), now)
        self.outbox.fail_all(_ended(), but_current=True)
        for reader in self.readers:
            reader.push(end)
        self._enter(SessionState.ENDED)

    def _fail(self, error: Exception, now: float) -> None:
        del now
        self.error = error
        self._stop("the session failed")
        self.outbox.fail_all(error, but_current=False)
        for reader in self.readers:
            reader.fail(error)
        self._enter(SessionState.FAILED)

    def _stop(self, why: str) -> None:
        self.connection.stop(why)
        self.receipts.switch_off(why)
        self.recovery.stop()
        self.timers.keep(_is_a_readers)
        self.connected_at = None

    def check_open(self) -> None:
        """Raise if nothing can be sent any more.

        Raises:
            ChatEndedError: The chat is over.
            NotConnectedError: The session is closed, failed or not started.
        """
        if self.state is SessionState.ENDED or self.inbox.end is not None or self._leaving:
            raise _ended()
        if self.state is SessionState.FAILED and self.error is not None:
            raise NotConnectedError(str(self.error)) from self.error
        if self.state in (SessionState.CLOSED, SessionState.NEW):
            raise NotConnectedError("the session is not open: send inside `async with`")

    def _enter(self, state: SessionState) -> None:
        if state is self.state:
            return
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"a session cannot go from {self.state.name} to {state.name}")
        self._trace("state", {"from": str(self.state), "to": str(state)})
        self.state = state

    def _trace(self, event: str, facts: dict[str, object], *, warning: bool = False) -> None:
        self.commands.append(Trace(event, facts, "warning" if warning else "info"))


def _denied(error: Exception) -> bool:
    return isinstance(error, ServiceError) and error.status_code == 403


def _is_a_readers(alarm: Alarm) -> bool:
    return isinstance(alarm, tuple) and alarm[0] == "reader"


def _unreadable(cause: Exception) -> Exception:
    error = NotConnectedError(
        "this reader fell too far behind: the chat has ended and its transcript can no longer "
        "be read; read faster, or raise SessionOptions.buffer"
    )
    error.__cause__ = cause
    return error


def _ended() -> ChatEndedError:
    return ChatEndedError("the chat has ended: nothing can be sent to it; start a new one")
