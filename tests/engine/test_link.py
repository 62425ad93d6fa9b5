"""One websocket's life."""

from __future__ import annotations

import json
from itertools import product

import pytest

from connect_chat.engine import link as module
from connect_chat.engine.commands import CloseSocket, OpenSocket, SendFrame, Trace
from connect_chat.engine.frames import PingAnswer, SubscribeAnswer
from connect_chat.engine.link import TRANSITIONS, Link, LinkState
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.timers import Timers

from .harness import documented_table

S = LinkState
ACCEPTED, REFUSED = SubscribeAnswer(True), SubscribeAnswer(False)

# What brings a fresh link into each state.
WAY = {
    S.ASKED: "",
    S.ISSUED: "granted",
    S.OPENING: "granted start_opening",
    S.SUBSCRIBING: "granted start_opening opened",
    S.LIVE: "granted start_opening opened accepted",
    S.SUSPECT: "granted start_opening opened accepted suspect",
    S.RETIRING: "granted start_opening opened accepted retire",
    S.CLOSED: "close",
}


TABLE = documented_table(module.__doc__)


class Rig:
    """A link, its alarms and what it emits."""

    def __init__(self, way="", **options):
        self.now = 0.0
        self.options = SessionOptions(**options)
        self.timers = Timers()
        self.emitted = []
        self.link = Link(7, self.options, self.timers, self.emitted.append)
        for step in way.split():
            self.step(step)
        self.emitted.clear()

    def step(self, name):
        link, now = self.link, self.now
        match name:
            case "granted":
                return link.granted("wss://secret", now + 3600.0, now)
            case "not_opened":
                return link.not_opened(now, spent=False)
            case "accepted":
                return link.subscription_answered(ACCEPTED, now)
            case "refused":
                return link.subscription_answered(REFUSED, now)
            case "suspect":
                return link.suspect()
            case "close":
                return link.close("enough")
            case "answered":
                return link.heartbeat_answered(now)
            case _:
                return getattr(link, name)(now)

    def pass_(self, seconds):
        """Ring the link's own alarms for a while; return when and what it sent."""
        until, sent = self.now + seconds, []
        while (due := self.timers.next) is not None and due <= until:
            self.now = due
            for name, number in self.timers.due(self.now):
                assert number == 7
                self.link.wake(name, self.now)
            sent += [(self.now, topic) for topic in self.topics()]
        self.now = until
        return sent

    def topics(self):
        """Return the topics of the frames sent since the last time."""
        sent = [json.loads(one.text)["topic"] for one in self.emitted if type(one) is SendFrame]
        self.emitted.clear()
        return [topic.removeprefix("aws/") for topic in sent]


def test_the_transitions_are_those_of_the_documented_table():
    """The docstring's table, and that every state may go to CLOSED."""
    documented = {S[name]: set(map(S.__getitem__, left_for)) for name, left_for in TABLE.items()}
    for state in set(S) - {S.CLOSED}:
        documented[state] |= {S.CLOSED}
    assert documented == TRANSITIONS


@pytest.mark.parametrize(("before", "after"), list(product(S, S)))
def test_a_step_that_is_not_in_the_table_raises(before, after):
    rig = Rig(WAY[before])
    assert rig.link.state is before
    if after in TRANSITIONS[before]:
        rig.link._enter(after)
        assert rig.link.state is after
    else:
        with pytest.raises(AssertionError, match=f"from {before.name} to {after.name}"):
            rig.link._enter(after)
        assert rig.link.state is before


@pytest.mark.parametrize("state", S)
def test_closing_works_in_every_state_and_leaves_no_alarm(state):
    """A socket is closed where there may be one; closing twice is closing once."""
    rig = Rig(WAY[state])
    assert rig.link.open is (state not in (S.ASKED, S.ISSUED, S.CLOSED))
    holds_socket = rig.link.open
    rig.link.close("enough")
    rig.link.close("again")
    assert rig.link.state is S.CLOSED
    assert [one for one in rig.emitted if type(one) is CloseSocket] == (
        [CloseSocket(7)] if holds_socket else []
    )
    assert len([one for one in rig.emitted if type(one) is Trace]) == (state is not S.CLOSED)
    assert rig.timers.next is None
    assert not rig.link.open


def test_a_url_is_opened_until_it_is_85_seconds_old():
    rig = Rig("granted")
    rig.now = 84.9
    assert rig.step("start_opening")
    assert [one for one in rig.emitted if type(one) is OpenSocket] == [
        OpenSocket(7, "wss://secret", 10.0)
    ]


def test_a_url_that_is_85_seconds_old_is_not_opened():
    rig = Rig("granted")
    rig.now = 85.0
    assert not rig.step("start_opening")
    assert rig.link.state is S.CLOSED
    assert not [one for one in rig.emitted if type(one) is OpenSocket]


def test_a_socket_that_is_not_reached_is_tried_three_times_with_the_same_url():
    """A second apart: the URL is unspent, and costs nobody's quota."""
    rig = Rig("granted start_opening")
    for _ in range(2):
        assert rig.link.not_opened(rig.now, spent=False)
        assert list(rig.timers.due(rig.now + 0.99)) == []
        assert list(rig.timers.due(rig.now + 1.0)) == [("open", 7)]
        rig.now += 1.0
        rig.step("start_opening")
    assert not rig.link.not_opened(rig.now, spent=False)
    assert rig.link.state is S.CLOSED


def test_a_spent_url_is_not_tried_again():
    rig = Rig("granted start_opening")
    assert not rig.link.not_opened(0.0, spent=True)
    assert rig.link.state is S.CLOSED


def test_a_url_too_old_for_another_try_is_given_up():
    rig = Rig("granted start_opening")
    assert not rig.link.not_opened(84.5, spent=False)
    assert rig.link.state is S.CLOSED


def test_a_shell_that_never_answers_is_noticed_after_the_timeout():
    rig = Rig("granted start_opening", open_timeout=5.0)
    assert rig.timers.next == 6.0
    assert list(rig.timers.due(6.0)) == [("open", 7)]


def test_an_open_socket_is_subscribed():
    rig = Rig("granted start_opening")
    rig.step("opened")
    assert rig.topics() == ["subscribe"]


def test_an_unanswered_subscription_is_sent_three_times_then_given_up():
    """A second after each other."""
    rig = Rig(WAY[S.SUBSCRIBING])
    assert rig.pass_(10.0) == [(1.0, "subscribe"), (2.0, "subscribe")]
    assert rig.link.state is S.CLOSED


def test_a_refused_subscription_is_retried_after_half_a_second_five_times():
    rig = Rig(WAY[S.SUBSCRIBING])
    for _ in range(5):
        assert not rig.step("refused")
        assert rig.pass_(0.5) == [(rig.now, "subscribe")]
    assert not rig.step("refused")
    assert rig.link.state is S.CLOSED


def test_an_accepted_subscription_makes_it_live_and_beats_at_once():
    rig = Rig(WAY[S.SUBSCRIBING])
    rig.now = 3.0
    assert rig.step("accepted")
    assert (rig.link.state, rig.link.live_at) == (S.LIVE, 3.0)
    assert rig.topics() == ["heartbeat", "ping"]


def test_a_subscriptions_answer_that_comes_again_changes_nothing():
    rig = Rig(WAY[S.LIVE])
    assert not rig.step("accepted")
    assert not rig.step("refused")
    assert rig.link.state is S.LIVE
    assert rig.emitted == []


def test_both_heartbeats_go_out_every_ten_seconds():
    rig = Rig(WAY[S.LIVE])
    rig.timers.cancel(("silence", 7))
    assert rig.pass_(20.0) == [
        (10.0, "heartbeat"), (10.0, "ping"), (20.0, "heartbeat"), (20.0, "ping"),
    ]  # fmt: skip


def test_silence_is_due_15_seconds_after_the_last_heartbeats_answer():
    rig = Rig(WAY[S.LIVE])
    rig.timers.cancel(("beat", 7))
    assert rig.timers.next == 15.0
    rig.now = 10.0
    assert not rig.step("answered")
    assert rig.timers.next == 25.0


def test_an_answer_after_all_makes_a_suspect_link_live_again():
    rig = Rig(WAY[S.SUSPECT])
    assert rig.step("answered")
    assert rig.link.state is S.LIVE


def test_deep_failures_count_refusals_and_silences_in_a_row():
    """One is counted when a ping is refused, or not answered before the next is due."""
    rig = Rig(WAY[S.LIVE])
    rig.timers.cancel(("silence", 7))
    rig.link.ping_answered(PingAnswer(False))
    assert rig.link.deep_failures == 1
    rig.pass_(20.0)
    assert rig.link.deep_failures == 2
    rig.link.ping_answered(PingAnswer(True))
    assert rig.link.deep_failures == 0


def test_a_retiring_link_is_done_when_its_last_heartbeat_is_answered():
    """Every answer owed before has to come first: frames keep their order."""
    rig = Rig(WAY[S.LIVE])
    rig.step("retire")
    assert rig.topics() == ["heartbeat"]
    assert not rig.link.retired
    rig.step("answered")
    assert not rig.link.retired
    rig.step("answered")
    assert rig.link.retired


def test_a_retiring_link_beats_no_more_and_is_given_five_seconds():
    rig = Rig(WAY[S.RETIRING])
    assert rig.timers.next == 5.0
    assert list(rig.timers.due(100.0)) == [("retire", 7)]


def test_answers_that_nobody_asked_for_do_not_count():
    """So that a duplicate cannot stand for the last heartbeat's answer."""
    rig = Rig(WAY[S.LIVE])
    for _ in range(5):
        rig.step("answered")
    rig.step("retire")
    assert not rig.link.retired
    rig.step("answered")
    assert rig.link.retired
