"""One seed: everything put together, run to its end and judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from connect_chat.engine.session import SessionState
from connect_chat.items import EVENT_PREFIX

from .checks import Calls, ReaderLog, Violation, size_of
from .clock import Clock
from .faults import KINDS
from .network import Http, Network
from .plan import TAIL, Plan, Scale, draw
from .process import ACTIVE, Process
from .service import NEVER, Service
from .transcript import Said
from .user import User

__all__ = ["Outcome", "World", "judge", "prepare", "simulate"]

SETTLE = 120.0
"""After so many seconds without a fault, everything said before must have arrived."""

LOOKS = 8
"""How often the engine's size is looked at."""

KEPT_EVENTS = ("participant.left", "participant.joined", "transfer.failed", "chat.rehydrated")
UNKEPT_EVENTS = ("typing", "typing", "participant.idle", "participant.returned")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one seed.

    Attributes:
        seed: The seed.
        hours: Simulated.
        faults: That happened.
        items: That were handled.
        late: Of these, how many were marked late.
        connections: How often CreateParticipantConnection was called.
        reads: How often GetTranscript was.
        violation: What was violated, or None.
    """

    seed: int
    hours: float
    faults: int
    items: int
    late: int
    connections: int
    reads: int
    violation: str | None


class World:
    """A chat, those who hold it and what lies between.

    Attributes:
        plan: What happens.
        wrong_expiry: The ConnectionExpiry that grants give now, or None for the right one.
        began: When a session was connected for the first time.
        process: The process that holds the chat now.
        tell: Told of everything, if somebody listens.
        troubles: From when to when something was broken.
    """

    def __init__(self, plan: Plan, rng: Random) -> None:
        self.plan = plan
        self.rng = rng
        self.clock = Clock()
        self.service = Service(self.clock, Random(rng.getrandbits(64)), plan.traits)
        self.network = Network(self.clock, Random(rng.getrandbits(64)), self.service)
        self.http = Http(self.network)
        self.calls = Calls(self.clock, polling=plan.polling)
        self.user = User(self)
        self.wrong_expiry: float | None = None
        self.tell: Callable[..., None] | None = None
        self.troubles: list[tuple[float, float]] = [(0.0, 0.0)]
        self.began = NEVER
        self.faults = 0
        self._rushing = False
        self._down = False
        self.process = Process(self, None, frozenset())
        self.user.begin(self.process)

    # The course of things.

    def run(self) -> None:
        """Run the chat to its end.

        Raises:
            Violation: Something that must hold did not.
        """
        plan, clock, rng = self.plan, self.clock, self.rng
        for _ in range(plan.before):
            self.say_something()
            clock.run(clock.now + 0.02)
        clock.after(rng.random() * 3.0, self._talk)
        if plan.fault_every:
            clock.after(rng.random() * plan.fault_every, self._fault)
        if plan.end_in_trouble:
            clock.at(plan.duration * rng.uniform(0.3, 1.0), self._end)
        self.process.start()
        clock.at(plan.duration, self.user.hurry)
        for look in range(1, LOOKS + 1):
            clock.run(plan.duration * look / LOOKS)
            self._check_size()
        clock.run(self._calm_from + TAIL)
        if not plan.fault_every and plan.dated == 1.0 and not (plan.polling or self._over):
            self._judge_rotations()
        if plan.end != "open":
            self._end()
            clock.run(max(clock.now, self._calm_from) + TAIL)
        self.user.hurry()
        clock.run(clock.now + 1.0)
        if self.process.engine.state is SessionState.RECONNECTING:
            # A socket that expired unexpectedly (no clock to trust) takes a moment to replace.
            clock.run(clock.now + 40.0)
        self._check_size()
        self._judge()
        self.process.close()

    @property
    def _calm_from(self) -> float:
        return max(self.plan.duration, *(until for _, until in self.troubles))

    @property
    def _over(self) -> bool:
        return self.service.ended is not None

    def _talk(self) -> None:
        if self._over or self.clock.now > self._calm_from + TAIL - SETTLE / 2:
            return
        self.say_something()
        if self.plan.rushes and self.rng.random() < (0.02 if self._rushing else self.plan.rushes):
            self._rushing = not self._rushing
        gap = self.plan.rush if self._rushing else self.plan.gap
        self.clock.after(self.rng.expovariate(1.0 / gap), self._talk)

    def say_something(self) -> None:
        """Have somebody else say or do something."""
        if self._over:
            return
        rng, service = self.rng, self.service
        draw = rng.random()
        who = rng.choice(("agent-1", "agent-2", ""))
        if draw < 0.75:
            service.say(who)
        elif draw < 0.82:
            service.say(who, "EVENT", EVENT_PREFIX + rng.choice(KEPT_EVENTS))
        elif draw < 0.92:
            service.say("agent-1", "EVENT", EVENT_PREFIX + rng.choice(UNKEPT_EVENTS), kept=False)
        elif draw < 0.95:
            service.receipt(rng.choice(("agent-1", "me-5d2f")))
        else:
            service.stream(rng.randint(1, 6), rng.uniform(0.1, 1.5))

    def say_ourselves(self) -> None:
        """Say something on our own account."""
        if self.process.engine.state in ACTIVE and not self.process.dead:
            self.user.say(self.process)
            self.process.settle()

    def _fault(self) -> None:
        if self.clock.now >= self.plan.duration or self._over:
            return
        kind = self.rng.choice(self.plan.kinds)
        if self.tell:
            self.tell("**", kind)
        span = KINDS[kind](self, self.rng)
        self.faults += 1
        now = self.clock.now
        self.troubles.append((now, now + span))
        self.clock.after(self.rng.expovariate(1.0 / self.plan.fault_every), self._fault)

    def failed(self) -> None:
        """Resume, some time later, a session that gave up."""
        engine = self.process.engine
        if engine.error is None or engine.error.__cause__ is None:
            raise Violation("failure", "the session failed without saying why")
        if not self._down:
            self.user.put_down()
            self.restart(self.rng.random() * 20.0)

    def restart(self, down: float) -> None:
        """Kill the process and start another from the last snapshot, some time later."""
        if self._down:
            return
        self._down = True
        self.user.killed()
        self.process.kill()
        self.clock.after(down, self._start_again)

    def _start_again(self) -> None:
        self._down = False
        user = self.user
        del user.handled[user.covered :]
        self.calls.restarted()
        self.process = Process(self, user.snapshot, frozenset(user.handled))
        user.begin(self.process)
        self.process.start()

    def _end(self) -> None:
        if self._over:
            return
        if self.plan.end == "ended":
            self.service.end()
        elif self.plan.end == "left":
            self.user.disconnect()
            # Somebody else ends it if our leaving never reached the service.
            self.clock.after(TAIL / 2, self.service.end)
        else:
            self.service.traits.says_ended = False
            self.service.say("", "EVENT", EVENT_PREFIX + "transfer.succeeded")
            self.service.end()

    # Judgement.

    def _check_size(self) -> None:
        if self._down:
            return
        size = size_of(self.process.engine)
        options = self.plan.options
        readers = len(self.process.ledger.logs)
        most = 12_000 + readers * (2 * options.buffer + 5_000) + 3 * len(self.user.sends)
        if size > most:
            raise Violation("memory", f"{size} elements, {most} at most")

    def _judge(self) -> None:
        engine, log = self.process.engine, self.user.log
        assert log is not None
        if self._over:
            if engine.state is not SessionState.ENDED or not (log.finished or self._cut_off(log)):
                raise Violation("no end", f"{engine.state} though the chat has ended")
        elif engine.state is not SessionState.CONNECTED:
            raise Violation("no way out", f"{engine.state} long after the last fault")
        for one in self.process.ledger.logs:
            self._judge_reader(one)
            self._judge_streams(one)
        self._judge_sends()
        self._judge_calls()

    def _judge_calls(self) -> None:
        """Judge how often the service was asked, for what had happened."""
        calls, plan, hours = self.calls, self.plan, self.clock.now / 3600.0
        trouble = sum(until - begin for begin, until in self.troubles)
        lifetime = min(plan.traits.connection_lifetime, plan.traits.token_lifetime)
        most = 10 + 3 * self.faults + 0.2 * trouble + 4 * 3600.0 * hours / lifetime
        if calls.connections > most:
            raise Violation("call storm", f"{calls.connections} connections asked for")
        if calls.reads > 40 + 15 * calls.connections + len(self.service.said) and not plan.polling:
            raise Violation("call storm", f"the transcript was read {calls.reads} times")

    def _judge_rotations(self) -> None:
        """Judge a chat in which nothing went wrong."""
        if self.service.deaf or self.network.expired:
            raise Violation("rotation", "there was a moment without a subscribed socket")
        if self.process.engine.counters["gaps"] != 1:
            raise Violation("rotation", "a rotation was taken for a gap")

    def _cut_off(self, log: ReaderLog) -> bool:
        """Whether a reader was behind when the transcript was closed to us for good.

        It is also if the last token expires after the end, when there will be no other.
        """
        token = self.process.engine.token
        return log.reader.failure is not None and not self.service.is_readable(token)

    def _judge_reader(self, log: ReaderLog) -> None:
        if self._cut_off(log):
            return
        base = self.process.ledger.base
        primary = log is self.user.log
        for said in self.service.said:
            if not self._demanded(said) or said in log.got or (primary and said in base):
                continue
            if said.accepted > self.clock.now - SETTLE / 2:
                # One of ours, from a long queue: others were silent by then.
                continue
            if not primary and (said in base or said.accepted < log.since + 40.0):
                continue
            if self._excused(said) or (self.service.left and said.accepted > log.finished_at):
                # Having left, we may be refused a connection, which is an end like another.
                continue
            raise Violation("lost", f"the item of {said.accepted:.3f}")

    def _judge_streams(self, log: ReaderLog) -> None:
        """Judge what became of streamed messages that were never whole."""
        if not log.eager:
            # It may have been behind, and the transcript does not have them.
            return
        options = self.plan.options
        until = min(log.finished_at, self.clock.now - options.stream_wait - 10.0)
        for said, arrival in self.process.ledger.arrivals.items():
            never_whole = said.piece and said.id not in self.service.by_id
            # A piece that comes much later is taken for a copy of something known.
            soon = min(until, said.key[0] / 1000.0 + options.overlap)
            if never_whole and arrival.frame < soon and said.id not in log.incomplete:
                raise Violation("lost", f"what there was of a message begun at {said.key[0]} ms")

    def _demanded(self, said: Said) -> bool:
        if not self.plan.from_start and said.key[0] <= self.began * 1000.0:
            return False
        return said.demanded and (not said.mine or self.plan.own)

    def _excused(self, said: Said) -> bool:
        """Whether an item could not be had any more when the chat ended."""
        ended = self.service.ended
        arrival = self.process.ledger.arrivals.get(said)
        if ended is None or (arrival is not None and arrival.shared):
            return False
        if self.process.since > ended - SETTLE:
            # Resumed when it was all but over: how much of it can be read again is luck.
            return True
        if self.plan.traits.reads_after_end and said.visible <= ended and not self._troubled(ended):
            return False
        # It could be had if things were well for long enough between it and the end.
        start = said.visible
        for begin, until in self.troubles:
            if begin - start >= SETTLE:
                return False
            start = max(start, until)
        return ended - start < SETTLE

    def _troubled(self, at: float) -> bool:
        return any(begin - 1.0 <= at <= until + SETTLE for begin, until in self.troubles)

    def _judge_sends(self) -> None:
        ours = [said.raw["Content"] for said in self.service.mine.values() if said is not None]
        if len(set(ours)) < len(ours):
            raise Violation("send", "a message was said twice")
        last: Said | None = None
        for send in self.user.sends:
            if (
                send.outcome == "pending"
                and send.process is self.process
                and not self.process.calling
            ):
                raise Violation("send", "a send has no outcome")
            if send.outcome != "sent":
                continue
            said = self.service.mine.get(send.client_token, last)
            if send.client_token not in self.service.mine:
                raise Violation("send", "a send succeeded that the service never saw")
            if said is None:
                continue
            if said.id != send.item_id:
                raise Violation("send", "a send has somebody else's Id")
            if last is not None and said < last:
                raise Violation("send", "two sends changed places")
            last = said


def prepare(seed: int, scale: Scale) -> World:
    """Return the world of a seed, before anything has happened in it."""
    rng = Random(seed)
    return World(draw(rng, scale), rng)


def judge(plan: Plan, rng: Random) -> str | None:
    """Run a plan; return what was violated, or None."""
    return _run(World(plan, rng))


def simulate(seed: int, scale: Scale) -> Outcome:
    """Run one seed."""
    world = prepare(seed, scale)
    violation = _run(world)
    return Outcome(
        seed,
        hours=world.clock.now / 3600.0,
        faults=world.faults,
        items=len(world.user.handled),
        late=world.user.log.late if world.user.log else 0,
        connections=world.calls.connections,
        reads=world.calls.pages,
        violation=violation,
    )


def _run(world: World) -> str | None:
    try:
        world.run()
    except Violation as violation:
        return f"{violation} (at {world.clock.now:.3f})"
    except Exception as error:  # noqa: BLE001 - whatever the engine raised is a finding
        return f"crash: {type(error).__name__}: {error} (at {world.clock.now:.3f})"
    return None
