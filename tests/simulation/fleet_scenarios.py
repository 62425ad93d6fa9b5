"""What is tried with a fleet, and what came of it, as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from connect_chat import DEFAULT_QUOTA, Priority, Quota, Rate
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.session import SessionEngine, SessionState

from .clock import Clock
from .fleet_plain import PlainMember
from .fleet_world import CONNECT, OPTIONS, Client, LinksOnly, Member, Network, Service

__all__ = [
    "Crowd",
    "Cut",
    "Days",
    "Restored",
    "cut",
    "cut_plain",
    "days",
    "days_plain",
    "noisy",
    "restored",
]

LIVE_FIRST = 30.0
"""How long a fleet has, without a quota, to become live before it is cut."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What came of cutting all sockets at once.

    Attributes:
        chats: How many there are.
        floor: The least time that the quota allows for bringing them back, in seconds.
        took: The time that it took; infinite if some never came back.
        broken: Chats that never came back.
        calls: CreateParticipantConnection calls that arrived.
        throttled: Those of them that were refused.
        reads: GetTranscript calls that arrived.
        reads_throttled: Those of them that were refused.
        read_through: When no gap was open any more, with all the looks after the first.
        sends: Messages sent meanwhile.
        send_wait: The longest that one of them took, in seconds.
        sends_throttled: How many of them were refused.
    """

    chats: int
    floor: float
    took: float
    broken: int
    calls: int
    throttled: int
    reads: int = 0
    reads_throttled: int = 0
    read_through: float = math.nan
    sends: int = 0
    send_wait: float = math.nan
    sends_throttled: int = 0


class _World:
    """A clock, a network, a service, and a client of it."""

    def __init__(
        self,
        seed: int,
        granted: Quota = DEFAULT_QUOTA,
        assumed: Quota | None = DEFAULT_QUOTA,
        lifetime: float = 3600.0,
    ) -> None:
        self.rng = Random(seed)
        self.clock = Clock()
        self.network = Network(self.clock, Random(self.rng.random()))
        self.service = Service(self.clock, granted, lifetime)
        self.client = Client(self.clock, self.rng, self.network, self.service, assumed)

    def session(self, number: int, client: Client, watch: Callable[[Member], None]) -> Member:
        """Return a chat with a whole `SessionEngine`."""
        engine = SessionEngine(f"participant {number}", options=OPTIONS, rng=self.rng)
        return Member(engine, str(number), self.clock, self.network, self.service, client, watch)


def _nothing(_: object) -> None:
    pass


def cut(
    chats: int,
    *,
    granted: Rate = DEFAULT_QUOTA.rates[CONNECT],
    sends_per_second: float = 8.0,
    seed: int = 1,
) -> Cut:
    """Cut all sockets of a fleet at once, while messages go on being sent.

    Args:
        chats: How many.
        granted: What the service grants of connections; the client always reckons with the
            documented rate.
        sends_per_second: Messages sent, on average, by all chats together.
        seed: Of all randomness.
    """
    world = _World(seed, Quota(dict.fromkeys(DEFAULT_QUOTA.rates, Rate(1e9, 10**9))))
    clock, service = world.clock, world.service
    client = world.client
    client.limiter = type(client.limiter)(None)
    members = [world.session(number, client, _nothing) for number in range(chats)]
    for member in members:
        member.start()
    clock.run(LIVE_FIRST)
    assert all(member.live_at is not None for member in members)

    began = clock.now
    service.quota = DEFAULT_QUOTA.overridden_by({CONNECT: granted})
    service.calls.clear()
    fresh = Client(clock, world.rng, world.network, service, DEFAULT_QUOTA)
    client.limiter = fresh.limiter
    waits: list[float] = []

    def send() -> None:
        if all_live():
            return
        key = str(world.rng.randrange(chats))
        at = clock.now
        client.call("SendMessage", Priority.SEND, key, lambda _: waits.append(clock.now - at))
        clock.after(world.rng.expovariate(sends_per_second), send)

    def all_live() -> bool:
        return all(member.live_at is not None for member in members)

    for member in members:
        member.cut()
    if sends_per_second:
        send()
    floor = max(0.0, (chats - granted.burst) / granted.per_second)
    _run_until(clock, all_live, began + 3.0 * floor + 60.0)
    took = max(member.live_at or math.inf for member in members) - began
    calls, throttled = service.calls[CONNECT], service.throttled[CONNECT]
    _run_until(clock, lambda: not any(_recovering(member) for member in members), began + 14_400.0)
    return Cut(
        chats,
        floor,
        took,
        broken=sum(member.live_at is None for member in members),
        calls=calls,
        throttled=throttled,
        reads=service.calls["GetTranscript"],
        reads_throttled=service.throttled["GetTranscript"],
        read_through=clock.now - began,
        sends=len(waits),
        send_wait=max(waits, default=math.nan),
        sends_throttled=service.throttled["SendMessage"],
    )


def _recovering(member: Member) -> bool:
    engine = member.engine
    return isinstance(engine, SessionEngine) and engine.recovery.gap


def _run_until(clock: Clock, condition: Callable[[], bool], limit: float) -> None:
    while clock.now < limit and not condition():
        clock.run(clock.now + 1.0)


def cut_plain(chats: int, *, attempts: float = math.inf, seed: int = 1) -> Cut:
    """Cut all sockets of a fleet whose chats back off by themselves.

    Args:
        chats: How many.
        attempts: So many refusals in a row break a chat for good.
        seed: Of all randomness.
    """
    world = _World(seed)
    clock, service = world.clock, world.service
    members = [
        PlainMember(clock, world.rng, world.network, service, attempts) for _ in range(chats)
    ]
    for member in members:
        member.start()
    rate = DEFAULT_QUOTA.rates[CONNECT]
    floor = max(0.0, (chats - rate.burst) / rate.per_second)
    _run_until(clock, lambda: all(one.live or one.broken for one in members), 3.0 * floor + 60.0)
    return Cut(
        chats,
        floor,
        took=max(member.live_at or math.inf for member in members),
        broken=sum(member.broken for member in members),
        calls=service.calls[CONNECT],
        throttled=service.throttled[CONNECT],
    )


@dataclass(frozen=True, slots=True)
class Days:
    """What came of keeping sockets live.

    Attributes:
        chats: How many there are.
        hours: For how long, from the first call on.
        connected: When the last of them was live for the first time, in seconds.
        rotations: Connections after the first of each.
        deaf: How often a chat that had been live had no subscribed socket.
        throttled: CreateParticipantConnection calls that were refused.
        missed: Rotations whose turn did not come before their deadline.
        peak: The most rotations that waited for their turn at a time.
        busiest: The most calls of one minute once all were live, of the 360 that the quota has.
    """

    chats: int
    hours: float
    connected: float
    rotations: int
    deaf: int
    throttled: int
    missed: int
    peak: int
    busiest: int


def days(
    chats: int,
    hours: float,
    *,
    at_once: bool = False,
    cut_after: float = math.inf,
    cut_share: float = 0.0,
    lifetime: float = 3600.0,
    options: SessionOptions = OPTIONS,
    seed: int = 1,
) -> Days:
    """Connect a fleet and keep it live.

    Args:
        chats: How many.
        hours: For how long.
        at_once: Whether they begin all at once, as if there were no quota for a moment, so that
            all of them expire at the same time.
        cut_after: After so many hours, once, …
        cut_share: … so much of the fleet is cut. What becomes deaf until all are live again is
            not counted.
        lifetime: Of a connection, in seconds.
        options: Of the sessions.
        seed: Of all randomness.
    """
    world = _World(seed, lifetime=lifetime)
    clock, service, client = world.clock, world.service, world.client
    connected = 0.0

    def live(member: Member) -> None:
        nonlocal connected
        if not member.deaf:
            connected = clock.now

    paced = client.limiter
    if at_once:
        service.quota = Quota({CONNECT: Rate(1e9, 10**9)})
        client.limiter = type(paced)(None)
    members = [
        Member(
            LinksOnly(world.rng, options),
            str(number),
            clock,
            world.network,
            service,
            client,
            live,
        )
        for number in range(chats)
    ]
    for member in members:
        member.start()
    if at_once:
        clock.run(1.0)
        service.quota = DEFAULT_QUOTA
        client.limiter = paced
    busiest = peak = before = 0
    deaf = 0
    while clock.now < hours * 3600.0:
        clock.run(clock.now + 60.0)
        if clock.now >= cut_after * 3600.0:
            cut_after = math.inf
            for member in members[: round(cut_share * chats)]:
                member.cut()
            _run_until(clock, lambda: all(one.sockets for one in members), math.inf)
            deaf, connected = sum(one.deaf for one in members), clock.now
            before, peak, busiest = service.calls[CONNECT], 0, 0
        peak = max(peak, paced.waiting.get(CONNECT, {}).get(Priority.ROTATE, 0))
        if clock.now > connected + 60.0:
            busiest = max(busiest, service.calls[CONNECT] - before)
        before = service.calls[CONNECT]
    return Days(
        chats,
        hours,
        connected,
        rotations=service.calls[CONNECT] - service.throttled[CONNECT] - chats,
        deaf=sum(member.deaf for member in members) - deaf,
        throttled=service.throttled[CONNECT],
        missed=client.missed,
        peak=peak,
        busiest=busiest,
    )


def days_plain(chats: int, hours: float, *, seed: int = 1) -> Days:
    """Connect a fleet whose chats back off by themselves, and keep it live."""
    world = _World(seed)
    clock, service = world.clock, world.service
    members = [PlainMember(clock, world.rng, world.network, service) for _ in range(chats)]
    for member in members:
        member.start()
    connected = math.inf
    busiest = before = 0
    while clock.now < hours * 3600.0:
        clock.run(clock.now + 60.0)
        if connected == math.inf and all(one.live or one.deaf for one in members):
            connected = clock.now
        if clock.now > connected + 60.0:
            busiest = max(busiest, service.calls[CONNECT] - before)
        before = service.calls[CONNECT]
    return Days(
        chats,
        hours,
        connected,
        rotations=service.calls[CONNECT] - service.throttled[CONNECT] - chats,
        deaf=sum(member.deaf for member in members),
        throttled=service.throttled[CONNECT],
        missed=0,
        peak=0,
        busiest=busiest,
    )


@dataclass(frozen=True, slots=True)
class Crowd:
    """How long messages waited, in seconds from the call to its answer.

    Attributes:
        quiet: The longest of a quiet chat's.
        noisy: The longest of the noisy chat's.
        sent: How many the quiet chats sent.
        throttled: How many were refused.
    """

    quiet: float
    noisy: float
    sent: int
    throttled: int


def noisy(
    *, quiet_chats: int = 100, minutes: float = 5.0, fair: bool = True, seed: int = 1
) -> Crowd:
    """Send from a chat that always has 50 messages to send, beside many that send now and then.

    Args:
        quiet_chats: How many there are; each sends every 20 s, on average.
        minutes: For how long.
        fair: Whether calls are told apart by chat; else the first to come is the first to be
            served.
        seed: Of all randomness.
    """
    world = _World(seed)
    clock, client = world.clock, world.client
    end = minutes * 60.0
    took: dict[bool, list[float]] = {True: [], False: []}

    def send(chat: int) -> None:
        if clock.now > end:
            return
        at = clock.now
        key = str(chat) if fair else ""

        def sent(_: Exception | None) -> None:
            took[chat == 0].append(clock.now - at)
            if chat == 0:
                send(chat)

        client.call("SendMessage", Priority.SEND, key, sent)
        if chat:
            clock.after(world.rng.expovariate(1 / 20.0), send, chat)

    for _ in range(50):
        send(0)
    for chat in range(1, quiet_chats + 1):
        clock.after(world.rng.expovariate(1 / 20.0), send, chat)
    clock.run(end)
    return Crowd(
        quiet=max(took[False]),
        noisy=max(took[True]),
        sent=len(took[False]),
        throttled=world.service.throttled["SendMessage"],
    )


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of restoring chats after a restart.

    Attributes:
        chats: How many there are.
        floor: The least time that the quota allows, in seconds.
        took: The time that it took.
        disordered: How far from its place, at most, a chat became live.
        failed: How many sessions gave up.
        begun: New chats that began meanwhile.
        begin_wait: The longest that one of them took to be live, in seconds.
        throttled: Calls that were refused.
    """

    chats: int
    floor: float
    took: float
    disordered: int
    failed: int
    begun: int
    begin_wait: float
    throttled: int


def restored(chats: int, *, begins_every: float = 10.0, seed: int = 1) -> Restored:
    """Resume a fleet from its snapshots, the newest first, while new chats begin.

    Args:
        chats: How many.
        begins_every: Seconds between two new chats.
        seed: Of all randomness.
    """
    world = _World(seed)
    clock, client = world.clock, world.client
    live: list[Member] = []
    old = []
    for number in range(chats):
        token = f"participant {number}"
        snapshot = SessionEngine(token, options=OPTIONS, rng=world.rng).snapshot()
        engine = SessionEngine(token, options=OPTIONS, rng=world.rng, snapshot=snapshot)
        old.append(
            Member(engine, str(number), clock, world.network, world.service, client, live.append)
        )
    for member in old:
        member.start()
    waits: list[float] = []

    def begin(number: int) -> None:
        if len(live) >= chats:
            return
        at = clock.now
        member = world.session(number, client, lambda _: waits.append(clock.now - at))
        member.start()
        clock.after(begins_every, begin, number + 1)

    clock.after(begins_every / 2, begin, chats)
    floor = (chats - 9) / 6.0
    _run_until(clock, lambda: len(live) == chats, 2.0 * floor + 60.0)
    clock.run(clock.now + 5.0)
    place = {member: at for at, member in enumerate(live)}
    return Restored(
        chats,
        floor,
        took=max(member.live_at or math.inf for member in old),
        disordered=max(abs(place.get(member, chats) - at) for at, member in enumerate(old)),
        failed=_failed(old),
        begun=len(waits),
        begin_wait=max(waits, default=math.nan),
        throttled=world.service.throttled[CONNECT],
    )


def _failed(members: Sequence[Member]) -> int:
    return sum(
        isinstance(member.engine, SessionEngine) and member.engine.state is SessionState.FAILED
        for member in members
    )
