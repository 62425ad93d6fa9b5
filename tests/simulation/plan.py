"""What one seed stands for: the service's traits, the chat, the user, and how rough it gets."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from connect_chat.engine.options import SessionOptions

from .faults import KINDS
from .service import Traits

__all__ = ["Plan", "Scale", "draw"]

TAIL = 240.0
"""How long, in seconds, nothing breaks at the end: everything must have come by then."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How long chats are, at most.

    Attributes:
        hours: Of a quiet chat.
        minutes: Of a busy one.
    """

    hours: float = 12.0
    minutes: float = 10.0


@dataclass(slots=True)
class Plan:
    """One chat and all that happens to it.

    Attributes:
        duration: Seconds until the faults stop; the chat goes on for `TAIL` more.
        gap: The mean time between two things that others say when the chat is quiet.
        rush: The same in a rush.
        rushes: How likely a quiet spell is followed by a rush.
        before: How many things are said before anybody connects.
        fault_every: The mean time between two faults; 0 for none.
        kinds: The faults that happen here.
        end: How the chat ends: ``"open"`` it doesn't, ``"ended"`` by somebody else, ``"left"`` by
            us, ``"transferred"`` away from us; the last three also in the middle of trouble.
        end_in_trouble: Whether it ends before the faults stop.
        handling: The user's mean time for an item, 0 for no time.
        replies: How likely the user answers a message.
        cancels: How likely the user gives up waiting for a send.
        snapshot_every: Items handled between snapshots, 0 for none but the first.
        knows_me: Whether the user passes the participant's id.
        knows_role: Whether the user passes the participant's role.
        own: Whether the user wants our own messages, too.
        from_start: Whether the user wants what was said before they came, too.
        updates: Whether the user wants streamed messages as they grow.
        polling: Whether the session goes without a websocket.
        skew: How far our clock is from the service's, in seconds.
        dated: How likely an answer has a Date header.
    """

    traits: Traits
    options: SessionOptions
    duration: float = 3600.0
    gap: float = 60.0
    rush: float = 0.3
    rushes: float = 0.1
    before: int = 0
    fault_every: float = 0.0
    kinds: tuple[str, ...] = ()
    end: str = "open"
    end_in_trouble: bool = False
    handling: float = 0.0
    replies: float = 0.0
    cancels: float = 0.0
    snapshot_every: int = 0
    knows_me: bool = False
    knows_role: bool = False
    own: bool = False
    from_start: bool = True
    updates: bool = False
    polling: bool = False
    skew: float = 0.0
    dated: float = 1.0


def draw(rng: Random, scale: Scale) -> Plan:
    """Return a plan drawn at random."""
    options = _options(rng)
    traits = _traits(rng, options)
    plan = Plan(traits, options)
    if rng.random() < 0.6:
        plan.duration = 3600.0 * scale.hours * rng.uniform(0.1, 1.0)
        plan.gap = rng.choice((100.0, 400.0, 1200.0))
        plan.rushes = rng.choice((0.0, 0.0, 0.02))
    else:
        plan.duration = 60.0 * scale.minutes * rng.uniform(0.05, 1.0)
        plan.gap = rng.choice((0.5, 3.0, 10.0))
        plan.rushes = rng.choice((0.0, 0.0, 0.03))
        plan.rush = rng.choice((0.02, 0.1, 0.3))
        if traits.connection_lifetime > 900.0 and rng.random() < 0.7:
            traits.connection_lifetime = rng.choice((60.0, 200.0, 600.0))
    plan.before = rng.randint(0, 5) if rng.random() < 0.98 else rng.choice((1200, 2500))
    # Saying that takes its time, and no chat ends before somebody connects.
    plan.duration += plan.before / 10.0
    roughness = rng.random()
    if roughness > 0.05:
        plan.fault_every = rng.choice((600.0, 120.0, 30.0, 8.0))
        plan.fault_every = max(plan.fault_every, plan.duration / 120.0)
        some = rng.randint(1, len(KINDS)) if rng.random() < 0.6 else len(KINDS)
        plan.kinds = tuple(rng.sample(sorted(KINDS), some))
    plan.end = rng.choice(("open", "open", "ended", "left", "transferred"))
    if plan.end == "transferred" and traits.role != "AGENT":
        plan.end = "ended"
    plan.end_in_trouble = plan.end != "open" and rng.random() < 0.5
    if rng.random() < 0.4:
        plan.handling = rng.choice((0.01, 0.3, 2.0))
    plan.replies = rng.choice((0.0, 0.2, 0.5))
    plan.cancels = rng.choice((0.0, 0.2))
    plan.snapshot_every = rng.choice((1, 10, 20, 50, 100)) if "restart" in plan.kinds else 0
    plan.knows_me = rng.random() < 0.3
    plan.knows_role = rng.random() < 0.3
    plan.own = rng.random() < 0.2
    plan.from_start = rng.random() < 0.9
    plan.updates = rng.random() < 0.3
    plan.polling = rng.random() < 0.04
    # Without a socket, a transcript that goes on being readable is no sign of the end.
    if plan.polling and (plan.end == "transferred" or not traits.says_ended):
        traits.reads_after_end = False
    plan.skew = rng.choice((0.0, 0.0, -7200.0, 40.0, 1e6, -1e7))
    plan.dated = rng.choice((1.0, 1.0, 0.5, 0.0))
    return plan


def _options(rng: Random) -> SessionOptions:
    if rng.random() < 0.4:
        return SessionOptions()
    return SessionOptions(
        give_up_after=rng.choice((1800.0, 120.0)),
        merge_wait=rng.choice((5.0, 1.0, 15.0)),
        relooks=rng.choice(((1.0, 3.0, 10.0), (2.0, 6.0), (0.5, 1.0, 2.0, 20.0))),
        reorder_window=rng.choice((0.1, 0.0, 0.5)),
        retire_timeout=rng.choice((5.0, 1.0)),
        audit_after=rng.choice((500, 50)),
        deep_failures=rng.choice((2, 1)),
        deep_backoff=rng.choice((60.0, 20.0)),
        buffer=rng.choice((1000, 3, 20, 100)),
        disconnect_timeout=rng.choice((60.0, 20.0)),
    )


def _traits(rng: Random, options: SessionOptions) -> Traits:
    most_lag = 0.8 * min(options.relooks[-1], options.overlap)
    forgets_ids = rng.random() < 0.1
    return Traits(
        connection_lifetime=rng.choice((3600.0, 3600.0, 1200.0, 300.0)),
        token_lifetime=rng.choice((86_400.0, 1500.0, 400.0)),
        lag=rng.choice((0.0, 0.2, 2.0, most_lag)),
        fan_out=rng.choice((0.0, 0.03, 0.3)),
        stamp_error=rng.choice((0.0, 0.01)),
        role=rng.choice(("CUSTOMER", "CUSTOMER", "AGENT")),
        early_lookup=rng.random() < 0.3,
        reads_after_end=rng.random() < 0.5,
        says_ended=rng.random() < 0.9,
        idle_timeout=rng.choice((60.0, 20.0)),
        disconnect_flow=rng.choice((0.0, 3.0, 15.0)),
        refuses_who_left=rng.random() < 0.5,
        past=rng.choice((0, 0, 3, 150)),
        forgets_ids=forgets_ids,
        forgets_times=forgets_ids and rng.random() < 0.4,
    )
