"""What breaks: each kind is a function that breaks something and says for how long, in seconds.

A fault ends by itself. What it breaks may stay broken for the engine (a socket that is gone), but
nothing prevents the engine from repairing it once the fault is over.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from .network import Leg, Socket, Trouble

if TYPE_CHECKING:
    from .world import World

__all__ = ["KINDS"]

Kind = Callable[["World", Random], float]
KINDS: dict[str, Kind] = {}
CODES = (None, 1000, 1001, 1002, 1005, 1006, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 4000, 4999)


def _kind(function: Kind) -> Kind:
    KINDS[function.__name__.strip("_")] = function
    return function


def _some(world: World, rng: Random) -> list[Socket]:
    """Return all sockets, or one."""
    sockets = list(world.network.sockets)
    if len(sockets) > 1 and rng.random() < 0.5:
        return [rng.choice(sockets)]
    return sockets


def _span(rng: Random, longest: float) -> float:
    """Return a duration: often short, seldom long."""
    return longest * rng.random() ** 2 + 0.05


# Sockets.


@_kind
def _cut(world: World, rng: Random) -> float:
    """Break sockets; what was under way is lost."""
    for socket in _some(world, rng):
        socket.cut(rng.choice(CODES))
    return 0.0


@_kind
def _close(world: World, rng: Random) -> float:
    """Have the service close sockets in good order."""
    for socket in _some(world, rng):
        socket.close_by_service(rng.choice(CODES[1:]) or 1000)
    return 0.0


@_kind
def _flapping(world: World, rng: Random) -> float:
    """Cut every socket soon after it has opened, for a while."""
    span = _span(rng, 60.0)
    at = 0.0
    while at < span:
        at += rng.expovariate(0.5)
        world.clock.after(at, _cut, world, rng)
    return at


def _silence(world: World, rng: Random, leg: Leg, span: float) -> list[Socket]:
    down, up = rng.choice(((leg, leg), (leg, Leg.OPEN), (Leg.OPEN, leg)))
    sockets = _some(world, rng)
    for socket in sockets:
        socket.silence(down=down, up=up)
    if rng.random() < 0.3:
        # The path itself, not only the connections that use it now.
        world.network.down_leg, world.network.up_leg = down, up
        world.clock.after(span, _open_path, world)
    return sockets


def _open_path(world: World) -> None:
    world.network.down_leg = world.network.up_leg = Leg.OPEN


@_kind
def _hush(world: World, rng: Random) -> float:
    """Delay everything on one or both legs until the path heals."""
    span = _span(rng, 90.0)
    before = set(world.network.sockets)
    _silence(world, rng, Leg.HELD, span)

    def heal() -> None:
        for socket in before | set(world.network.sockets):
            socket.heal()

    world.clock.after(span, heal)
    return span


@_kind
def _black_hole(world: World, rng: Random) -> float:
    """Lose everything on one or both legs for good; the sockets may be cut later."""
    span = _span(rng, 90.0)
    sockets = _silence(world, rng, Leg.LOST, span)
    if rng.random() < 0.5:
        for socket in sockets:
            world.clock.after(span, socket.cut, None)
    return span + world.plan.options.silence_timeout + 2.0


@_kind
def _mute(world: World, rng: Random) -> float:
    """Have the service push nothing for a while though the sockets answer, then cut them."""
    span = _span(rng, 60.0)
    rest = rng.choice((0.0, _span(rng, 30.0)))
    for socket in _some(world, rng):
        socket.mute = True
        if rest:
            world.clock.after(span, setattr, socket, "mute", False)
    # All of them: the proof of loss is what brings the transcript into play.
    world.clock.after(span + rest, _cut_all, world, rng.choice(CODES))
    return span + rest


def _cut_all(world: World, code: int | None) -> None:
    for socket in list(world.network.sockets):
        socket.cut(code)


@_kind
def _illness(world: World, rng: Random) -> float:
    """Let the deep heartbeat fail, with nothing being pushed meanwhile."""
    # Long enough to cover one deep heartbeat; nothing could notice it otherwise.
    span = world.plan.options.heartbeat_interval + 1.0 + _span(rng, 60.0)
    silently = rng.random() < 0.5
    for socket in _some(world, rng):
        socket.ill = world.clock.now + span
        socket.ill_silently = silently
    return span


@_kind
def _jam(world: World, rng: Random) -> float:
    """Slow every frame and every call down."""
    network = world.network
    span = _span(rng, 60.0)
    network.latency, network.jitter = rng.choice(((0.5, 0.2), (2.0, 1.0), (0.02, 2.0)))
    world.clock.after(span, _unjam, world)
    return span


def _unjam(world: World) -> None:
    world.network.latency, world.network.jitter = 0.02, 0.005


@_kind
def _doubles(world: World, rng: Random) -> float:
    """Push items twice, the second time at once or much later."""
    span = _span(rng, 120.0)
    world.service.doubling = rng.choice((0.1, 0.9))
    world.service.doubling_delay = rng.choice((0.01, 1.0, 30.0, 600.0))
    world.clock.after(span, setattr, world.service, "doubling", 0.0)
    return span


@_kind
def _disorder(world: World, rng: Random) -> float:
    """Push items out of order."""
    span = _span(rng, 60.0)
    world.service.fan_out = rng.choice((0.08, 0.5, 3.0))
    world.clock.after(span, setattr, world.service, "fan_out", world.plan.traits.fan_out)
    return span


@_kind
def _damage(world: World, rng: Random) -> float:
    """Damage frames."""
    span = _span(rng, 20.0)
    world.network.damage = rng.choice((0.05, 0.5))
    world.clock.after(span, setattr, world.network, "damage", 0.0)
    return span


@_kind
def _noise(world: World, rng: Random) -> float:
    """Push frames that mean nothing to anybody."""
    for socket in world.network.sockets:
        for _ in range(rng.randint(1, 3)):
            socket.noise()
    return 0.0


# Connecting.


@_kind
def _upgrades_refused(world: World, rng: Random) -> float:
    """Refuse websocket upgrades, with a reason for somebody to connect."""
    span = _span(rng, 60.0)
    world.network.refusing_upgrades = world.clock.now + span
    _cut(world, rng)
    return span


@_kind
def _upgrades_ignored(world: World, rng: Random) -> float:
    """Leave websocket upgrades without an answer."""
    span = _span(rng, 60.0)
    world.network.ignoring_upgrades = world.clock.now + span
    world.network.eating_upgrades = rng.random() < 0.5
    _cut(world, rng)
    return span


@_kind
def _subscriptions_refused(world: World, rng: Random) -> float:
    """Refuse subscriptions."""
    span = _span(rng, 20.0)
    world.service.refusing_subscriptions = world.clock.now + span
    _cut(world, rng)
    return span


@_kind
def _subscriptions_ignored(world: World, rng: Random) -> float:
    """Leave subscriptions without an answer."""
    span = _span(rng, 20.0)
    world.service.ignoring_subscriptions = world.clock.now + span
    _cut(world, rng)
    return span


@_kind
def _distrust(world: World, rng: Random) -> float:
    """Have somebody in between whose certificate is not trusted."""
    span = _span(rng, 60.0)
    until = world.clock.now + span
    world.network.distrusted = until
    if rng.random() < 0.5:
        world.http.trouble(until, Trouble.DISTRUSTED, None, 1.0)
    _cut(world, rng)
    return span + 12.0


# Calls.


@_kind
def _calls(world: World, rng: Random) -> float:
    """Let calls fail or take long, of one operation or of all."""
    span = _span(rng, 60.0)
    operation = rng.choice(
        (None, "CreateParticipantConnection", "GetTranscript", "GetTranscript", "SendMessage")
    )
    trouble = rng.choice(list(Trouble))
    retry_after = rng.choice((None, 1.0, 5.0)) if trouble is Trouble.THROTTLED else None
    until = world.clock.now + span
    world.http.trouble(until, trouble, operation, rng.choice((0.3, 0.7, 1.0)), retry_after)
    if rng.random() < 0.5:
        _cut(world, rng)
    # A call that began in time may end this much later.
    return span + 12.0


@_kind
def _outage(world: World, rng: Random) -> float:
    """Let nothing through at all."""
    span = _span(rng, 120.0)
    if rng.random() < 0.1:
        span = world.plan.options.give_up_after + 60.0
    world.http.trouble(world.clock.now + span, Trouble.UNREACHABLE, None, 1.0)
    for socket in world.network.sockets:
        socket.silence(down=Leg.LOST, up=Leg.LOST)
    world.network.down_leg = world.network.up_leg = Leg.LOST
    world.clock.after(span, _open_path, world)
    return span + 12.0


@_kind
def _tokens_revoked(world: World, rng: Random) -> float:
    """Let every ConnectionToken expire."""
    world.service.revoke_tokens()
    if rng.random() < 0.5:
        _cut(world, rng)
    return 0.0


# The transcript.


@_kind
def _forgetfulness(world: World, rng: Random) -> float:
    """Refuse start positions and NextTokens."""
    transcript = world.service.transcript
    span = _span(rng, 120.0)
    transcript.forgets_ids = rng.random() < 0.7
    transcript.forgets_times = transcript.forgets_ids and rng.random() < 0.5

    def remember() -> None:
        transcript.forgets_ids = world.plan.traits.forgets_ids
        transcript.forgets_times = world.plan.traits.forgets_times

    def forget_tokens() -> None:
        transcript.generation += 1

    for _ in range(rng.choice((0, 0, 5))):
        world.clock.after(rng.random(), forget_tokens)
    world.clock.after(span, remember)
    _cut(world, rng)
    return span


@_kind
def _small_pages(world: World, rng: Random) -> float:
    """Give less on a page than was asked for, or nothing but a NextToken."""
    transcript = world.service.transcript
    span = _span(rng, 120.0)
    transcript.page_limit = rng.choice((1, 3, 10))
    transcript.blank_pages = rng.random() < 0.3

    def restore() -> None:
        transcript.page_limit, transcript.blank_pages = 100, False

    world.clock.after(span, restore)
    _cut(world, rng)
    return span


# Clocks and processes.


@_kind
def _wrong_expiry(world: World, rng: Random) -> float:
    """Give a ConnectionExpiry that makes no sense."""
    span = _span(rng, 120.0)
    world.wrong_expiry = world.clock.now + rng.choice((-1e6, -1.0, 0.0, 2.0, 1e8, float("inf")))
    world.clock.after(span, setattr, world, "wrong_expiry", None)
    _cut(world, rng)
    return span


@_kind
def _stall(world: World, rng: Random) -> float:
    """Stop the process for a while."""
    span = _span(rng, 40.0)
    world.process.stall(span)
    return span + 1.0


@_kind
def _restart(world: World, rng: Random) -> float:
    """Kill the process, and resume from its last snapshot in another one."""
    down = rng.choice((0.0, _span(rng, 30.0)))
    world.restart(down)
    return down


@_kind
def _pause(world: World, rng: Random) -> float:
    """Have the user read nothing for a while."""
    span = _span(rng, 300.0)
    world.user.pause(span)
    return span


@_kind
def _reader(world: World, rng: Random) -> float:
    """Read with a further reader for a while."""
    world.user.open_reader(rng.choice((2, 50)), _span(rng, 600.0))
    return 0.0


@_kind
def _burst(world: World, rng: Random) -> float:
    """Have somebody say a lot at once, and us as well."""
    for _ in range(rng.randint(5, 40)):
        world.clock.after(rng.random() * 2.0, world.say_something)
    if rng.random() < 0.5:
        for _ in range(3):
            world.say_ourselves()
    return 2.0


@_kind
def _streams(world: World, rng: Random) -> float:
    """Have the flow say many things at once in pieces, some of which never become whole."""
    for _ in range(rng.choice((1, 3, 40))):
        world.service.stream(rng.randint(1, 5), _span(rng, 12.0), whole=rng.random() < 0.7)
    return 12.0
