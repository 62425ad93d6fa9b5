"""Reading the transcript when something is, or may be, missing."""

from __future__ import annotations

import pytest

from connect_chat.engine.commands import Forget, Position, ReadTranscript, Trace
from connect_chat.engine.inbox import Inbox
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.recovery import Look, Recovery
from connect_chat.engine.timers import Timers

from .harness import Middling, at, item, names


class Rig:
    """A recovery, its inbox and its alarms; pages are answered by hand."""

    def __init__(self, token="token", **options):
        self.now = 0.0
        self.token = token
        self.unfinished = None
        self.timers = Timers()
        self.emitted = []
        self.delivered = []
        self.inbox = Inbox(0.0)
        self.recovery = Recovery(
            self.inbox,
            SessionOptions(**options),
            self.timers,
            Middling(),
            self.emitted.append,
            lambda items, _: self.delivered.extend(names(items)),
            iter(range(1, 1000)).__next__,
            lambda: self.token,
            lambda: None if self.unfinished is None else at(self.unfinished),
        )

    def begin(self, look):
        self.recovery.begin(look, self.now)

    def reads(self):
        """Return the reads asked for since the last time, as (way, urgency)."""
        found = []
        for one in self.emitted:
            if isinstance(one, ReadTranscript):
                start = one.query.get("start_position", {})
                way = one.query.get("next_token") or start.get("Id") or one.query["scan_direction"]
                found.append((way, one.urgency))
                self.request = one.request
            elif isinstance(one, Forget):
                found.append(("forgotten", one.request))
        self.traces = [one.event for one in self.emitted if isinstance(one, Trace)]
        self.emitted.clear()
        return found

    def page(self, *said, more=None):
        self.recovery.page_read([item(name) for name in said], more, self.now)

    def live(self, *said):
        """Have items arrive on a socket."""
        for name in said:
            self.delivered += names(self.inbox.live(item(name), self.now))
            if len(self.inbox):
                self.recovery.held(self.now)

    def wake(self, seconds):
        """Let time pass, answering nothing; return when something was read."""
        until, moments = self.now + seconds, []
        while (due := self.timers.next) is not None and due <= until:
            self.now = due
            for alarm in self.timers.due(due):
                self.recovery.wake(alarm, due)
            if self.reads():
                moments.append(due)
        self.now = until
        return moments

    def got(self):
        found, self.delivered = self.delivered, []
        return found


class TestGap:
    """No link was live for a while."""

    def begun(self, **options):
        """Return a rig whose read of a gap is under way."""
        rig = Rig(**options)
        rig.live("m1")
        rig.recovery.interrupted(0.0)
        rig.begin(Look.GAP)
        assert rig.reads() == [("BACKWARD", "reconnect")]
        rig.got()
        return rig

    def test_live_items_wait_for_the_page_and_come_in_their_place(self):
        rig = self.begun()
        rig.live("m4", "m3")
        assert rig.got() == []
        rig.page("m1", "m2", "m4")
        assert rig.got() == ["m2", "m3", "m4"]

    def test_page_by_page(self):
        rig = self.begun()
        rig.inbox.move_anchor(Position("m1", at(1)))
        rig.recovery.interrupted(0.0)
        rig.begin(Look.GAP)
        assert rig.reads() == [("forgotten", 1), ("m1", "reconnect")]
        rig.page("m1", "m2", more="token 2")
        assert rig.reads() == [("token 2", "reconnect")]
        rig.page("m3")
        assert rig.got() == ["m2", "m3"]

    def test_live_items_wait_so_long_and_no_longer(self):
        """Then they go out; what the transcript has to add comes after them."""
        rig = self.begun(merge_wait=5.0)
        rig.now = 2.0
        rig.live("m4")
        rig.wake(4.9)
        assert rig.got() == []
        rig.wake(0.1)
        assert rig.got() == ["m4"]
        rig.live("m5")
        assert rig.got() == ["m5"]
        rig.page("m1", "m2", "m4")
        assert rig.got() == ["m2"]

    def test_a_page_that_brings_something_extends_the_wait(self):
        rig = self.begun(merge_wait=5.0)
        rig.inbox.move_anchor(Position("m1", at(1)))
        rig.recovery.interrupted(0.0)
        rig.begin(Look.GAP)
        rig.live("m90")
        rig.now = 4.0
        rig.page("m1", "m2", more="token")
        rig.got()
        rig.wake(4.9)
        assert rig.got() == []
        rig.wake(0.1)
        assert rig.got() == ["m90"]

    def test_it_is_closed_after_the_last_look(self):
        """The transcript may lag: it is read again 1, 3 and 10 s after."""
        rig = self.begun(relooks=(1.0, 3.0, 10.0))
        moments = []
        rig.page("m1")
        for _ in range(3):
            assert rig.recovery.gap
            moments += rig.wake(7.0)
            rig.page("m1")
        assert moments == [1.0, 3.0 - 1.0 + 7.0, 10.0 - 3.0 + 14.0]
        assert not rig.recovery.gap
        assert (rig.recovery.gaps, rig.recovery.done) == (1, 1)

    def test_what_a_look_finds_later_is_delivered(self):
        rig = self.begun(relooks=(1.0,))
        rig.page("m1", "m3")
        rig.live("m4")
        assert rig.got() == ["m3", "m4"]
        rig.wake(1.0)
        rig.page("m1", "m2", "m3", "m4")
        assert rig.got() == ["m2"]

    def test_a_transcript_that_lags_behind_what_waits_is_read_again_soon(self):
        """0.3 s after, then at twice that, for as long as items wait."""
        rig = self.begun(merge_wait=5.0, relooks=())
        rig.live("m4")
        rig.page("m1")
        assert rig.wake(0.3) == [0.3]
        rig.page("m1")
        assert rig.wake(0.6) == [pytest.approx(0.9)]
        assert rig.got() == []
        rig.page("m1", "m3", "m4")
        assert rig.got() == ["m3", "m4"]
        assert not rig.recovery.gap

    def test_another_loss_begins_it_anew(self):
        rig = self.begun()
        rig.recovery.interrupted(1.0)
        assert rig.reads() == [("forgotten", 1)]
        assert not rig.recovery.awaits(1)
        rig.page("m2")
        assert rig.got() == []
        rig.begin(Look.GAP)
        assert rig.reads() == [("BACKWARD", "reconnect")]
        assert rig.recovery.gaps == 1

    def test_what_arrives_before_the_next_link_is_held_no_longer_than_the_bound(self):
        rig = Rig(merge_wait=5.0)
        rig.live("m1")
        rig.recovery.interrupted(0.0)
        rig.live("m2")
        rig.wake(5.0)
        assert rig.got() == ["m1", "m2"]
        assert rig.recovery.gap


class TestAnchor:
    """It never passes a place where something may be missing."""

    def test_a_read_moves_it_to_what_is_verified(self):
        rig = Rig(overlap=30.0, relooks=())
        rig.recovery.interrupted(0.0)
        rig.begin(Look.GAP)
        rig.page("m1", "m10", "m20", "m45")
        assert rig.inbox.anchor == Position("m10", at(10))

    def test_live_items_do_not_move_it(self):
        """Also those of a path that came back: what they follow may be missing."""
        rig = Rig(merge_wait=1.0)
        rig.recovery.interrupted(0.0)
        rig.begin(Look.GAP)
        rig.live(*(f"m{second}" for second in range(100, 340)))
        rig.wake(1.0)
        assert len(rig.got()) == 240
        assert rig.inbox.anchor is None

    def test_a_walk_backward_that_is_not_finished_does_not_move_it(self):
        rig = Rig(overlap=0.0)
        rig.begin(Look.GAP)
        rig.page("m50", "m90", more="token")
        assert rig.inbox.anchor is None


class TestUrgency:
    """Which look takes the place of which."""

    def test_a_higher_look_takes_the_place_of_a_lower_one(self):
        rig = Rig()
        rig.begin(Look.AUDIT)
        rig.begin(Look.DOUBT)
        assert rig.reads() == [("BACKWARD", "history"), ("forgotten", 1), ("BACKWARD", "history")]
        assert rig.recovery.look is Look.DOUBT

    def test_a_lower_or_equal_one_does_not(self):
        rig = Rig()
        rig.begin(Look.GAP)
        rig.reads()
        for look in (Look.AUDIT, Look.POLL, Look.DOUBT, Look.GAP):
            rig.begin(look)
        assert rig.reads() == []

    def test_a_doubt_holds_nothing_and_looks_again(self):
        rig = Rig(relooks=(1.0,))
        rig.begin(Look.DOUBT)
        rig.live("m1")
        assert rig.got() == ["m1"]
        assert rig.recovery.gap
        rig.page("m1")
        assert rig.wake(1.0) == [1.0]
        rig.page("m1", "m2")
        assert rig.got() == ["m2"]
        assert not rig.recovery.gap

    def test_a_doubt_that_arises_meanwhile_is_looked_into_afterwards(self):
        """What was lost at the very end of a look may lag beyond it."""
        rig = Rig(relooks=())
        rig.begin(Look.DOUBT)
        rig.begin(Look.DOUBT)
        rig.reads()
        rig.page("m1")
        assert rig.reads() == [("BACKWARD", "history")]
        rig.page("m1", "m2")
        assert rig.got() == ["m1", "m2"]
        assert rig.reads() == []
        assert not rig.recovery.gap

    def test_an_audit_reads_once_in_the_background(self):
        rig = Rig()
        rig.begin(Look.AUDIT)
        assert rig.reads() == [("BACKWARD", "history")]
        rig.live("m1")
        assert rig.got() == ["m1"]
        rig.page("m1", "m2")
        assert rig.got() == ["m2"]
        assert rig.wake(1000.0) == []
        assert rig.recovery.gaps == 0

    def test_an_audit_leaves_items_that_wait_for_their_turn_alone(self):
        """An earlier one may still be on its way."""
        rig = Rig()
        rig.inbox = rig.recovery._inbox = Inbox(0.1)
        rig.begin(Look.AUDIT)
        rig.inbox.live(item("m2"), 0.0)
        rig.page()
        assert rig.got() == []
        assert len(rig.inbox) == 1

    def test_an_audit_is_due_after_so_many_items_and_so_much_time(self):
        rig = Rig(audit_after=3, audit_interval=60.0)
        rig.live("m1", "m2")
        rig.recovery.audit_if_due(100.0)
        assert rig.reads() == []
        rig.live("m3")
        rig.recovery.audit_if_due(100.0)
        assert rig.reads() == [("BACKWARD", "history")]
        rig.now = 100.0
        rig.page("m1", "m2", "m3")
        rig.live("m4", "m5", "m6")
        rig.recovery.audit_if_due(159.0)
        assert rig.reads() == []
        rig.recovery.audit_if_due(160.0)
        assert len(rig.reads()) == 1

    def test_no_audit_is_due_while_a_gap_is_open(self):
        rig = Rig(audit_after=1)
        rig.live("m1")
        rig.recovery.interrupted(0.0)
        rig.recovery.audit_if_due(100.0)
        assert rig.reads() == []

    def test_a_poll_is_more_urgent_than_history(self):
        """It is the only way that items arrive."""
        rig = Rig()
        rig.begin(Look.POLL)
        assert rig.reads() == [("BACKWARD", "rotate")]


class TestTrouble:
    """Pages that cannot be read."""

    def begun(self, look=Look.GAP, **options):
        rig = Rig(**options)
        rig.begin(look)
        rig.reads()
        return rig

    def test_a_page_that_fails_is_asked_for_again_after_a_growing_pause(self):
        rig = self.begun()
        waits = []
        for _ in range(4):
            rig.recovery.page_failed(None, rig.now)
            waits.append(rig.timers.next - rig.now)
            assert len(rig.wake(waits[-1])) == 1
        assert waits == [0.25, 0.5, 1.0, 2.0]

    def test_the_pause_starts_over_with_progress_only(self):
        """A page that brings nothing new is none: reading it for ever must not become a storm."""
        rig = self.begun()
        rig.live("m1")
        rig.recovery.page_failed(None, 0.0)
        rig.wake(0.25)
        rig.page("m1", more="token")
        rig.recovery.page_refused(rig.now)
        assert rig.timers.next == rig.now + 0.5
        rig.wake(0.5)
        rig.page("m2", more="token")
        rig.page("m3", more="token")
        rig.recovery.page_failed(None, rig.now)
        assert rig.timers.next - rig.now >= 1.0

    def test_the_service_may_ask_for_a_longer_pause(self):
        rig = self.begun()
        rig.recovery.page_failed(7.0, 0.0)
        assert rig.timers.next == 7.0

    def test_a_position_that_is_refused_is_replaced_by_another(self):
        rig = Rig()
        rig.inbox.move_anchor(Position("m5", at(5)))
        rig.begin(Look.GAP)
        assert rig.reads() == [("m5", "reconnect")]
        rig.recovery.page_refused(0.0)
        assert rig.wake(0.25) == [0.25]
        rig.recovery.page_refused(rig.now)
        rig.wake(0.5)
        assert rig.recovery._reading.query["scan_direction"] == "BACKWARD"
        rig.recovery.page_refused(rig.now)
        assert rig.wake(1.0)

    def test_positions_that_were_refused_are_not_tried_again_for_a_minute(self):
        """Each pass would begin with two calls in vain."""
        rig = Rig(relooks=(5.0, 60.0))
        rig.inbox.move_anchor(Position("m5", at(5)))
        rig.begin(Look.GAP)
        rig.reads()
        for _ in range(2):
            rig.recovery.page_refused(rig.now)
            rig.wake(1.0)
        rig.page("m4", "m6", more="token")
        rig.recovery.page_refused(rig.now)
        rig.wake(1.0)
        rig.page("m1", "m6")
        ways = []
        for _ in range(2):
            (moment,) = rig.wake(70.0)[:1]
            ways.append(rig.recovery._reading.query["scan_direction"])
            rig.page("m1", "m6")
        assert ways == ["BACKWARD", "FORWARD"]
        assert moment > 60.0

    def test_a_newer_token_is_tried_at_once_but_only_the_first_time(self):
        """A page refused with any token must not become a storm of renewals."""
        rig = self.begun()
        rig.recovery.try_again(0.0)
        assert rig.reads() == []
        rig.recovery.page_failed(None, 0.0)
        rig.recovery.try_again(0.0)
        assert rig.reads() == [("BACKWARD", "reconnect")]
        assert rig.wake(0.3) == []
        rig.recovery.page_failed(None, rig.now)
        rig.recovery.try_again(rig.now)
        assert rig.reads() == []
        assert rig.wake(0.5) == [pytest.approx(0.8)]

    def test_without_a_token_it_waits_for_one(self):
        rig = Rig(token=None)
        rig.begin(Look.GAP)
        assert rig.reads() == []
        rig.token = "token"
        rig.recovery.try_again(0.0)
        assert rig.reads() == [("BACKWARD", "reconnect")]

    @pytest.mark.parametrize("look", [Look.AUDIT, Look.POLL])
    def test_an_audit_or_a_poll_that_fails_is_not_worth_a_retry(self, look):
        rig = self.begun(look)
        rig.recovery.page_failed(None, 0.0)
        assert rig.timers.next is None
        assert rig.recovery.look is Look.NONE

    def test_a_transcript_that_is_closed_to_us_holds_nothing_up(self):
        rig = self.begun()
        rig.live("m1")
        rig.recovery.abandon(0.0)
        assert rig.got() == ["m1"]
        assert not rig.recovery.gap
        assert rig.timers.next is None


class TestFinal:
    """The last look, once the end has come."""

    def test_without_a_gap_one_read_is_enough(self):
        rig = Rig()
        rig.live("m1", "m3")
        rig.begin(Look.FINAL)
        rig.live("m4")
        rig.page("m1", "m2", "m3", "m4")
        assert rig.got() == ["m1", "m3", "m2", "m4"]
        assert rig.recovery.finished
        assert rig.timers.next is None

    def test_with_a_gap_it_looks_again_as_long_as_items_may_wait(self):
        rig = Rig(merge_wait=5.0, relooks=(1.0, 3.0, 10.0))
        rig.recovery.interrupted(0.0)
        rig.begin(Look.FINAL)
        rig.reads()
        rig.page("m1")
        assert rig.wake(1.0) == [1.0]
        rig.page("m1", "m2")
        assert not rig.recovery.finished
        assert rig.wake(2.0) == [3.0]
        rig.page("m1", "m2", "m3")
        assert rig.recovery.finished
        assert rig.got() == ["m1", "m2", "m3"]

    def test_a_failing_page_is_retried_within_its_time(self):
        """One throttled call must not cost the last items."""
        rig = Rig(merge_wait=5.0)
        rig.begin(Look.FINAL)
        rig.recovery.page_failed(None, 0.0)
        assert rig.wake(0.25) == [0.25]
        rig.page("m1")
        assert rig.got() == ["m1"]
        assert rig.recovery.finished

    def test_its_time_is_its_own(self):
        """However long something has waited already; and then it is over, read or not."""
        rig = Rig(merge_wait=5.0)
        rig.recovery.interrupted(0.0)
        rig.live("m9")
        rig.wake(4.9)
        rig.begin(Look.FINAL)
        rig.wake(4.9)
        assert not rig.recovery.finished
        rig.wake(0.1)
        assert rig.recovery.finished
        assert rig.got() == ["m9"]

    def test_the_end_of_the_chat_may_be_the_end_of_the_transcript(self):
        rig = Rig()
        rig.begin(Look.FINAL)
        rig.recovery.page_denied(0.0)
        assert rig.recovery.finished

    def test_a_read_under_way_goes_on(self):
        """It may be the last that the service allows."""
        rig = Rig()
        rig.begin(Look.AUDIT)
        rig.page("m5", "m6", more="token")
        rig.reads()
        rig.begin(Look.FINAL)
        assert rig.reads() == []
        rig.recovery.page_denied(0.0)
        assert rig.got() == ["m5", "m6"]

    def test_what_a_walk_had_found_when_its_token_was_refused_goes_out_in_the_end(self):
        """The walk that begins again may not get as far."""
        rig = Rig()
        rig.begin(Look.GAP)
        rig.page("m5", "m6", more="token")
        rig.page("m3", "m4", more="token")
        rig.recovery.page_refused(0.0)
        rig.begin(Look.FINAL)
        rig.page("m5", "m6", "m7", more="token")
        assert rig.got() == []
        rig.recovery.page_denied(0.0)
        assert rig.got() == ["m3", "m4", "m5", "m6", "m7"]

    @pytest.mark.parametrize("look", [Look.AUDIT, Look.POLL])
    def test_so_does_what_a_read_had_found_that_was_not_worth_a_retry(self, look):
        rig = Rig()
        rig.begin(look)
        rig.page("m5", "m6", more="token")
        rig.recovery.page_failed(None, 0.0)
        rig.begin(Look.FINAL)
        rig.recovery.page_denied(0.0)
        assert rig.got() == ["m5", "m6"]

    def test_of_all_that_was_found_so_much_is_kept_and_no_more(self):
        rig = Rig()
        for first in (5000, 4000, 3000):
            rig.begin(Look.AUDIT)
            rig.page(*(f"m{first + second}" for second in range(600)), more="token")
            rig.recovery.page_failed(None, 0.0)
        rig.begin(Look.FINAL)
        rig.recovery.page_denied(0.0)
        assert len(rig.got()) == 1000

    def test_what_was_found_twice_or_came_otherwise_goes_out_once(self):
        rig = Rig()
        for _ in range(2):
            rig.begin(Look.AUDIT)
            rig.page("m4", "m5", more="token")
            rig.recovery.page_failed(None, 0.0)
        rig.live("m5")
        rig.begin(Look.AUDIT)
        rig.page("m3", "m5")
        assert rig.got() == ["m5", "m3"]
        rig.begin(Look.FINAL)
        rig.recovery.page_denied(0.0)
        assert rig.got() == []

    def test_a_loss_does_not_begin_it_anew(self):
        rig = Rig()
        rig.begin(Look.FINAL)
        rig.reads()
        rig.recovery.interrupted(1.0)
        assert rig.reads() == []
        rig.page("m1")
        assert rig.recovery.finished

    def test_nothing_is_read_after_it(self):
        rig = Rig()
        rig.begin(Look.FINAL)
        rig.page()
        rig.reads()
        for look in Look:
            rig.begin(look)
        assert rig.reads() == []
        assert rig.wake(1000.0) == []
