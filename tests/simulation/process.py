"""One process that holds the chat: an engine, and a shell that carries its commands out."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from connect_chat.engine.commands import (
    CallService,
    CloseSocket,
    Forget,
    Grant,
    OpenSocket,
    ReadTranscript,
    RequestConnection,
    SendFrame,
    Trace,
)
from connect_chat.engine.session import SessionEngine, SessionState
from connect_chat.engine.snapshot import Snapshot
from connect_chat.errors import ConnectChatError
from connect_chat.items import parse_item

from .checks import Ledger, Violation
from .clock import to_datetime
from .network import SUBSCRIBED, UNKNOWN, Socket
from .service import ME, NEVER, Granted
from .transcript import Said

if TYPE_CHECKING:
    from .world import World

__all__ = ["ACTIVE", "TOKEN", "Process"]

TOKEN = "s3cr3t-participant"
ACTIVE = frozenset({SessionState.CONNECTING, SessionState.CONNECTED, SessionState.RECONNECTING})
CALL_ATTEMPTS = 3
MOST_WAKES_AT_ONCE = 50
WAKE_LATENESS = 0.0005


class Process:
    """An engine at work.

    Attributes:
        engine: The engine.
        ledger: What it was told and what it handed out.
        dead: Whether the process has been killed.
        since: When it was started.
        sockets: The websockets that the engine has opened and not closed, by link.
        outstanding: The calls whose outcome the engine waits for: what they are, by their number.
        stalled_until: Until when the process does nothing (a blocked event loop, a laptop asleep).
    """

    def __init__(self, world: World, snapshot: str | None, base: frozenset[Said]) -> None:
        plan = world.plan
        self.world = world
        self.clock = world.clock
        self.dead = False
        self.since = world.clock.now
        self.sockets: dict[int, Socket] = {}
        self.outstanding: dict[int, RequestConnection | ReadTranscript | CallService] = {}
        self.stalled_until = 0.0
        self.granted_at: dict[str, float] = {}
        self._rng = Random(world.rng.getrandbits(64))
        # Any origin will do for the engine; every process has another.
        self.origin = self._rng.choice((0.0, 7.3, 81_234.567))
        self._backlog: list[tuple[Callable[..., None], tuple[Any, ...], dict[str, Any]]] = []
        self._wake_event = float("inf")
        self._wakes: tuple[float, int] = (0.0, 0)
        # When connections, with a websocket and without, may be asked for again.
        self._not_before = {True: 0.0, False: 0.0}
        self.engine = SessionEngine(
            TOKEN,
            options=plan.options,
            rng=Random(world.rng.getrandbits(64)),
            participant_id=ME if plan.knows_me else None,
            participant_role=plan.traits.role if plan.knows_role else None,
            own=plan.own,
            from_start=plan.from_start,
            updates=plan.updates,
            polling=plan.polling,
            snapshot=None if snapshot is None else Snapshot.load(snapshot),
        )
        self.ledger = Ledger(self, base)
        self._carry_out = {
            RequestConnection: self._request_connection,
            OpenSocket: self._open_socket,
            SendFrame: self._send_frame,
            CloseSocket: self._close_socket,
            ReadTranscript: self._read_transcript,
            CallService: self._call_service,
            Forget: self._forget,
            Trace: self._trace,
        }

    @property
    def now(self) -> float:
        """The engine's clock."""
        return self.clock.now + self.origin

    def start(self) -> None:
        """Start the engine."""
        if self.world.tell:
            self.world.tell("**", "a process starts")
        self.engine.start(self.now)
        self.settle()

    @property
    def calling(self) -> bool:
        """Whether a send is under way."""
        return any(isinstance(one, CallService) for one in self.outstanding.values())

    @property
    def patience(self) -> float:
        """How long, in seconds, a path may be silent until the engine must have noticed."""
        network = self.world.network
        under_way = 4.0 * (network.latency + 2.0 * network.jitter)
        return self.world.plan.options.silence_timeout + under_way + 0.5

    def must_know(self, socket: Socket, since: float) -> None:
        """Judge whether the engine has noticed that a socket has been silent for too long."""
        service = self.world.service
        if self.dead or self.stalled_until > since or service.left or service.ended is not None:
            return
        if socket.gone or socket.silent[0] != since or socket.silent[1] != NEVER:
            return
        others = [
            one
            for one in self.sockets.values()
            if one.subscribed_at is not None and not one.silent[0] <= self.clock.now < one.silent[1]
        ]
        if self.engine.state is SessionState.CONNECTED and not others:
            raise Violation("deaf", f"a silence since {since:.3f} was not noticed")

    def kill(self) -> None:
        """End the process without a word to anybody."""
        self.dead = True
        for socket in list(self.sockets.values()):
            socket.abandon()

    def stall(self, duration: float) -> None:
        """Do nothing for a while; everything that comes in waits."""
        if self.stalled_until <= self.clock.now:
            self.clock.after(duration, self._catch_up)
            self.stalled_until = self.clock.now + duration

    # What comes in.

    def feed(self, method: str, *arguments: Any, **options: Any) -> None:
        """Call one of the engine's methods with the time, and do what it asks for."""
        if self.dead:
            return
        if self._put_off(self.feed, method, *arguments, **options):
            return
        if self.world.tell:
            self.world.tell("<-", method, *arguments)
        if method in ("socket_closed", "socket_failed"):
            self.sockets.pop(arguments[0], None)
            self.ledger.lost()
        elif method == "connection_granted":
            self.granted_at[arguments[1].url] = self.clock.now
        getattr(self.engine, method)(*arguments, self.now, **options)
        self.settle()

    def frame(self, socket: Socket, text: str, said: Said | None, damaged: bool) -> None:
        """Take a frame from a socket."""
        if self.dead:
            return
        if self.stalled_until > self.clock.now:
            self._put_off(self.frame, socket, text, said, damaged)
            return
        if self.world.tell:
            self.world.tell("<-", "frame", socket.link, said or text, "damaged" if damaged else "")
        if said is not None:
            self.ledger.arrived(said, damaged)
        elif text is UNKNOWN:
            self.ledger.unknown_at = min(self.ledger.unknown_at, self.clock.now)
        elif text is SUBSCRIBED and not socket.gone:
            self.ledger.subscribed(socket)
        self.engine.frame_received(socket.link, text, self.clock.now + self.origin)
        self.settle()

    def _put_off(self, action: Callable[..., None], *arguments: Any, **options: Any) -> bool:
        """Have something done when the process goes on; False if it is at work."""
        stalled = self.stalled_until > self.clock.now
        if stalled:
            self._backlog.append((action, arguments, options))
        return stalled

    def _catch_up(self) -> None:
        backlog, self._backlog = self._backlog, []
        wake_first = self._rng.random() < 0.5
        if wake_first:
            self._wake()
        for action, arguments, options in backlog:
            action(*arguments, **options)
        if not wake_first:
            self._wake()

    # What the engine wants.

    def settle(self) -> None:
        """Carry out the engine's commands, let readers read, and see when to wake it."""
        engine = self.engine
        world = self.world
        while True:
            for command in engine.take_commands():
                if world.tell:
                    world.tell("->", command)
                self._carry_out[type(command)](command)
            for result in engine.take_results():
                world.user.answered(self, result)
            if not world.user.read(self):
                break
        if engine.connected_at is not None and world.began > self.clock.now:
            world.began = self.clock.now
        self.ledger.knows_me = engine.participant_id is not None
        at = engine.wake_at
        if at is None:
            if engine.state is SessionState.FAILED and not self.dead:
                world.failed()
            elif engine.state in ACTIVE and not self.outstanding:
                raise Violation("stuck", f"{engine.state} and waiting for nothing")
        elif at - self.origin + WAKE_LATENESS < self._wake_event:
            self._wake_event = max(at - self.origin + WAKE_LATENESS, self.clock.now)
            self.clock.at(self._wake_event, self._alarm, self._wake_event)

    def _alarm(self, due: float) -> None:
        if due != self._wake_event:
            # An earlier one has been set since, and another will be if it is still wanted.
            return
        self._wake_event = float("inf")
        if not self.dead and self.stalled_until <= self.clock.now:
            self._wake()

    def _wake(self) -> None:
        if self.dead:
            return
        at = self.engine.wake_at
        if at is not None and at <= self.now:
            moment, times = self._wakes
            times = times + 1 if moment == self.clock.now else 1
            if times > MOST_WAKES_AT_ONCE:
                raise Violation("spin", "woken again and again without the time moving")
            self._wakes = (self.clock.now, times)
            self.engine.wake(self.now)
        self.settle()

    def _request_connection(self, command: RequestConnection) -> None:
        if self.clock.now < self._not_before[command.websocket]:
            raise Violation("impatience", "a connection was asked for before its Retry-After")
        self.outstanding[command.request] = command
        self.world.calls.connection()
        service = self.world.service

        def answer(granted: Granted | None, error: Exception | None) -> None:
            if self._put_off(answer, granted, error):
                return
            waited_for = self.outstanding.pop(command.request, None) is not None
            if not waited_for and self._rng.random() < 0.5:
                return
            if granted is None:
                if waited_for:
                    wait = getattr(error, "retry_after", None) or 0.0
                    self._not_before[command.websocket] = self.clock.now + wait
                self.feed("connection_refused", command.request, error)
                return
            self.feed("connection_granted", command.request, self.grant(granted))

        self.world.http.call(
            "CreateParticipantConnection",
            lambda: service.create_connection(command.websocket),
            answer,
        )

    def grant(self, granted: Granted) -> Grant:
        """Return a grant as the engine gets it: by clocks that may be wrong."""
        world = self.world
        expiry = world.wrong_expiry if world.wrong_expiry is not None else granted.expiry
        # The Date header has whole seconds.
        dated = self._rng.random() < world.plan.dated
        return Grant(
            url=granted.url,
            connection_expiry=None if expiry == float("inf") else to_datetime(expiry),
            connection_token=granted.token,
            token_expiry=to_datetime(granted.token_expiry),
            service_time=to_datetime(granted.at // 1.0) if dated else None,
            local_time=to_datetime(self.clock.now + world.plan.skew),
        )

    def _open_socket(self, command: OpenSocket) -> None:
        age = self.clock.now - self.granted_at.get(command.url, -1e9)
        if age > self.world.plan.options.url_lifetime + 0.01:
            raise Violation("stale URL", f"opened {age:.1f} s after it was granted")
        if command.link in self.sockets:
            raise Violation("two sockets", "a link opened a second socket before losing its first")
        socket = self.world.network.open(self, command.link, command.url, command.timeout)
        self.sockets[command.link] = socket
        if len(self.sockets) > 2:
            raise Violation("sockets", f"{len(self.sockets)} open")

    def _send_frame(self, command: SendFrame) -> None:
        socket = self.sockets.get(command.link)
        if socket is not None:
            if not socket.open:
                raise Violation("too early", "a frame was sent on a socket that is not open")
            socket.send(command.text)

    def _close_socket(self, command: CloseSocket) -> None:
        socket = self.sockets.pop(command.link, None)
        if socket is not None:
            socket.abandon()
            self.ledger.lost()

    def _read_transcript(self, command: ReadTranscript) -> None:
        self.outstanding[command.request] = command
        self.world.calls.page(first=command.query.get("next_token") is None)
        service = self.world.service

        def work() -> tuple[list[Said], str | None, float]:
            found, token = service.get_transcript(command.connection_token, command.query)
            return found, token, self.clock.now

        def answer(
            page: tuple[list[Said], str | None, float] | None, error: Exception | None
        ) -> None:
            if self._put_off(answer, page, error):
                return
            waited_for = self.outstanding.pop(command.request, None) is not None
            if not waited_for and self._rng.random() < 0.5:
                return
            if page is None:
                self.feed("page_failed", command.request, error)
                return
            self._page(command.request, *page, waited_for)

        self.world.http.call("GetTranscript", work, answer)

    def _page(
        self,
        request: int,
        found: list[Said],
        next_token: str | None,
        served: float,
        waited_for: bool,
    ) -> None:
        if self.dead:
            return
        if waited_for:
            shared = not any(reader.awaits(request) for reader in self.engine.readers)
            self.ledger.page(found, served, shared=shared)
        items = [said.parsed() for said in found]
        self.feed("page_read", request, items, next_token)

    def _call_service(self, command: CallService, attempt: int = 1) -> None:
        self.outstanding[command.call] = command

        def answer(said: Said | None, error: Exception | None) -> None:
            if self.dead or self._put_off(answer, said, error):
                return
            # The client that the shell uses repeats what may succeed later.
            if getattr(error, "retryable", False) and attempt < CALL_ATTEMPTS:
                wait = max(self._rng.random() * attempt, getattr(error, "retry_after", None) or 0)
                self.clock.after(wait, self._call_service, command, attempt + 1)
                return
            del self.outstanding[command.call]
            if error is not None:
                self.feed("call_failed", command.call, error)
            elif said is None:
                self.feed("call_succeeded", command.call, None, None)
            else:
                self.ledger.replied(said)
                time = to_datetime(said.key[0] / 1000)
                self.feed("call_succeeded", command.call, said.id, time)

        if not self.dead:
            self.world.http.call(
                command.outgoing.operation,
                lambda: self.world.service.call(command.connection_token, command.outgoing),
                answer,
            )

    def _forget(self, command: Forget) -> None:
        self.outstanding.pop(command.request, None)

    def _trace(self, command: Trace) -> None:
        if "s3cr3t" in repr(command):
            raise Violation("secret", f"the trace {command.event} tells a secret")
        if command.event == "link.silent":
            self.ledger.noticed_silence()

    # The end.

    def close(self) -> None:
        """Close the engine, and tell it all that may still come in."""
        waiting = list(self.outstanding.values())
        links = list(self.sockets)
        engine = self.engine
        engine.close(self.now)
        self.settle()
        service = self.world.service
        error = ConnectChatError("simulated")
        for command in waiting:
            if isinstance(command, RequestConnection):
                granted = Granted("wss://late", 1e9, "late", 1e9, self.clock.now)
                engine.connection_granted(command.request, self.grant(granted), self.now)
                engine.connection_refused(command.request, error, self.now)
            elif isinstance(command, ReadTranscript):
                items = [parse_item(said.raw) for said in service.transcript.items[-5:]]
                engine.page_read(command.request, items, None, self.now)
                engine.page_failed(command.request, error, self.now)
            else:
                engine.call_succeeded(command.call, "late", None, self.now)
                engine.call_failed(command.call, error, self.now)
        for link in links:
            engine.socket_opened(link, self.now)
            for said in service.said[-3:]:
                engine.frame_received(link, said.frame, self.now)
            engine.frame_received(link, SUBSCRIBED, self.now)
            engine.socket_failed(link, "late", self.now, spent=True)
            engine.socket_closed(link, 1006, self.now)
        engine.wake(self.now + 1e6)
        engine.close(self.now)
        asked = [one for one in engine.take_commands() if not isinstance(one, Trace)]
        if asked or engine.wake_at is not None or engine.state is not SessionState.CLOSED:
            raise Violation("not closed", f"{engine.state} after close(), asking for {asked}")
