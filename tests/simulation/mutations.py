"""Deliberate defects of the engine, and the kind of chat in which each must be noticed.

A defect is a patch of one of the engine's methods. It counts as caught if one of a few seeds
violates something with it, the same seed violates nothing without it, and the violation is of a
kind that the defect explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from unittest.mock import patch

from connect_chat.engine import links, session
from connect_chat.engine.backoff import Backoff
from connect_chat.engine.commands import Grant, Outgoing, Position
from connect_chat.engine.credentials import Credentials
from connect_chat.engine.echo import EchoGate
from connect_chat.engine.inbox import Inbox
from connect_chat.engine.link import Link
from connect_chat.engine.links import Links
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.outbox import Outbox
from connect_chat.engine.reader import Reader
from connect_chat.engine.reading import Reading
from connect_chat.engine.recovery import Recovery
from connect_chat.engine.session import SessionEngine
from connect_chat.engine.streams import Streams
from connect_chat.engine.timers import Timers
from connect_chat.engine.waiting import WaitingItems
from connect_chat.items import Item, Message

from .plan import Plan
from .service import Traits
from .world import judge

__all__ = ["MUTATIONS", "Mutation", "hunt"]

Method = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A defect.

    Attributes:
        name: What is wrong.
        where: The class or module that is patched, and the name in it.
        make: Makes the defective function from the right one.
        shows: The kinds of violation that it explains.
        plan: What the chat must be like, beyond `_ordinary`.
        options: Session options, beyond the defaults.
        traits: The service's traits, beyond the defaults.
    """

    name: str
    where: tuple[Any, str]
    make: Callable[[Method], Method]
    shows: tuple[str, ...]
    plan: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the engine have the defect."""
        owner, name = self.where
        with patch.object(owner, name, self.make(getattr(owner, name))):
            yield

    def draw(self) -> Plan:
        """Return a plan of its kind of chat."""
        ordinary = Plan(Traits(), SessionOptions(), duration=400.0, gap=3.0, fault_every=25.0)
        return replace(
            ordinary,
            traits=replace(ordinary.traits, **self.traits),
            options=replace(ordinary.options, **self.options),
            **self.plan,
        )


def hunt(mutation: Mutation, seeds: Sequence[int]) -> tuple[int, str] | None:
    """Return the first seed that shows the defect, and what it violates; None if none does."""
    for seed in seeds:
        with mutation.applied():
            violation = judge(mutation.draw(), Random(seed))
        if violation is None or violation.partition(":")[0] not in mutation.shows:
            continue
        if judge(mutation.draw(), Random(seed)) is None:
            return seed, violation
    return None


def _anchor_moves(live: Method) -> Method:
    def mutant(self: Inbox, item: Item, now: float) -> Sequence[Item]:
        if item.in_transcript and item.id is not None and item.absolute_time is not None:
            self.anchor = Position(item.id, item.absolute_time)
        return live(self, item, now)  # type: ignore[no-any-return]

    return mutant


def _never_looks_again(begin: Method) -> Method:
    def mutant(self: Recovery, *arguments: Any) -> None:
        begin(self, *arguments)
        self._relooks = []

    return mutant


def _only_lets_newer_through(merge: Method) -> Method:
    def mutant(self: Inbox, items: Sequence[Item]) -> Sequence[Item]:
        newest = self._last
        found = merge(self, items)
        return [one for one in found if one.absolute_time is None or one.absolute_time >= newest]

    return mutant


def _backwards(pop_until: Method) -> Method:
    def mutant(self: WaitingItems, time: Any) -> Iterator[Any]:
        return reversed(list(pop_until(self, time)))

    return mutant


def _forgets_age(set_alarm: Method) -> Method:
    def mutant(self: Link, alarm: str, at: float) -> None:
        self._url_dies_at = float("inf")
        set_alarm(self, alarm, at)

    return mutant


def _without(alarm: str) -> Callable[[Method], Method]:
    """Return what makes alarms of one name never ring."""

    def make(set_alarm: Method) -> Method:
        def mutant(self: Timers, name: Any, at: float) -> None:
            if alarm not in (name, name[0]):
                set_alarm(self, name, at)

        return mutant

    return make


def _closes_first(ask: Method) -> Method:
    def mutant(self: Links, now: float) -> None:
        if self.current is not None and self.live:
            self.current.close("too early")
        ask(self, now)

    return mutant


def _new_client_token(resume: Method) -> Method:
    def mutant(self: Outbox) -> None:
        for call, outgoing in self._waiting.items():
            if call == self.current and self.paused:
                token = outgoing.client_token + "-again"
                self._waiting[call] = replace(outgoing, client_token=token)
        resume(self)

    return mutant


def _last_in_first_out(put: Method) -> Method:
    def mutant(self: Outbox, call: int, outgoing: Outgoing) -> None:
        put(self, call, outgoing)
        if self.current != call:
            self._waiting.move_to_end(call, last=False)

    return mutant


def _one_page(page: Method) -> Method:
    def mutant(self: Reading, items: Sequence[Item], next_token: str | None) -> Sequence[Item]:
        del next_token
        return page(self, items, None)  # type: ignore[no-any-return]

    return mutant


def _believes(lifetime: Method) -> Method:
    def mutant(grant: Grant) -> float:
        if grant.connection_expiry is None or grant.service_time is None:
            return lifetime(grant)  # type: ignore[no-any-return]
        return (grant.connection_expiry - grant.service_time).total_seconds()

    return mutant


def _impatient(failed: Method) -> Method:
    def mutant(self: Credentials, _retry_after: float | None, now: float) -> None:
        failed(self, None, now)

    return mutant


def _without_a_word(make_room: Method) -> Method:
    def mutant(self: Streams, item: Message) -> list[Message]:
        make_room(self, item)
        return []

    return mutant


def _leaves_at_once(linger: Method) -> Method:
    def mutant(self: Link, now: float) -> None:
        linger(self, now - self._options.retire_timeout)

    return mutant


def _gives_up(go_on: Method) -> Method:
    def mutant(self: Reading, way: Any) -> None:
        go_on(self, way)
        self.done = True

    return mutant


def _always(value: Any) -> Callable[[Method], Method]:
    return lambda _: lambda *_arguments, **_options: value


LOST = ("lost", "late", "no end")

MUTATIONS = (
    Mutation(
        "live items move the anchor",
        (Inbox, "live"),
        _anchor_moves,
        LOST,
        plan={"kinds": ("mute",)},
    ),
    Mutation(
        "the transcript is looked at once only",
        (Recovery, "begin"),
        _never_looks_again,
        LOST,
        plan={"kinds": ("cut",), "fault_every": 150.0},
        traits={"lag": 8.0},
    ),
    Mutation(
        "copies are not told from originals",
        (Inbox, "knows"),
        _always(False),
        ("twice",),
        plan={"kinds": ("doubles", "cut")},
    ),
    Mutation(
        "what was handled before the snapshot is not told from the rest",
        (Inbox, "forgotten"),
        _always(False),
        ("again", "twice"),
        plan={"kinds": ("restart", "forgetfulness"), "snapshot_every": 1},
    ),
    Mutation(
        "what comes late is dropped",
        (Inbox, "merge"),
        _only_lets_newer_through,
        LOST,
        plan={"kinds": ("cut",)},
        traits={"lag": 8.0},
    ),
    Mutation(
        "what waits is not put in order",
        (WaitingItems, "pop_until"),
        _backwards,
        ("order", "late"),
        plan={"gap": 0.05, "duration": 60.0, "fault_every": 0.0, "knows_me": True},
        traits={"fan_out": 0.08},
    ),
    Mutation(
        "a URL never grows too old",
        (Link, "_set"),
        _forgets_age,
        ("stale URL",),
        plan={"kinds": ("upgrades_ignored",)},
        options={"url_lifetime": 5.0},
    ),
    Mutation(
        "nothing bounds the wait for the transcript",
        (Timers, "set"),
        _without("merge"),
        ("held", *LOST),
        plan={"kinds": ("calls", "cut")},
    ),
    Mutation(
        "silence is not noticed",
        (Timers, "set"),
        _without("silence"),
        ("deaf",),
        plan={"kinds": ("black_hole",)},
    ),
    Mutation(
        "a failed subscription is not tried again",
        (Timers, "set"),
        _without("resubscribe"),
        ("stuck", "no way out", *LOST),
        plan={"kinds": ("subscriptions_refused",)},
    ),
    Mutation(
        "the socket is used until it expires",
        (Timers, "set"),
        _without("rotate"),
        ("rotation",),
        plan={"fault_every": 0.0},
        traits={"connection_lifetime": 200.0},
    ),
    Mutation(
        "a rotation closes the old socket first",
        (Links, "_ask"),
        _closes_first,
        ("rotation",),
        plan={"fault_every": 0.0},
        traits={"connection_lifetime": 200.0},
    ),
    Mutation(
        "our own messages come back",
        (EchoGate, "is_mine"),
        _always(False),
        ("own echo",),
        plan={"replies": 0.5, "fault_every": 0.0},
    ),
    Mutation(
        "an expired token is not renewed",
        (Credentials, "renew"),
        _always(None),
        ("send", "stuck", *LOST),
        plan={"kinds": ("tokens_revoked",), "replies": 0.5, "fault_every": 100.0},
    ),
    Mutation(
        "a renewal does not wait as long as the service asks for",
        (Credentials, "failed"),
        _impatient,
        ("impatience",),
        plan={"kinds": ("tokens_revoked", "calls"), "replies": 0.5, "fault_every": 8.0},
    ),
    Mutation(
        "a repeated send is another send",
        (Outbox, "resume"),
        _new_client_token,
        ("send",),
        plan={"kinds": ("calls", "tokens_revoked"), "replies": 1.0, "gap": 1.0, "fault_every": 5.0},
    ),
    Mutation(
        "sends overtake each other",
        (Outbox, "put"),
        _last_in_first_out,
        ("send",),
        plan={"kinds": ("burst",), "replies": 0.5},
    ),
    Mutation(
        "nothing is repeated with a pause",
        (Backoff, "next"),
        _always(0.0),
        ("call storm", "spin"),
        plan={"kinds": ("outage", "calls")},
    ),
    Mutation(
        "a ConnectionExpiry is believed, whatever it says",
        (links, "connection_lifetime"),
        _believes,
        ("call storm", "spin"),
        plan={"kinds": ("wrong_expiry",)},
    ),
    Mutation(
        "a slow reader loses what does not fit",
        (Reader, "_fall_behind"),
        _always(None),
        LOST,
        plan={"handling": 2.0, "kinds": ("burst",)},
        options={"buffer": 3},
    ),
    Mutation(
        "a snapshot covers what was not handled yet",
        (Reader, "unread"),
        _always((set(), None)),
        LOST,
        plan={"handling": 2.0, "kinds": ("restart", "burst"), "snapshot_every": 1},
    ),
    Mutation(
        "what waits is left behind at the end",
        (Inbox, "flush"),
        _always(()),
        LOST,
        plan={
            "end": "ended",
            "end_in_trouble": True,
            "gap": 0.1,
            "fault_every": 0.0,
            "duration": 60.0,
        },
    ),
    Mutation(
        "a refused start position has no fallback",
        (Reading, "rejected"),
        _always(False),
        LOST,
        plan={"kinds": ("cut",)},
        traits={"forgets_ids": True},
    ),
    Mutation(
        "only the first page is read",
        (Reading, "page"),
        _one_page,
        LOST,
        plan={"kinds": ("small_pages",)},
    ),
    Mutation(
        "a long walk back ends with what it keeps",
        (Reading, "_go_on"),
        _gives_up,
        LOST,
        plan={"before": 1200, "fault_every": 0.0, "duration": 60.0},
        traits={"forgets_ids": True, "forgets_times": True},
    ),
    Mutation(
        "what an unfinished walk back has found is forgotten",
        (Recovery, "_keep_rest"),
        _always(None),
        LOST,
        plan={
            "kinds": ("restart", "calls", "small_pages"),
            "snapshot_every": 100,
            "end": "ended",
            "end_in_trouble": True,
            "gap": 0.5,
            "fault_every": 8.0,
        },
        traits={"forgets_ids": True, "forgets_times": True, "reads_after_end": True},
    ),
    Mutation(
        "a retiring link is left at its last answer",
        (Link, "linger"),
        _leaves_at_once,
        LOST,
        plan={"fault_every": 0.0, "gap": 0.1, "knows_me": True},
        traits={"connection_lifetime": 60.0, "early_lookup": True, "fan_out": 0.3},
    ),
    Mutation(
        "a streamed message makes room for others without a word",
        (Streams, "make_room"),
        _without_a_word,
        ("lost",),
        plan={"kinds": ("streams",)},
    ),
    Mutation(
        "a damaged frame is shrugged off",
        (SessionEngine, "_bad_frame"),
        _always(None),
        LOST,
        # Without audits, and with few heartbeats that could be damaged, too, and lead to a look.
        plan={"kinds": ("damage",), "gap": 0.3, "duration": 60.0},
        options={"heartbeat_interval": 14.0, "audit_after": 1_000_000},
    ),
    Mutation(
        "a refusal while reconnecting is not taken for the end",
        (session, "_denied"),
        _always(False),
        ("no end", "call storm"),
        plan={"end": "ended", "kinds": ("cut",), "fault_every": 10.0},
        traits={"says_ended": False},
    ),
    Mutation(
        "closing leaves alarms behind",
        (Timers, "keep"),
        _always(None),
        ("not closed",),
        plan={"fault_every": 0.0, "duration": 30.0},
    ),
)
