"""What lies between a process and the service: websockets over TCP, and HTTP.

Bytes of one direction of a websocket arrive in order or not at all, as TCP has it. A direction
may fall silent in two ways: what is sent waits until the path heals (`Leg.HELD`), or nothing gets
through any more until the socket is gone (`Leg.LOST`). Assumed: no frame in the middle of a
stream vanishes while later ones of the same socket arrive, except inside the service
(`Socket.mute`), and damage to a frame leaves it unparseable rather than plausible.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from random import Random
from typing import TYPE_CHECKING, Any

from connect_chat.engine.frames import HEARTBEAT, PING, SUBSCRIBE
from connect_chat.errors import ConnectChatError, ServiceUnreachableError

from .clock import Clock
from .service import NEVER, Service, Upgrade
from .transcript import Said, refused

if TYPE_CHECKING:
    from .process import Process

__all__ = ["UNKNOWN", "Http", "Leg", "Network", "Socket", "Trouble"]

HEARTBEAT_ANSWER = '{"topic":"aws/heartbeat"}'
PING_ANSWER = '{"topic":"aws/ping","statusCode":200,"statusContent":"OK"}'
PING_ILL = '{"topic":"aws/ping","statusCode":500,"statusContent":"Internal Server Error"}'
SUBSCRIBED = '{"topic":"aws/subscribe","content":{"status":"success","topics":["aws/chat"]}}'
NOT_SUBSCRIBED = '{"topic":"aws/subscribe","content":{"status":"failure","topics":["aws/chat"]}}'
UNKNOWN = '{"topic":"aws/chat","contentType":"application/json","content":"{\\"Type\\":\\"NEW\\"}"}'
NOISE = (
    '{"message":"Internal server error","connectionId":"c","requestId":"r"}',
    '{"topic":"aws/novelty","content":"{}"}',
    UNKNOWN,
)
HTTP_TIMEOUT = 10.0
LONGEST_PUSH = 0.3


class Leg(Enum):
    """One direction of a socket."""

    OPEN = auto()
    HELD = auto()
    LOST = auto()


class Network:
    """The state of all paths.

    Attributes:
        latency: The usual one-way delay in seconds; a fault raises it.
        jitter: The mean of what comes on top.
        down_leg: What new sockets get as the leg towards us; a fault of the whole path.
        up_leg: The same for the leg towards the service.
        damage: How likely a frame is damaged.
        refusing_upgrades: Until when upgrades are refused.
        ignoring_upgrades: Until when upgrades get no answer.
        distrusted: Until when whoever answers upgrades is not trusted.
        eating_upgrades: Whether an upgrade without an answer has used its URL up.
        sockets: Those whose process still has them.
        expired: How many sockets were closed for their age while their process had them.
    """

    def __init__(self, clock: Clock, rng: Random, service: Service) -> None:
        self.clock = clock
        self.rng = rng
        self.service = service
        self.latency = 0.02
        self.jitter = 0.005
        self.down_leg = Leg.OPEN
        self.up_leg = Leg.OPEN
        self.damage = 0.0
        self.refusing_upgrades = 0.0
        self.ignoring_upgrades = 0.0
        self.distrusted = 0.0
        self.eating_upgrades = False
        self.sockets: list[Socket] = []
        self.expired = 0

    def delay(self) -> float:
        """Return how long one way takes, this time."""
        return self.latency + self.rng.random() * 2.0 * self.jitter

    def open(self, process: Process, link: int, url: str, timeout: float) -> Socket:
        """Open a websocket; the process hears of the outcome."""
        socket = Socket(self, process, link)
        now = self.clock.now
        if now < self.ignoring_upgrades or self.up_leg is Leg.LOST or self.down_leg is Leg.LOST:
            if self.eating_upgrades and self.up_leg is not Leg.LOST:
                self.clock.after(self.delay(), socket.upgrade, url, False)
            self.clock.after(timeout, socket.failed, "timeout", False)
        elif now < self.distrusted:
            self.clock.after(2 * self.delay(), socket.failed, "not trusted", False, True)
        elif now < self.refusing_upgrades:
            self.clock.after(2 * self.delay(), socket.failed, "HTTP 403", True)
        elif self.up_leg is Leg.HELD or self.down_leg is Leg.HELD:
            self.clock.after(timeout, socket.failed, "timeout", False)
        else:
            self.clock.after(self.delay(), socket.upgrade, url, True)
            self.clock.after(timeout, socket.failed, "timeout", False)
        return socket


class Socket:
    """One websocket, seen from both ends.

    Attributes:
        subscribed_at: When the process heard that it is subscribed.
        down: The leg towards the process.
        up: The leg towards the service.
        mute: Whether the service pushes nothing, though heartbeats are answered.
        ill: Until when deep heartbeats fail, and nothing is pushed meanwhile.
        ill_silently: Whether a failing deep heartbeat gets no answer instead of a bad one.
        gone: Whether the process has no part in it any more.
        gone_at: Since when.
        silent: From when to when a leg was not open, the last time.
    """

    __slots__ = (
        "_down_free",
        "_held_down",
        "_held_up",
        "_last_up",
        "_network",
        "_up_free",
        "down",
        "gone",
        "gone_at",
        "ill",
        "ill_silently",
        "link",
        "mute",
        "open",
        "process",
        "silent",
        "subscribed_at",
        "up",
        "upgraded",
    )

    def __init__(self, network: Network, process: Process, link: int) -> None:
        self._network = network
        self.process = process
        self.link = link
        self.down = network.down_leg
        self.up = network.up_leg
        self.mute = False
        self.ill = 0.0
        self.ill_silently = False
        self.gone = False
        self.open = False
        self.upgraded = False
        self.gone_at = NEVER
        self.silent = (NEVER, NEVER)
        self.subscribed_at: float | None = None
        self._down_free = 0.0
        self._up_free = 0.0
        self._last_up = 0.0
        self._held_down: list[tuple[str, Said | None, bool]] = []
        self._held_up: list[str] = []

    # Opening.

    def upgrade(self, url: str, answered: bool) -> None:
        """Let the service decide about the websocket."""
        network = self._network
        now = network.clock.now
        try:
            expiry = network.service.upgrade(url, self)
        except Upgrade:
            network.clock.after(network.delay(), self.failed, "HTTP 403", True)
            return
        self.upgraded = True
        self._last_up = now
        network.sockets.append(self)
        network.clock.at(expiry, self._expire)
        if answered and not self.gone:
            network.clock.after(network.delay(), self._opened)
        else:
            self._linger()

    def _opened(self) -> None:
        if not self.gone and self.down is Leg.OPEN:
            self.open = True
            self.process.feed("socket_opened", self.link)

    def failed(self, reason: str, spent: bool, distrusted: bool = False) -> None:
        """Tell the process that the socket did not open, unless it did."""
        if not self.gone and not self.open:
            self.abandon()
            self.process.feed(
                "socket_failed", self.link, reason, spent=spent, distrusted=distrusted
            )

    # From the process to the service.

    def send(self, text: str) -> None:
        """Carry a frame from the process."""
        if self.up is not Leg.OPEN:
            if self.up is Leg.HELD:
                self._held_up.append(text)
            return
        network = self._network
        arrival = network.clock.now + network.latency + network.rng.random() * 2.0 * network.jitter
        self._up_free = arrival = max(arrival, self._up_free)
        network.clock.at(arrival, self._serve, text)

    def _serve(self, text: str) -> None:
        if not self.upgraded:
            return
        now = self._network.clock.now
        self._last_up = now
        if text == HEARTBEAT:
            self._send_down(HEARTBEAT_ANSWER)
        elif text == PING:
            if now >= self.ill:
                self._send_down(PING_ANSWER)
            elif not self.ill_silently:
                self._send_down(PING_ILL)
        elif text == SUBSCRIBE:
            answer = self._network.service.subscribe(self)
            if answer is not None:
                self._send_down(SUBSCRIBED if answer == "success" else NOT_SUBSCRIBED)
        else:
            raise AssertionError("the engine sent a frame that the service does not know")

    # From the service to the process.

    def push(self, said: Said) -> None:
        """Carry an item from the service."""
        network = self._network
        if not self.upgraded:
            # Who leaves a socket in good order listens to it for a while, but not for ever.
            said.muted |= network.clock.now > said.accepted + LONGEST_PUSH
            return
        if self.mute or network.clock.now < self.ill:
            said.muted = True
            return
        said.pushes.append(self)
        self._send_down(said.frame, said)

    def noise(self) -> None:
        """Carry something of no use."""
        self._send_down(self._network.rng.choice(NOISE))

    def _send_down(self, text: str, said: Said | None = None) -> None:
        if self.down is Leg.LOST:
            return
        network = self._network
        damaged = False
        if network.damage and network.rng.random() < network.damage:
            damaged = True
            text = _damaged(text, network.rng)
        arrival = network.clock.now + network.latency + network.rng.random() * 2.0 * network.jitter
        self._down_free = arrival = max(arrival, self._down_free)
        network.clock.at(arrival, self._arrive, text, said, damaged)

    def _arrive(self, text: str, said: Said | None, damaged: bool) -> None:
        if self.gone:
            return
        if self.down is Leg.OPEN:
            self.process.frame(self, text, said, damaged)
        elif self.down is Leg.HELD:
            self._held_down.append((text, said, damaged))

    # Trouble.

    def silence(self, *, down: Leg, up: Leg) -> None:
        """Let its legs fall silent; a leg that lost frames stays lost."""
        if self.down is not Leg.LOST:
            self.down = down
        if self.up is not Leg.LOST:
            self.up = up
        now = self._network.clock.now
        self.silent = (now, NEVER)
        # What is under way on a slow path still comes.
        last = max(now, self._up_free, self._down_free)
        self._network.clock.at(last + self.process.patience, self.process.must_know, self, now)
        if self.up is not Leg.OPEN:
            self._linger()

    def heal(self) -> None:
        """Let what waited on held legs through."""
        if self.down is Leg.HELD:
            self.down = Leg.OPEN
            held, self._held_down = self._held_down, []
            for entry in held:
                self._arrive(*entry)
        self.silent = (self.silent[0], self._network.clock.now)
        if self.up is Leg.HELD:
            self.up = Leg.OPEN
            waiting, self._held_up = self._held_up, []
            for text in waiting:
                self.send(text)

    def cut(self, code: int | None) -> None:
        """Break it: what is under way is lost, and the process is told at once."""
        self._network.service.drop(self)
        self.upgraded = False
        if not self.gone:
            self._leave()
            self.process.feed("socket_closed", self.link, code)

    def _expire(self) -> None:
        self._network.expired += self.upgraded and not self.gone
        self.close_by_service(1001)

    def close_by_service(self, code: int) -> None:
        """Have the service close it, after everything that it has sent."""
        network = self._network
        if not self.upgraded:
            return
        self.upgraded = False
        network.service.drop(self)
        if self.gone or self.down is Leg.LOST:
            return
        network.clock.at(
            max(network.clock.now + network.delay(), self._down_free), self._ended, code
        )

    def _ended(self, code: int) -> None:
        if self.gone:
            return
        if self.down is Leg.HELD:
            # The closing waits in the stream like everything else; look again when it may move.
            self._network.clock.after(1.0, self._ended, code)
            return
        if self.down is Leg.OPEN:
            self._leave()
            self.process.feed("socket_closed", self.link, code)

    def abandon(self) -> None:
        """The process closes it, or is gone itself; the service may learn of that much later."""
        if self.gone:
            return
        self._leave()
        if self.upgraded and self.up is Leg.OPEN:
            arrival = max(self._network.clock.now + self._network.delay(), self._up_free)
            self._network.clock.at(arrival, self._dropped)
        else:
            self._linger()

    def _leave(self) -> None:
        self.gone = True
        self.gone_at = self._network.clock.now
        if self in self._network.sockets:
            self._network.sockets.remove(self)

    def _dropped(self) -> None:
        self.upgraded = False
        self._network.service.drop(self)

    def _linger(self) -> None:
        """Have the service drop it when it has heard nothing for long enough."""
        network = self._network
        deadline = self._last_up + network.service.traits.idle_timeout
        if network.clock.now >= deadline:
            self.close_by_service(1001)
        elif self.upgraded and (self.gone or self.up is not Leg.OPEN):
            network.clock.at(deadline, self._linger)


def _damaged(text: str, rng: Random) -> str:
    if rng.random() < 0.5:
        return text[: rng.randrange(len(text))]
    return '{"topic":"aws/chat","contentType":"application/json","content":"{\\"Content\\":\\"s'


class Trouble(Enum):
    """What may happen to an HTTP call."""

    UNREACHABLE = auto()
    LOST_REPLY = auto()
    STRAY = auto()
    THROTTLED = auto()
    FAULT = auto()
    FAULT_AFTER = auto()
    SLOW = auto()
    DISTRUSTED = auto()


class Http:
    """Calls to the service, one attempt each."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._windows: list[tuple[float, Trouble, str | None, float, float | None]] = []

    def trouble(
        self,
        until: float,
        trouble: Trouble,
        operation: str | None,
        likelihood: float,
        retry_after: float | None = None,
    ) -> None:
        """Let calls (of one operation, or all) fail with some likelihood until then."""
        self._windows.append((until, trouble, operation, likelihood, retry_after))

    def call(
        self,
        operation: str,
        work: Callable[[], Any],
        answer: Callable[[Any, Exception | None], None],
    ) -> None:
        """Have the service do ``work`` and ``answer`` with its result or its error."""
        network = self._network
        clock, rng = network.clock, network.rng
        trouble, retry_after = self._draw(operation)
        there = clock.now + network.delay()
        back = there + network.delay() + rng.random() * 0.05
        lost = ServiceUnreachableError("simulated", operation=operation)
        match trouble:
            case None:
                clock.at(there, self._serve, work, answer, back)
            case Trouble.UNREACHABLE:
                clock.after(rng.choice((0.0, 0.1, HTTP_TIMEOUT)), answer, None, lost)
            case Trouble.LOST_REPLY:
                clock.at(there, _do, work)
                clock.after(rng.choice((0.1, HTTP_TIMEOUT)), answer, None, lost)
            case Trouble.STRAY:
                # We gave up, but the request is still on its way.
                clock.after(HTTP_TIMEOUT, answer, None, lost)
                clock.after(HTTP_TIMEOUT + rng.random() * 10.0, _do, work)
            case Trouble.THROTTLED:
                error = refused("ThrottlingException", 429, operation, retry_after)
                clock.at(back, answer, None, error)
            case Trouble.FAULT | Trouble.FAULT_AFTER:
                if trouble is Trouble.FAULT_AFTER:
                    clock.at(there, _do, work)
                error = refused("InternalServerException", 500, operation)
                clock.at(back, answer, None, error)
            case Trouble.DISTRUSTED:
                error = ServiceUnreachableError("simulated", operation=operation, retryable=False)
                clock.at(back, answer, None, error)
            case Trouble.SLOW:
                clock.at(there, self._serve, work, answer, back + rng.random() * HTTP_TIMEOUT * 0.9)

    def _draw(self, operation: str) -> tuple[Trouble | None, float | None]:
        if not self._windows:
            return None, None
        now = self._network.clock.now
        self._windows = [window for window in self._windows if window[0] > now]
        for _, trouble, only, likelihood, retry_after in self._windows:
            if only in (None, operation) and self._network.rng.random() < likelihood:
                return trouble, retry_after
        return None, None

    def _serve(
        self, work: Callable[[], Any], answer: Callable[[Any, Exception | None], None], back: float
    ) -> None:
        try:
            result, error = work(), None
        except ConnectChatError as refusal:
            result, error = None, refusal
        self._network.clock.at(back, answer, result, error)


def _do(work: Callable[[], Any]) -> None:
    with suppress(ConnectChatError):
        work()
