"""The sockets of one chat: asked for, replaced, rotated, given up."""

from __future__ import annotations

from itertools import pairwise

import pytest

from connect_chat.engine.commands import (
    CloseSocket,
    Forget,
    OpenSocket,
    RequestConnection,
    SendFrame,
)
from connect_chat.engine.frames import HeartbeatAnswer, PingAnswer, SubscribeAnswer
from connect_chat.engine.links import Links
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.timers import Timers
from connect_chat.errors import NotConnectedError

from .harness import BROKEN, THROTTLED, Middling, grant


class Rig:
    """Links, what they ask for and what they report. Their numbers begin with 1.

    Heartbeats are answered at once, but for the links in `mute`.
    """

    def __init__(self, **options):
        self.now = 0.0
        self.timers = Timers()
        self.emitted = []
        self.told = []
        self.mute = set()
        self.ill = set()
        self.causes = []
        self.failures = 0
        self.links = Links(
            SessionOptions(**options), self.timers, Middling(), self.emitted.append, self,
            iter(range(1, 1000)).__next__,
        )  # fmt: skip

    # The watcher.

    def link_live(self, _, *, continuous):
        self.told.append("live on" if continuous else "live")

    def link_lost(self, _):
        self.told.append("lost")

    def still_lost(self, _):
        self.failures += 1

    def link_doubtful(self, _):
        self.told.append("doubtful")

    def link_retired(self, _):
        self.told.append("retired")

    def gave_up(self, _, cause):
        self.told.append("gave up")
        self.causes.append(cause)

    def shut_out(self, _, cause):
        self.told.append("shut out")
        self.causes.append(cause)

    # The service.

    def asked(self):
        """Return what was asked for since the last time, in words."""
        found = []
        while self.emitted:
            emitted, self.emitted[:] = self.emitted[:], []
            for one in emitted:
                match one:
                    case RequestConnection(request=number, urgency=urgency):
                        found.append(f"ask {number} {urgency}")
                    case OpenSocket(link=number):
                        found.append(f"open {number}")
                    case CloseSocket(link=number):
                        found.append(f"close {number}")
                    case Forget(request=number):
                        found.append(f"forget {number}")
                    case SendFrame(link=number, text=text):
                        self._answer(number, text)
        return found

    def _answer(self, number, text):
        if number not in self.mute and "heartbeat" in text:
            self.links.heartbeat_answered(number, HeartbeatAnswer(), self.now)
        if number not in self.mute and "ping" in text:
            self.links.ping_answered(number, PingAnswer(number not in self.ill), self.now)

    def start(self):
        self.links.start(self.now)
        return self.asked()

    def grant(self, number, lifetime=3600.0):
        self.links.granted(number, grant("t", lifetime=lifetime), self.now, self.now)
        return self.asked()

    def open(self, number):
        self.links.opened(number, self.now)
        return self.asked()

    def subscribe(self, number, accepted=True):
        self.links.subscription_answered(number, SubscribeAnswer(accepted), self.now)
        return self.asked()

    def connect(self, number, lifetime=3600.0):
        """Grant, open and subscribe a link; return what was asked for since."""
        return self.grant(number, lifetime) + self.open(number) + self.subscribe(number)

    def fail(self, number, error=BROKEN):
        self.links.refused(number, error, self.now)
        return self.asked()

    def cut(self, number):
        self.links.closed(number, 1006, self.now)
        return self.asked()

    def wake(self, seconds):
        """Let time pass; return what was asked for, with when."""
        until, found = self.now + seconds, []
        while (due := self.timers.next) is not None and due <= until:
            self.now = due
            for alarm in self.timers.due(due):
                if isinstance(alarm, tuple):
                    self.links.wake_link(*alarm, due)
                else:
                    self.links.wake(alarm, due)
                found += [(due, words) for words in self.asked()]
        self.now = until
        return found

    def tell(self):
        """Return what was reported since the last time."""
        told, self.told = self.told, []
        return told


def live(**options):
    """Return a rig whose link 1 is live."""
    rig = Rig(**options)
    rig.start()
    rig.connect(1)
    assert rig.tell() == ["live"]
    return rig


def rotating(**options):
    """Return a rig whose link 1 is live, at the moment when it asks for link 2."""
    rig = live(rotation_margin=120.0, rotation_jitter=0.0, **options)
    assert rig.wake(3480.0) == [(3480.0, "ask 2 rotate")]
    return rig


class TestConnecting:
    """Until the first link is live."""

    def test_the_way_to_a_live_link(self):
        rig = Rig()
        assert rig.start() == ["ask 1 connect"]
        assert rig.grant(1) == ["open 1"]
        assert not rig.links.live
        rig.open(1)
        rig.subscribe(1)
        assert rig.links.live
        assert rig.tell() == ["live"]

    def test_a_refusal_is_followed_by_growing_pauses(self):
        """Random in 0 … 0.5 × 2ⁿ; here always the middle."""
        rig = Rig()
        rig.start()
        moments = []
        for number in range(1, 6):
            rig.fail(number)
            ((moment, _),) = rig.wake(rig.timers.next - rig.now)
            moments.append(moment)
        assert moments == [0.25, 0.75, 1.75, 3.75, 7.75]
        assert rig.failures == 5

    def test_the_service_may_ask_for_a_longer_pause(self):
        rig = Rig()
        rig.start()
        rig.fail(1, THROTTLED)
        assert rig.wake(7.0) == [(7.0, "ask 2 connect")]

    def test_a_url_that_came_too_late_to_be_opened_is_not(self):
        """It was issued long before its connection could be used."""
        rig = Rig()
        rig.start()
        rig.links.granted(1, grant("t"), 0.0, 85.0)
        assert rig.asked() == []
        assert rig.links.coming is None
        assert "ask" in rig.timers

    def test_a_grant_that_nobody_waits_for_is_ignored(self):
        rig = Rig()
        rig.start()
        assert rig.grant(7) == []
        rig.links.refused(7, BROKEN, 0.0)
        assert rig.links.awaits(1)

    def test_a_connection_without_a_url_is_asked_for_again(self):
        rig = Rig()
        rig.start()
        rig.links.granted(1, grant("t", url=None), 0.0, 0.0)
        assert rig.wake(0.25) == [(0.25, "ask 2 connect")]

    def test_a_socket_that_is_not_reached_is_tried_again_with_its_url(self):
        rig = Rig()
        rig.start()
        rig.grant(1)
        rig.links.not_opened(1, "refused", 0.0, spent=False)
        assert rig.wake(1.0) == [(1.0, "open 1")]

    def test_a_socket_that_is_refused_costs_another_connection(self):
        rig = Rig()
        rig.start()
        rig.grant(1)
        rig.links.not_opened(1, "HTTP 403", 0.0, spent=True)
        assert rig.asked() == ["close 1"]
        assert rig.wake(0.5) == [(0.25, "ask 2 connect")]

    def test_a_server_that_is_not_trusted_is_not_tried_again(self):
        rig = Rig()
        rig.start()
        rig.grant(1)
        rig.links.not_opened(1, "not trusted", 0.0, spent=False, distrusted=True)
        assert rig.tell() == ["shut out"]
        assert "not trusted" in str(rig.causes[0])

    def test_it_is_where_there_was_a_connection_before(self):
        """In this process or in another: something in between may be passing."""
        rig = live()
        rig.cut(1)
        rig.grant(2)
        rig.tell()
        rig.links.not_opened(2, "not trusted", 0.0, spent=False, distrusted=True)
        assert rig.wake(1.0) == [(1.0, "open 2")]
        resumed = Rig()
        resumed.links.start(0.0, "reconnect")
        resumed.grant(1)
        resumed.links.not_opened(1, "not trusted", 0.0, spent=False, distrusted=True)
        assert resumed.wake(1.0) == [(1.0, "open 1")]
        assert rig.tell() == resumed.tell() == []

    def test_a_shell_that_does_not_answer_is_not_waited_for(self):
        rig = Rig()
        rig.start()
        rig.grant(1)
        assert rig.wake(12.0) == [(11.0, "close 1"), (11.25, "ask 2 connect")]

    @pytest.mark.parametrize("accepted", [False, None])
    def test_a_subscription_that_comes_to_nothing_costs_another_connection(self, accepted):
        rig = Rig()
        rig.start()
        rig.grant(1)
        rig.open(1)
        asked = []
        for _ in range(6):
            if accepted is False:
                asked += rig.subscribe(1, accepted=False)
            asked += [words for _, words in rig.wake(0.6)]
        assert asked == ["close 1", "ask 2 connect"]

    def test_it_is_given_up_after_the_timeout_with_the_cause(self):
        rig = Rig(connect_timeout=60.0)
        rig.start()
        rig.fail(1)
        rig.wake(59.0)
        assert rig.tell() == []
        rig.wake(1.0)
        assert rig.tell() == ["gave up"]
        assert rig.causes == [BROKEN]

    @pytest.mark.parametrize(
        ("happens", "told"),
        [
            (lambda rig: rig.links.not_opened(1, "no route", 0.0, spent=False), "no route"),
            (lambda rig: rig.wake(11.0), "in time"),
            (lambda rig: rig.cut(1), "closed"),
        ],
    )
    def test_the_cause_tells_what_failed(self, happens, told):
        rig = Rig(connect_timeout=12.0)
        rig.start()
        rig.grant(1)
        happens(rig)
        rig.wake(60.0)
        (cause,) = rig.causes
        assert isinstance(cause, NotConnectedError)
        assert told in str(cause)


class TestLoss:
    """A link that was live."""

    def test_it_is_replaced_at_once(self):
        rig = live()
        assert rig.cut(1) == ["close 1", "ask 2 reconnect"]
        assert rig.tell() == ["lost"]
        rig.connect(2)
        assert rig.tell() == ["live"]

    def test_links_that_do_not_last_are_replaced_ever_more_slowly(self):
        rig = live()
        waits = []
        for number in range(1, 6):
            asked = rig.cut(number)
            begun = rig.now
            if len(asked) == 1:
                rig.wake(rig.timers.next - rig.now)
            waits.append(rig.now - begun)
            rig.connect(number + 1)
        assert waits == [0.0, 0.5, 1.0, 2.0, 4.0]

    def test_a_link_that_lasted_clears_the_record(self):
        """The next loss is followed by an attempt at once."""
        rig = live()
        rig.cut(1)
        rig.fail(2)
        rig.wake(10.0)
        rig.connect(3)
        rig.wake(30.0)
        assert rig.cut(3) == ["close 3", "ask 4 reconnect"]

    def test_a_link_that_did_not_last_does_not(self):
        rig = live()
        rig.cut(1)
        rig.fail(2)
        rig.wake(10.0)
        rig.connect(3)
        rig.wake(29.0)
        assert rig.cut(3) == ["close 3"]

    def test_it_is_given_up_after_the_time_for_that(self):
        rig = live(give_up_after=100.0)
        rig.cut(1)
        rig.fail(2)
        for number in range(3, 20):
            rig.wake(40.0)
            rig.fail(number)
        assert rig.tell() == ["lost", "gave up"]

    def test_waiting_for_a_turn_under_the_quota_does_not_count(self):
        """An hour in the queue behind a fleet is no failure; what comes after counts again."""
        rig = live(give_up_after=100.0)
        rig.cut(1)
        rig.links.queued(rig.now)
        rig.wake(3600.0)
        rig.links.turn_came(rig.now)
        rig.wake(99.0)
        assert rig.tell() == ["lost"]
        rig.wake(1.0)
        assert rig.tell() == ["gave up"]

    def test_another_request_has_its_own_wait(self):
        """A rotation that is withdrawn for a reconnection takes its wait with it."""
        rig = live(rotation_jitter=0.0, give_up_after=100.0)
        assert rig.wake(3480.0) == [(3480.0, "ask 2 rotate")]
        rig.links.queued(rig.now)
        assert rig.cut(1) == ["close 1", "forget 2", "ask 3 reconnect"]
        rig.wake(100.0)
        assert rig.tell() == ["lost", "gave up"]

    def test_a_new_link_ends_that_time(self):
        rig = live(give_up_after=100.0)
        rig.cut(1)
        rig.connect(2)
        rig.wake(200.0)
        assert rig.tell() == ["lost", "live"]


class TestSilence:
    """A link that no longer answers is replaced, and listened to all the same."""

    def test_after_15_seconds_another_is_asked_for(self):
        rig = live()
        rig.mute.add(1)
        assert rig.wake(30.0) == [(15.0, "ask 2 reconnect")]
        assert rig.tell() == ["lost"]
        assert not rig.links.live
        assert rig.connect(2) == ["open 2", "close 1"]
        assert rig.tell() == ["live"]

    def test_at_once_though_attempts_failed_long_ago(self):
        """The link lived long enough since."""
        rig = live()
        rig.cut(1)
        rig.fail(2)
        rig.wake(10.0)
        rig.connect(3)
        begun = rig.now
        rig.wake(25.0)
        rig.mute.add(3)
        assert rig.wake(15.0) == [(begun + 20.0 + 15.0, "ask 4 reconnect")]

    def test_one_that_answers_after_all_is_the_chats_again(self):
        """What is on its way comes to replace it; no other is asked for."""
        rig = live()
        rig.mute.add(1)
        rig.wake(15.0)
        rig.fail(2)
        assert rig.tell() == ["lost"]
        rig.links.heartbeat_answered(1, HeartbeatAnswer(), rig.now)
        assert rig.tell() == ["live"]
        rig.mute.clear()
        assert rig.wake(3000.0) == []

    def test_a_socket_lost_while_suspect_changes_nothing(self):
        rig = live()
        rig.mute.add(1)
        rig.wake(15.0)
        rig.tell()
        assert rig.cut(1) == ["close 1"]
        assert rig.tell() == ["lost"]
        assert rig.links.awaits(2)


class TestRotation:
    """Before ConnectionExpiry, without a deaf moment."""

    def test_the_new_link_is_live_before_the_old_one_retires(self):
        rig = rotating()
        assert rig.grant(2) == ["open 2"]
        rig.open(2)
        assert rig.links.live
        assert rig.subscribe(2) == []
        assert rig.tell() == ["live on"]
        assert rig.links.rotations == 1
        assert rig.wake(5.0) == [(rig.now - 4.0, "close 1")]
        assert rig.tell() == ["retired"]

    def test_a_retiring_link_is_listened_to_a_little_longer_than_it_must_be(self):
        """A fifth of the time that it has for its answer, from that on; other answers count not."""
        rig = rotating(retire_timeout=10.0)
        rig.connect(2)
        rig.now += 1.0
        rig.links.heartbeat_answered(1, HeartbeatAnswer(), rig.now)
        assert [moment - rig.now for moment, _ in rig.wake(5.0)] == [1.0 - 5.0]

    def test_one_that_is_cut_after_its_answer_has_lost_nothing(self):
        rig = rotating()
        rig.connect(2)
        rig.tell()
        rig.cut(1)
        assert rig.tell() == ["retired"]

    def test_the_answer_is_of_no_use_after_the_old_link_has_expired(self):
        rig = live(rotation_jitter=0.0)
        rig.timers.keep(lambda name: name == "rotate")
        rig.now = 3480.0
        rig.links.wake("rotate", rig.now)
        (request,) = [one for one in rig.emitted if isinstance(one, RequestConnection)]
        assert request.deadline == 3600.0

    def test_once_it_has_expired_it_is_no_rotation_any_more(self):
        """A turn that did not come in time is asked for again, with more urgency."""
        rig = live(rotation_jitter=0.0)
        rig.wake(3480.0)
        rig.timers.cancel(("silence", 1))
        rig.timers.cancel(("beat", 1))
        rig.now = 3600.0
        assert rig.fail(2) == ["ask 3 reconnect"]

    @pytest.mark.parametrize(("waited", "earlier"), [(10.0, 120.0), (11.0, 900.0)])
    def test_one_of_a_crowd_spreads_over_half_the_lifetime(self, waited, earlier):
        """Who waited long for its turn rotates up to 1,800 s earlier; here the middle. Once."""
        rig = Rig()
        rig.start()
        rig.links.queued(rig.now)
        rig.now += waited
        rig.links.turn_came(rig.now)
        rig.connect(1)
        ((moment, _),) = rig.wake(3600.0 - 120.0 - earlier)
        assert moment == rig.now == waited + 3600.0 - 120.0 - earlier
        rig.links.queued(rig.now)
        rig.links.turn_came(rig.now + waited)
        rig.connect(2)
        (_, (again, _)) = rig.wake(3600.0)
        assert again == moment + 3600.0 - 120.0 - 120.0

    def test_margin_and_jitter(self):
        """120 s before the expiry, and up to 240 s earlier; here the middle."""
        rig = live()
        assert rig.wake(3600.0)[0] == (3600.0 - 120.0 - 120.0, "ask 2 rotate")

    @pytest.mark.parametrize("lifetime", [0.5, 2.0, 10.0, 100.0])
    def test_a_short_lifetime_is_not_spun_through(self, lifetime):
        """Margin and jitter are a fifth of it at most, and two seconds pass at least."""
        rig = Rig()
        rig.start()
        rig.connect(1, lifetime)
        ((moment, asked),) = rig.wake(lifetime * 0.8 + 2.0)
        assert asked == ("ask 2 rotate" if moment < lifetime else "ask 2 reconnect")
        assert moment >= 2.0
        assert moment >= lifetime * 0.6

    def test_a_rotation_that_fails_is_tried_again_while_the_old_link_lives(self):
        rig = rotating()
        assert rig.fail(2) == ["ask 3 rotate"]
        rig.fail(3)
        assert rig.failures == 0
        assert [words for _, words in rig.wake(1.0)] == ["ask 4 rotate"]
        assert rig.connect(4) == ["open 4"]
        assert rig.tell() == ["live on"]

    def test_a_loss_makes_it_more_urgent(self):
        """Asked for again as somebody whose chat is broken."""
        rig = rotating()
        assert rig.cut(1) == ["close 1", "forget 2", "ask 3 reconnect"]
        assert rig.tell() == ["lost"]

    def test_a_loss_while_its_socket_opens_waits_for_that(self):
        rig = rotating()
        rig.grant(2)
        assert rig.cut(1) == ["close 1"]
        rig.open(2)
        assert rig.subscribe(2) == []
        assert rig.tell() == ["lost", "live"]

    def test_a_retiring_link_that_is_mute_may_have_lost_something(self):
        rig = rotating()
        rig.mute.add(1)
        rig.connect(2)
        assert rig.tell() == ["live on"]
        assert rig.wake(5.0) == [(3485.0, "close 1")]
        assert rig.tell() == ["doubtful"]

    def test_a_retiring_link_that_is_cut_may_have_lost_something(self):
        rig = rotating()
        rig.mute.add(1)
        rig.connect(2)
        rig.tell()
        rig.cut(1)
        assert rig.tell() == ["doubtful"]
        assert rig.links.live

    def test_never_more_than_two_sockets(self):
        """One that still retires makes room for the next."""
        rig = rotating(retire_timeout=1000.0)
        rig.mute.add(1)
        rig.connect(2)
        rig.tell()
        rig.cut(2)
        assert rig.grant(3) == ["open 3"]
        rig.open(3)
        rig.subscribe(3)
        rig.ill.add(3)
        asked = [words for _, words in rig.wake(25.0)]
        assert asked == ["ask 4 rotate"]
        assert rig.grant(4) == ["close 1", "open 4"]
        assert "doubtful" in rig.tell()

    def test_a_link_that_retires_makes_room_for_one_that_retires_after_it(self):
        rig = rotating(retire_timeout=1000.0)
        rig.mute.add(1)
        rig.grant(2)
        rig.open(2)
        rig.subscribe(2)
        rig.tell()
        rig.links.wake("rotate", rig.now)
        rig.asked()
        rig.links.coming.granted("wss://b", rig.now + 3600.0, rig.now)
        rig.links.coming.start_opening(rig.now)
        assert rig.open(3) == ["open 3"]
        assert "close 1" in rig.subscribe(3)
        assert rig.tell()[0] == "doubtful"

    def test_one_is_on_its_way_at_most(self):
        """An alarm that rings meanwhile asks for nothing."""
        rig = rotating()
        rig.links.wake("rotate", rig.now)
        assert rig.asked() == []


class TestDeepHeartbeat:
    """The path behind the gateway is ill though the gateway answers."""

    def ill(self, **options):
        rig = live(deep_failures=2, deep_backoff=60.0, **options)
        rig.ill.add(1)
        return rig

    def test_two_failures_in_a_row_replace_the_link(self):
        rig = self.ill()
        assert rig.wake(20.0) == [(20.0, "ask 2 rotate")]
        assert rig.tell() == ["doubtful"]

    def test_one_that_fails_and_heals_is_followed_by_a_look(self):
        """Nothing else would tell that items were not pushed meanwhile."""
        rig = self.ill()
        rig.wake(11.0)
        rig.ill.clear()
        rig.wake(10.0)
        assert rig.tell() == ["doubtful"]

    def test_silence_counts_as_a_failure(self):
        """No answer before the next one is due."""
        rig = live(deep_failures=2)
        rig._answer = lambda number, text: (
            rig.links.heartbeat_answered(number, HeartbeatAnswer(), rig.now)
            if "heartbeat" in text
            else None
        )
        assert rig.wake(30.0) == [(30.0, "ask 2 rotate")]

    def test_links_that_are_ill_one_after_another_are_replaced_ever_more_slowly(self):
        """At least 60 s apart, then 120 s, up to sixteen times that."""
        rig = self.ill()
        moments = []
        for number in range(2, 9):
            moment = next(at for at, words in rig.wake(2000.0) if words.startswith("ask"))
            rig.now = moment
            moments.append(moment)
            rig.ill.add(number)
            rig.connect(number)
        gaps = [later - earlier for earlier, later in pairwise(moments)]
        assert gaps == [60.0, 120.0, 240.0, 480.0, 960.0, 960.0]

    def test_an_answer_begins_that_anew(self):
        rig = self.ill()
        rig.wake(20.0)
        rig.connect(2)
        rig.wake(100.0)
        rig.ill.add(2)
        rig.wake(20.0)
        assert rig.links.asked == 3
        rig.connect(3)
        rig.ill.add(3)
        rig.wake(59.0)
        assert rig.links.asked == 3
        rig.wake(21.0)
        assert rig.links.asked == 4


class TestEnding:
    """Nothing more is asked for."""

    def test_winding_down_listens_to_what_is_open(self):
        rig = rotating()
        rig.links.wind_down()
        assert rig.asked() == ["forget 2"]
        assert rig.links.live
        assert rig.cut(1) == ["close 1"]
        assert rig.wake(10_000.0) == []
        assert rig.tell() == []

    def test_winding_down_gives_up_a_socket_that_is_being_opened(self):
        rig = rotating()
        rig.grant(2)
        rig.links.wind_down()
        assert rig.asked() == ["close 2"]

    def test_a_link_that_falls_ill_meanwhile_is_not_replaced(self):
        rig = live(deep_failures=1)
        rig.ill.add(1)
        rig.links.wind_down()
        assert rig.wake(100.0) == []

    def test_stopping_closes_everything(self):
        rig = rotating()
        rig.mute.add(1)
        rig.connect(2)
        rig.links.stop("enough")
        assert rig.asked() == ["close 2", "close 1"]
        assert rig.timers.next is None
        assert not rig.links.live

    def test_what_comes_from_closed_links_is_ignored(self):
        rig = live()
        rig.links.stop("enough")
        rig.asked()
        rig.links.opened(1, 0.0)
        rig.links.closed(1, 1000, 0.0)
        rig.links.not_opened(1, "refused", 0.0, spent=True)
        rig.links.subscription_answered(1, SubscribeAnswer(True), 0.0)
        rig.links.heartbeat_answered(1, HeartbeatAnswer(), 0.0)
        rig.links.ping_answered(1, PingAnswer(False), 0.0)
        rig.links.wake_link("beat", 1, 0.0)
        assert rig.asked() == []
        assert rig.tell() == []


def test_whether_a_connection_is_being_asked_for():
    """Then no token need be renewed: one comes with it."""
    rig = Rig()
    rig.start()
    assert rig.links.asking
    rig.grant(1)
    assert not rig.links.asking
    rig.links.not_opened(1, "HTTP 403", 0.0, spent=True)
    assert rig.links.asking
