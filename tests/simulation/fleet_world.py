"""A service with a quota, a client that keeps to it, and the chats that share it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from random import Random
from typing import Protocol

from connect_chat import Priority, Quota, SessionOptions, ThrottlingException
from connect_chat.engine.commands import (
    CloseSocket,
    Command,
    Forget,
    Grant,
    OpenSocket,
    ReadTranscript,
    RequestConnection,
    SendFrame,
    Urgency,
)
from connect_chat.engine.frames import HEARTBEAT, PING, SUBSCRIBE, HeartbeatAnswer, SubscribeAnswer
from connect_chat.engine.links import Links
from connect_chat.engine.pacing import Limiter
from connect_chat.engine.queues import Ticket
from connect_chat.engine.retry import Failure, Retries, RetryBudget
from connect_chat.engine.timers import Timers

from .clock import Clock, to_datetime

__all__ = ["CONNECT", "Client", "Engine", "LinksOnly", "Member", "Network", "Service"]

CONNECT = "CreateParticipantConnection"
PRIORITY: Mapping[Urgency, Priority] = {
    "connect": Priority.CONNECT,
    "reconnect": Priority.RECONNECT,
    "rotate": Priority.ROTATE,
    "history": Priority.HISTORY,
}
NETWORK_JITTER = 0.25
ANSWERS = {
    SUBSCRIBE: '{"topic":"aws/subscribe","content":{"status":"success","topics":["aws/chat"]}}',
    HEARTBEAT: '{"topic":"aws/heartbeat"}',
}
# Heartbeats are left out, but for the one that a link begins with and the one it ends with.
OPTIONS = SessionOptions(heartbeat_interval=1e9, silence_timeout=2e9)


class Service:
    """Refuses what goes beyond its quota: a token bucket for each operation.

    Args:
        clock: The time.
        quota: What it enforces.
        lifetime: Of a connection, in seconds.

    Attributes:
        calls: Calls that arrived, by operation.
        throttled: Those of them that were refused.
    """

    def __init__(self, clock: Clock, quota: Quota, lifetime: float = 3600.0) -> None:
        self.clock = clock
        self.quota = quota
        self.lifetime = lifetime
        self.calls: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self._buckets: dict[str, tuple[float, float]] = {}

    def takes(self, operation: str) -> bool:
        """Return whether a call that arrives now is within the quota."""
        self.calls[operation] += 1
        rate = self.quota.rates[operation]
        now = self.clock.now
        tokens, at = self._buckets.get(operation, (float(rate.burst), now))
        tokens = min(float(rate.burst), tokens + rate.per_second * (now - at))
        # What arrives on the dot counts as in time.
        taken = tokens >= 1.0 - 1e-9
        self._buckets[operation] = (tokens - 1.0 if taken else tokens, now)
        self.throttled[operation] += not taken
        return taken

    def grant(self) -> Grant:
        """Return a connection."""
        now = to_datetime(self.clock.now)
        return Grant(
            url="wss://example.com",
            connection_expiry=now + timedelta(seconds=self.lifetime),
            connection_token="token",
            token_expiry=now + timedelta(days=1),
            service_time=now,
            local_time=now,
        )


class Network:
    """How long things take."""

    def __init__(self, clock: Clock, rng: Random) -> None:
        self.clock = clock
        self._random = rng.random

    def later(self, action: Callable[..., None], *arguments: object) -> None:
        """Have something done at the other end."""
        self.clock.after(0.02 + 0.1 * self._random(), action, *arguments)


class Call:
    """A call under way, as `Caller.call` makes it."""

    __slots__ = ("_client", "_on_wait", "done", "forgotten", "retries", "sent_at", "ticket")

    def __init__(
        self,
        client: Client,
        ticket: Ticket,
        done: Callable[[Exception | None], None],
        on_wait: Callable[[bool], None] | None,
    ) -> None:
        self._client = client
        self._on_wait = on_wait
        self.ticket = ticket
        self.done = done
        self.retries = Retries(client.budget, max_attempts=3, repeatable=True)
        self.sent_at = 0.0
        self.forgotten = False

    def waits(self, waiting: bool) -> None:
        """Tell whoever wants to know."""
        if self._on_wait is not None:
            self._on_wait(waiting)

    def forget(self) -> None:
        """Cancel it."""
        self._client.forget(self)


class Client:
    """Calls the service as `Caller` and `Pacer` do, with a real `Limiter`.

    Attributes:
        limiter: The limiter.
        missed: How many calls left the queue at their deadline.
    """

    def __init__(
        self, clock: Clock, rng: Random, network: Network, service: Service, quota: Quota | None
    ) -> None:
        self.limiter = Limiter(quota, jitter=NETWORK_JITTER)
        self.budget = RetryBudget()
        self.missed = 0
        self._clock = clock
        self._rng = rng
        self._network = network
        self._service = service
        self._waiting: dict[Ticket, Call] = {}
        self._wakes_at: float | None = None

    def call(
        self,
        operation: str,
        priority: Priority,
        key: str,
        done: Callable[[Exception | None], None],
        *,
        deadline: float | None = None,
        on_wait: Callable[[bool], None] | None = None,
    ) -> Call:
        """Make a call; ``done`` hears of its success (None) or failure."""
        ticket = Ticket(operation, priority, key, math.inf if deadline is None else deadline)
        call = Call(self, ticket, done, on_wait)
        self._wait(call)
        return call

    def forget(self, call: Call) -> None:
        """Cancel a call."""
        call.forgotten = True
        if self._waiting.pop(call.ticket, None) is not None:
            self.limiter.withdraw(call.ticket)
            self._set_timer()

    def _wait(self, call: Call) -> None:
        if call.forgotten:
            return
        call.waits(True)
        ticket = call.ticket
        if self.limiter.admit(ticket.operation, self._clock.now):
            self._send(call)
        else:
            self.limiter.enqueue(ticket)
            self._waiting[ticket] = call
            self._set_timer()

    def _set_timer(self) -> None:
        due = self.limiter.next_event()
        if due is not None and due != self._wakes_at:
            self._clock.at(due, self._wake, due)
        self._wakes_at = due

    def _wake(self, due: float) -> None:
        if due != self._wakes_at:
            return
        self._wakes_at = None
        for ticket in self.limiter.expire(self._clock.now):
            self.missed += 1
            call = self._waiting.pop(ticket)
            call.waits(False)
            call.done(TimeoutError())
        for ticket in self.limiter.grant(self._clock.now):
            self._send(self._waiting.pop(ticket))
        self._set_timer()

    def _send(self, call: Call) -> None:
        call.waits(False)
        call.sent_at = self._clock.now
        self._network.later(self._arrive, call)

    def _arrive(self, call: Call) -> None:
        self._network.later(self._answer, call, self._service.takes(call.ticket.operation))

    def _answer(self, call: Call, taken: bool) -> None:
        if taken:
            call.retries.succeeded()
            if not call.forgotten:
                call.done(None)
            return
        operation = call.ticket.operation
        if self.limiter.throttled(operation, call.sent_at, self._clock.now):
            self._set_timer()
        delay = call.retries.again_after(
            Failure.THROTTLED, retry_after=None, remaining=math.inf, chance=self._rng.random()
        )
        if delay is not None:
            self._clock.after(delay, self._wait, call)
        elif not call.forgotten:
            call.done(
                ThrottlingException(
                    status_code=429, code="ThrottlingException", operation=operation
                )
            )


class Engine(Protocol):
    """What decides for a chat: a `SessionEngine`, or `LinksOnly`."""

    @property
    def wake_at(self) -> float | None: ...
    def start(self, now: float) -> None: ...
    def wake(self, now: float) -> None: ...
    def take_commands(self) -> list[Command]: ...
    def connection_granted(self, request: int, grant: Grant, now: float) -> None: ...
    def connection_refused(self, request: int, error: Exception, now: float) -> None: ...
    def connection_queued(self, request: int, now: float) -> None: ...
    def connection_turn_came(self, request: int, now: float) -> None: ...
    def page_read(self, request: int, items: list[object], token: None, now: float) -> None: ...
    def page_failed(self, request: int, error: Exception, now: float) -> None: ...
    def socket_opened(self, link: int, now: float) -> None: ...
    def socket_closed(self, link: int, code: int | None, now: float) -> None: ...
    def frame_received(self, link: int, text: str, now: float) -> None: ...


class LinksOnly:
    """An `Engine` made of `Links` and nothing else."""

    def __init__(self, rng: Random, options: SessionOptions = OPTIONS) -> None:
        self._timers = Timers()
        self._commands: list[Command] = []
        self._numbers = 0
        self.links = Links(options, self._timers, rng, self._commands.append, self, self._number)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    @property
    def wake_at(self) -> float | None:
        return self._timers.next

    def start(self, now: float) -> None:
        self.links.start(now)

    def wake(self, now: float) -> None:
        for alarm in self._timers.due(now):
            if isinstance(alarm, str):
                self.links.wake(alarm, now)
            else:
                self.links.wake_link(*alarm, now)

    def take_commands(self) -> list[Command]:
        taken = self._commands[:]
        self._commands.clear()
        return taken

    def connection_granted(self, request: int, grant: Grant, now: float) -> None:
        self.links.granted(request, grant, now, now)

    def connection_refused(self, request: int, error: Exception, now: float) -> None:
        self.links.refused(request, error, now)

    def connection_queued(self, request: int, now: float) -> None:
        if self.links.awaits(request):
            self.links.queued(now)

    def connection_turn_came(self, request: int, now: float) -> None:
        if self.links.awaits(request):
            self.links.turn_came(now)

    def page_read(self, request: int, items: list[object], token: None, now: float) -> None:
        raise AssertionError("links read nothing")

    def page_failed(self, request: int, error: Exception, now: float) -> None:
        raise AssertionError("links read nothing")

    def socket_opened(self, link: int, now: float) -> None:
        self.links.opened(link, now)

    def socket_closed(self, link: int, code: int | None, now: float) -> None:
        self.links.closed(link, code, now)

    def frame_received(self, link: int, text: str, now: float) -> None:
        if text == ANSWERS[SUBSCRIBE]:
            self.links.subscription_answered(link, SubscribeAnswer(accepted=True), now)
        elif text == ANSWERS[HEARTBEAT]:
            self.links.heartbeat_answered(link, HeartbeatAnswer(), now)

    # What the links report. Whether a chat is deaf is judged by the service's sockets instead.

    def link_live(self, now: float, *, continuous: bool) -> None: ...
    def link_lost(self, now: float) -> None: ...
    def link_doubtful(self, now: float) -> None: ...
    def link_retired(self, now: float) -> None: ...
    def gave_up(self, now: float, cause: Exception | None) -> None:
        raise AssertionError(f"a chat was given up: {cause!r}")


class Member:
    """One chat of a fleet: carries out its engine's commands, as `Driver` does.

    Attributes:
        engine: What decides.
        key: What its calls are told apart by.
        sockets: Its subscribed sockets, with when the service will close them.
        live_at: When it became live, after it was not.
        deaf: How often it had no subscribed socket any more after it had one.
    """

    __slots__ = (
        "_calls", "_client", "_clock", "_network", "_opening", "_service", "_wakes_at", "_watch",
        "deaf", "engine", "key", "live_at", "sockets",
    )  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        key: str,
        clock: Clock,
        network: Network,
        service: Service,
        client: Client,
        watch: Callable[[Member], None],
    ) -> None:
        self.engine = engine
        self.key = key
        self.sockets: dict[int, float] = {}
        self.live_at: float | None = None
        self.deaf = 0
        self._clock = clock
        self._network = network
        self._service = service
        self._client = client
        self._watch = watch
        self._calls: dict[int, Call] = {}
        self._opening: dict[int, float] = {}
        self._wakes_at = math.inf

    def start(self) -> None:
        """Connect."""
        self.engine.start(self._clock.now)
        self._settle()

    def cut(self) -> None:
        """Lose all sockets."""
        for link in [*self._opening, *self.sockets]:
            self._close(link)

    def _settle(self) -> None:
        engine = self.engine
        while commands := engine.take_commands():
            for command in commands:
                self._do(command)
        at = engine.wake_at
        if at is not None and at < self._wakes_at:
            self._wakes_at = at
            self._clock.at(at, self._wake, at)

    def _wake(self, at: float) -> None:
        if at != self._wakes_at:
            return
        self._wakes_at = math.inf
        self.engine.wake(self._clock.now)
        self._settle()

    def _do(self, command: Command) -> None:
        match command:
            case RequestConnection(request=request):
                self._calls[request] = self._client.call(
                    CONNECT,
                    PRIORITY[command.urgency],
                    self.key,
                    lambda error: self._connection_answered(request, error),
                    deadline=command.deadline,
                    on_wait=lambda waiting: self._connection_waits(request, waiting),
                )
            case ReadTranscript(request=request):
                self._calls[request] = self._client.call(
                    "GetTranscript",
                    PRIORITY[command.urgency],
                    self.key,
                    lambda error: self._page_answered(request, error),
                )
            case Forget(request=request):
                if call := self._calls.pop(request, None):
                    call.forget()
            case OpenSocket(link=link):
                self._network.later(self._opened, link)
            case SendFrame(link=link, text=text) if text != PING:
                self._network.later(self._frame, link, text)
            case CloseSocket(link=link):
                self.sockets.pop(link, None)
                self._opening.pop(link, None)

    def _connection_waits(self, request: int, waiting: bool) -> None:
        engine = self.engine
        tell = engine.connection_queued if waiting else engine.connection_turn_came
        tell(request, self._clock.now)

    def _connection_answered(self, request: int, error: Exception | None) -> None:
        self._calls.pop(request, None)
        now = self._clock.now
        if error is None:
            self._opening[request] = now + self._service.lifetime
            self.engine.connection_granted(request, self._service.grant(), now)
        else:
            self.engine.connection_refused(request, error, now)
        self._settle()

    def _page_answered(self, request: int, error: Exception | None) -> None:
        self._calls.pop(request, None)
        if error is None:
            self.engine.page_read(request, [], None, self._clock.now)
        else:
            self.engine.page_failed(request, error, self._clock.now)
        self._settle()

    def _opened(self, link: int) -> None:
        if link in self._opening:
            self.engine.socket_opened(link, self._clock.now)
            self._settle()

    def _frame(self, link: int, text: str) -> None:
        if link not in self._opening and link not in self.sockets:
            return
        if text == SUBSCRIBE:
            expires = self._opening.pop(link)
            self._clock.at(expires, self._close, link)
            if not self.sockets:
                self.live_at = self._clock.now
                self._watch(self)
            self.sockets[link] = expires
        self.engine.frame_received(link, ANSWERS[text], self._clock.now)
        self._settle()

    def _close(self, link: int) -> None:
        """Lose a socket, if it is there still."""
        if self.sockets.pop(link, None) is None and self._opening.pop(link, None) is None:
            return
        if not self.sockets:
            self.live_at = None
            self.deaf += 1
        self.engine.socket_closed(link, 1006, self._clock.now)
        self._settle()
