"""What the engine does in each situation; see `harness` for how to read these tests."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from connect_chat.engine import session as module
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.session import TRANSITIONS, SessionState
from connect_chat.errors import ChatEndedError, NotConnectedError

from .harness import (
    AGENT,
    BROKEN,
    DENIED,
    DISTRUSTED,
    INVALID,
    ME,
    THROTTLED,
    Chat,
    at,
    connected,
    documented_table,
    frame,
    item,
    raw,
    replace,
)
from .transcript import Refused, Transcript

S = SessionState


def plain(**options):
    """Return options without reordering and later looks, which would only get in the way."""
    return SessionOptions(**{"relooks": (), "reorder_window": 0.0} | options)


def started():
    chat = Chat(options=plain())
    chat.start()
    return chat


def lost():
    chat = connected("m1")
    chat.closed("A")
    return chat


def ended():
    chat = connected("m1")
    chat.says("A", "end2")
    chat.page("m1", "end2")
    return chat


def failed():
    chat = started()
    chat.refused("A", INVALID)
    return chat


def closed():
    chat = connected("m1")
    chat.close()
    return chat


WAY = {
    S.NEW: Chat,
    S.CONNECTING: started,
    S.CONNECTED: connected,
    S.RECONNECTING: lost,
    S.ENDED: ended,
    S.FAILED: failed,
    S.CLOSED: closed,
}


class TestStates:
    """The table in the module's docstring."""

    def test_the_transitions_are_those_of_the_documented_table(self):
        """And that every state may go to CLOSED."""
        table = documented_table(module.__doc__)
        documented = {S[state]: {S[name] for name in left} for state, left in table.items()}
        for state in set(S) - {S.CLOSED}:
            documented[state] |= {S.CLOSED}
        assert documented == TRANSITIONS

    @pytest.mark.parametrize(("before", "after"), list(product(S, S)))
    def test_a_step_that_is_not_in_the_table_raises(self, before, after):
        """Entering the state that it is in is no step."""
        chat = WAY[before]()
        assert chat.engine.state is before
        if after in TRANSITIONS[before] or after is before:
            chat.engine._enter(after)
            assert chat.engine.state is after
        else:
            with pytest.raises(AssertionError, match=f"from {before.name} to {after.name}"):
                chat.engine._enter(after)
            assert chat.engine.state is before

    @pytest.mark.parametrize("state", S)
    def test_a_snapshot_can_be_taken_in_every_state(self, state):
        assert WAY[state]().engine.snapshot().participant_token

    @pytest.mark.parametrize("state", S)
    def test_closing_works_in_every_state_and_leaves_nothing_to_do(self, state):
        chat = WAY[state]()
        chat.close()
        assert chat.close() == []
        assert chat.state == "closed"
        assert chat.engine.wake_at is None
        assert chat.passes(10_000.0) == []

    @pytest.mark.parametrize("state", [S.ENDED, S.FAILED, S.CLOSED])
    def test_once_it_is_over_nothing_that_comes_in_matters(self, state):
        chat = WAY[state]()
        snapshot = chat.engine.snapshot()
        assert chat.says("A", "m50") == []
        assert chat.granted("A") == []
        assert chat.refused("A", DENIED) == []
        assert chat.opened("A") == []
        assert chat.closed("A") == []
        assert chat.accepted("A") == []
        assert chat.state == str(state)
        assert chat.engine.snapshot() == snapshot
        assert chat.engine.over

    def test_every_change_is_traced(self):
        chat = lost()
        replace(chat, "B")
        assert [trace.facts["to"] for trace in chat.traced("state")] == [
            "connecting", "connected", "reconnecting", "connected",
        ]  # fmt: skip


class TestLinkLife:
    """From the question for a connection to a live link."""

    def test_the_ordinary_way(self):
        chat = Chat()
        assert chat.start() == ["ask A connect"]
        assert chat.granted("A") == ["open A"]
        assert chat.opened("A") == ["subscribe A"]
        assert chat.state == "connecting"
        assert chat.accepted("A") == ["read backward, reconnect"]
        assert chat.state == "connected"
        assert chat.engine.connected_at == chat.now
        assert chat.page("m1", "m2") == []
        assert chat.gets() == ["m1", "m2"]
        assert chat.engine.contact_id == "contact-1"

    def test_a_refused_subscription_is_repeated_five_times_then_the_link_is_given_up(self):
        chat = started()
        chat.granted("A")
        chat.opened("A")
        for _ in range(5):
            assert chat.declined("A") == []
            assert chat.passes(0.5) == ["subscribe A"]
        assert chat.declined("A") == ["close A", "read backward, rotate"]
        assert chat.passes(0.25) == ["ask B connect"]

    def test_an_unanswered_subscription_is_repeated_then_the_link_is_given_up(self):
        chat = started()
        chat.granted("A")
        chat.opened("A")
        assert chat.passes(3.25) == [
            "subscribe A", "subscribe A", "close A", "read backward, rotate", "ask B connect",
        ]  # fmt: skip

    def test_a_stale_url_is_never_opened(self):
        """It came while the beginning of the chat was being looked for."""
        chat = Chat(options=plain(connect_timeout=200.0), from_start=False)
        chat.start()
        assert chat.granted("A") == ["read the newest, reconnect"]
        chat.passes(85.0)
        assert chat.page("m1") == ["read from m1, rotate"]
        assert chat.passes(0.25) == ["ask B connect"]

    def test_a_silent_link_is_replaced_while_it_is_still_listened_to(self):
        chat = connected("m1")
        chat.mute.add("A")
        assert chat.passes(14.9) == []
        assert chat.passes(0.1) == ["ask B reconnect"]
        assert chat.state == "reconnecting"
        chat.says("A", "m2")
        assert chat.gets() == []
        assert chat.granted("B") == ["open B"]
        assert chat.opened("B") == ["subscribe B"]
        assert chat.accepted("B") == ["close A", "read backward, reconnect"]
        assert chat.page("m1", "m2", "m3") == []
        assert chat.gets() == ["m2", "m3"]

    def test_other_frames_do_not_stand_for_a_heartbeats_answer(self):
        """What is heard may come from a buffer in between."""
        chat = connected()
        chat.mute.add("A")
        chat.passes(14.0)
        chat.says("A", "m1")
        assert chat.passes(1.0) == ["ask B reconnect"]

    def test_a_path_that_comes_back_is_the_chats_again(self):
        """What was said meanwhile is looked for; the link on its way replaces it all the same."""
        chat = connected("m1")
        chat.mute.add("A")
        chat.passes(15.0)
        assert chat.beats("A") == ["read backward, reconnect"]
        assert chat.state == "connected"
        chat.page("m1", "m2")
        assert chat.gets() == ["m2"]
        chat.mute.clear()
        assert replace(chat, "B") == []
        assert chat.passes(1.0) == ["close A", "read backward, history"]
        assert chat.state == "connected"

    def test_a_far_end_that_is_ill_is_replaced_at_a_pace_that_cannot_storm(self):
        chat = connected("m1", options=plain(rotation_margin=1.0, rotation_jitter=0.0))
        chat.ill = True
        asked = []
        while chat.now < 4000.0:
            for words in chat.passes(10.0):
                if words.startswith("ask"):
                    asked.append(chat.now)
                    replace(chat, words.split()[1])
            while chat.reads:
                chat.page("m1")
        waits = [later - earlier for earlier, later in pairwise(asked)]
        assert waits == [60.0, 120.0, 240.0, 480.0, 960.0, 960.0]

    def test_what_may_be_lost_with_an_ill_far_end_is_looked_for(self):
        chat = connected("m1", options=plain(deep_failures=1))
        assert chat.frame("A", '{"topic":"aws/ping","statusCode":500}') == [
            "read backward, history", "ask B rotate",
        ]  # fmt: skip
        chat.page("m1", "m2")
        assert chat.gets() == ["m2"]


class TestRotation:
    """Before ConnectionExpiry, with no deaf moment."""

    def rotating(self, **session):
        """Return a chat that is asking for its second link."""
        chat = connected("m1", options=plain(rotation_jitter=0.0), **session)
        assert chat.passes(3480.0) == ["ask B rotate"]
        return chat

    def test_the_new_link_is_live_before_the_old_one_retires(self):
        chat = self.rotating()
        chat.mute.add("A")
        assert chat.granted("B") == ["open B"]
        chat.says("A", "m2")
        assert chat.opened("B") == ["subscribe B"]
        chat.says("A", "m3")
        assert chat.accepted("B") == []
        chat.says("A", "m3", "m4")
        chat.says("B", "m4", "m3", "m5")
        assert chat.gets() == ["m2", "m3", "m4", "m5"]
        for _ in range(400):
            assert chat.beats("A") == []
        chat.says("A", "typing6")
        assert chat.passes(1.0) == ["close A", "read backward, history"]
        assert chat.page("m1", "m2", "m3", "m4", "m5") == []
        assert chat.gets() == ["typing6"]
        assert chat.state == "connected"
        assert chat.engine.counters["rotations"] == 1
        assert chat.engine.counters["gaps"] == 1

    def test_what_a_mute_old_link_may_have_kept_is_looked_for(self):
        chat = self.rotating()
        chat.mute.add("A")
        replace(chat, "B")
        assert chat.passes(5.0) == ["close A", "read backward, history"]
        chat.page("m1", "m2")
        assert chat.gets() == ["m2"]

    def test_a_rotation_that_fails_is_tried_again_and_nobody_notices(self):
        chat = self.rotating()
        assert chat.refused("B", THROTTLED) == []
        assert chat.passes(7.0) == ["ask C rotate"]
        assert chat.state == "connected"
        assert replace(chat, "C") == []
        assert chat.passes(1.0) == ["close A", "read backward, history"]

    @pytest.mark.parametrize("clock", [-1e7, -7200.0, 0.0, 3600.0, 1e7])
    def test_a_clock_that_disagrees_changes_nothing(self, clock):
        """ConnectionExpiry is compared with the service's own clock."""
        chat = Chat(options=plain(rotation_jitter=0.0))
        chat.start()
        chat.granted("A", clock=clock)
        chat.opened("A")
        chat.accepted("A")
        chat.page("m1")
        assert chat.passes(3479.0) == []
        assert chat.passes(1.0) == ["ask B rotate"]

    @pytest.mark.parametrize("lifetime", [0.0, -3600.0, -1e9, 1e9])
    def test_an_absurd_expiry_makes_it_neither_spin_nor_sleep_for_ever(self, lifetime):
        chat = Chat(options=plain())
        chat.start()
        chat.granted("A", lifetime=lifetime)
        chat.opened("A")
        chat.accepted("A")
        chat.page("m1")
        assert chat.passes(3000.0) == []
        assert chat.passes(600.0)[0] == "ask B rotate"


class TestRecovery:
    """After any gap, the transcript is read from the last item known."""

    def test_what_the_flow_said_before_we_were_subscribed(self):
        """The very first connection follows a gap, too."""
        chat = started()
        chat.granted("A")
        chat.opened("A")
        chat.accepted("A")
        chat.says("A", "m4")
        assert chat.gets() == []
        chat.page("joined1", "m2", "m3", "m4")
        assert chat.gets() == ["joined1", "m2", "m3", "m4"]

    def test_a_long_transcript_that_can_only_be_walked_back_is_read_to_its_end(self):
        """Each item once, in order, though the service accepts no position at all."""
        transcript = Transcript([item(f"m{second}") for second in range(3300)])
        transcript.ids = transcript.times = False
        chat = Chat(options=plain(buffer=10_000))
        chat.start()
        chat.granted("A")
        chat.opened("A")
        chat.accepted("A")
        while chat.engine.recovery.gap:
            assert transcript.reads < 150
            if not chat.reads:
                chat.passes(1.0)
                continue
            try:
                items, more = transcript.get(chat.reads[0].query)
            except Refused:
                chat.page_fails(INVALID)
            else:
                chat.page(*(one.id for one in items), more=more)
        assert chat.gets() == [one.id for one in transcript.items]

    def test_a_lost_link_is_replaced_at_once_and_what_was_missed_is_read(self):
        """From the last item before which nothing can be missing."""
        chat = connected("m1", "m100")
        assert chat.closed("A") == ["close A", "ask B reconnect"]
        assert chat.state == "reconnecting"
        assert chat.engine.connected_at is None
        assert replace(chat, "B") == ["read from m1, reconnect"]
        chat.says("B", "m104")
        assert chat.page("m1", "m100", "m101", more="token") == ["read on at token, reconnect"]
        assert chat.gets() == ["m101"]
        chat.page("m102", "m103", "m104")
        assert chat.gets() == ["m102", "m103", "m104"]
        assert chat.engine.counters["gaps"] == chat.engine.counters["recoveries"] == 2

    def test_live_items_wait_for_the_merge_no_longer_than_a_bound(self):
        """What is found later is delivered late, and marked so."""
        chat = lost()
        replace(chat, "B")
        chat.says("B", "m3")
        assert chat.passes(4.9) == []
        assert chat.gets() == []
        chat.passes(0.1)
        assert chat.gets() == ["m3"]
        chat.page("m1", "m2", "m3")
        assert chat.gets() == ["m2 late"]
        assert chat.engine.counters["late"] == 1

    def test_a_transcript_that_lags_is_read_again_before_the_gap_is_closed(self):
        chat = connected("m1", options=plain(relooks=(1.0, 3.0, 10.0)))
        chat.closed("A")
        replace(chat, "B")
        assert chat.page("m1") == []
        assert chat.passes(1.0) == ["read backward, history"]
        assert chat.page("m1") == []
        assert chat.passes(2.0) == ["read backward, history"]
        assert chat.page("m1", "m2") == []
        assert chat.gets() == ["m2"]
        assert chat.passes(7.0) == ["read backward, history"]
        assert chat.traced("gap.closed") == []
        chat.page("m1", "m2")
        assert len(chat.traced("gap.closed")) == 1

    def test_the_anchor_does_not_move_past_a_gap_that_is_open(self):
        """A live item from the old socket of a path that came back hides nothing."""
        chat = connected("m1", "m100")
        chat.mute.add("A")
        chat.passes(15.0)
        chat.says("A", "m200")
        chat.beats("A")
        chat.passes(5.0)
        assert chat.gets() == ["m200"]
        assert chat.engine.inbox.anchor.id == "m1"
        assert chat.page_fails(BROKEN) == []
        assert chat.passes(0.25) == ["read from m1, history"]
        chat.page("m1", "m100", "m150", "m200")
        assert chat.gets() == ["m150 late"]

    def test_an_anchor_that_is_refused_falls_back_to_its_time_then_to_the_beginning(self):
        """What had been delivered before is not delivered again."""
        chat = connected("m1", "m100", "m200")
        chat.closed("A")
        assert replace(chat, "B") == ["read from m100, reconnect"]
        assert chat.page_fails(INVALID) == []
        assert chat.passes(0.5) == ["read from 12:01:10.000Z, reconnect"]
        assert chat.page_fails(INVALID) == []
        assert chat.passes(0.5) == ["read backward, reconnect"]
        chat.page("m1", "m100", "m200", "m201")
        assert chat.gets() == ["m201"]

    def test_a_frame_that_makes_no_sense_may_have_been_an_item(self):
        """It is counted, and looked for; an unknown topic is only counted."""
        chat = connected("m1")
        assert chat.frame("A", '{"topic":"aws/novelty"}') == []
        assert chat.frame("A", "{") == ["read backward, history"]
        chat.page("m1", "m2")
        assert chat.gets() == ["m2"]
        assert chat.engine.counters["bad_frames"] == 2
        assert [trace.level for trace in chat.traced("frame.ignored")] == ["info", "warning"]

    def test_an_audit_finds_what_a_socket_dropped_without_a_sign(self):
        chat = connected("m1", options=plain(audit_after=3, audit_interval=1.0))
        chat.passes(2.0)
        chat.says("A", "m2", "m4")
        assert chat.says("A", "m5") == ["read backward, history"]
        chat.page("m1", "m2", "m3", "m4", "m5")
        assert chat.gets() == ["m2", "m4", "m5", "m3 late"]

    def test_a_page_that_is_denied_is_read_with_a_newer_token(self):
        chat = lost()
        replace(chat, "B")
        assert chat.page_fails(DENIED) == ["renew the token"]
        assert chat.renewed() == ["read backward, reconnect"]
        assert chat.reads[0].connection_token == "token new"

    def test_a_page_that_is_denied_with_any_token_does_not_storm(self):
        chat = lost()
        replace(chat, "B")
        renewals = 0
        for _ in range(600):
            while chat.reads:
                renewals += chat.page_fails(DENIED).count("renew the token")
                if chat._renewals:
                    chat.renewed()
            chat.passes(1.0)
        assert renewals < 60

    def test_while_no_link_can_be_had_the_transcript_is_read_all_the_same(self):
        """The gap stays open: what is said until a link is live is looked for then."""
        chat = lost()
        chat.granted("B")
        assert chat.not_opened("B", spent=True) == ["close B", "read backward, rotate"]
        chat.page("m1", "m2")
        assert chat.gets() == ["m2"]
        assert chat.traced("gap.closed")[1:] == []
        assert chat.passes(0.5) == ["ask C reconnect"]
        assert replace(chat, "C") == ["read backward, reconnect"]
        chat.page("m1", "m2", "m3")
        assert chat.gets() == ["m3"]

    def test_before_it_is_known_where_the_chat_begins_nothing_is_read(self):
        chat = Chat(options=plain(), from_start=False)
        chat.start()
        chat.granted("A")
        chat.page_fails(THROTTLED)
        chat.passes(7.0)
        assert chat.refused("B", BROKEN) == []

    def test_a_second_loss_while_the_transcript_is_being_read(self):
        chat = lost()
        replace(chat, "B")
        assert chat.closed("B")[:1] == ["close B"]
        assert chat.reads == []
        chat.passes(1.0)
        assert replace(chat, "C") == ["read backward, reconnect"]
        chat.page("m1", "m2")
        assert chat.gets() == ["m2"]


class TestDelivery:
    """Once, in order, and only others'."""

    def test_once(self):
        """However often and wherever it comes from."""
        chat = connected("m1")
        chat.says("A", "m1", "m2", "m2")
        chat.closed("A")
        replace(chat, "B")
        chat.says("B", "m2", "m3")
        chat.page("m1", "m2", "m3")
        chat.says("B", "m1", "m3")
        assert chat.gets() == ["m2", "m3"]
        assert chat.engine.counters["items"] == 3

    def test_items_out_of_order_within_a_short_window_are_put_right(self):
        chat = connected("m1", options=plain(reorder_window=0.1))
        chat.says("A", "m4", "m2")
        chat.passes(0.09)
        chat.says("A", "m3")
        assert chat.gets() == []
        chat.passes(0.01)
        assert chat.gets() == ["m2", "m3", "m4"]

    def test_the_window_can_be_off(self):
        chat = connected("m1")
        chat.says("A", "m3", "m2")
        assert chat.gets() == ["m3", "m2 late"]

    def test_the_window_survives_a_look_at_the_transcript(self):
        """The look ends while an earlier item is on its way."""
        chat = connected("m1", options=plain(reorder_window=0.1))
        chat.frame("A", "{")
        chat.says("A", "m3")
        chat.page("m1")
        chat.says("A", "m2")
        chat.passes(0.1)
        assert chat.gets() == ["m2", "m3"]

    def test_our_own_messages_are_not_delivered(self):
        chat = connected(participant_id=ME)
        chat.says("A", "own1", "m2", raw("typing3", ParticipantId=ME))
        assert chat.gets() == ["m2"]

    def test_our_own_messages_are_delivered_if_wanted(self):
        chat = connected(participant_id=ME, own=True)
        chat.says("A", "own1", "m2")
        assert chat.gets() == ["own1 from_me", "m2"]

    def test_our_own_comings_and_goings_are_delivered(self):
        """They tell what everybody can see."""
        chat = connected(participant_id=ME)
        chat.says("A", raw("joined1", ParticipantId=ME))
        assert chat.gets() == ["joined1 from_me"]

    def test_an_echo_that_overtakes_the_reply_is_not_delivered(self):
        """Though nobody has told us our participant id yet."""
        chat = connected("m1")
        chat.send("hello")
        chat.says("A", "own2", "m3")
        assert chat.gets() == []
        chat.answered("own2")
        assert chat.gets() == ["m3"]
        assert chat.engine.participant_id == ME

    def test_others_do_not_wait_for_our_reply_longer_than_a_bound(self):
        chat = connected("m1", options=plain(echo_wait=5.0))
        chat.send("hello")
        chat.says("A", "m3", raw("own2", Content="hello"))
        chat.passes(5.0)
        assert chat.gets() == ["m3"]
        chat.answered("own2")
        assert chat.gets() == []

    def test_what_waits_for_one_reply_does_not_wait_for_the_next_for_ever(self):
        """One send fails and another begins: the bound holds again."""
        chat = connected("m1", options=plain(echo_wait=5.0))
        chat.send("hello")
        chat.send("more")
        chat.says("A", raw("m2", Content="hello"))
        chat.passes(60.0)
        chat.call_fails(BROKEN)
        chat.passes(5.0)
        assert chat.gets() == ["m2"]

    def test_past_contacts_are_not_part_of_the_chat(self):
        chat = started()
        chat.granted("A")
        chat.opened("A")
        chat.accepted("A")
        chat.page(raw("m1", RelatedContactId="contact-0", ContactId=None), "m2")
        assert chat.gets() == ["m2"]
        assert chat.engine.contact_id == "contact-1"

    def test_beginning_at_the_first_connection(self):
        """What was said before is not delivered, and everything after is."""
        chat = Chat(options=plain(), from_start=False)
        chat.start()
        assert chat.granted("A") == ["read the newest, reconnect"]
        assert chat.page("m2") == ["open A"]
        chat.opened("A")
        assert chat.accepted("A") == ["read from m2, reconnect"]
        chat.page("m2", "m3")
        chat.says("A", "m1", "m4")
        assert chat.gets() == ["m3", "m4"]

    def test_a_beginning_that_cannot_be_read_is_read_with_another_connection(self):
        chat = Chat(options=plain(), from_start=False)
        chat.start()
        chat.granted("A")
        assert chat.page_fails(THROTTLED) == []
        assert chat.passes(7.0) == ["ask B connect"]
        assert chat.granted("B") == ["read the newest, reconnect"]
        assert chat.page() == ["open B"]


class TestSending:
    """One chat's sends keep their order, and need no websocket."""

    def test_one_after_the_other(self):
        chat = connected()
        assert chat.send("one") == ["call SendMessage one with token A"]
        assert chat.send("two") == []
        assert chat.answered("own1") == ["call SendMessage two with token A"]
        chat.call_fails(INVALID)
        assert [(one.item_id, one.error) for one in chat.results()] == [
            ("own1", None), (None, INVALID),
        ]  # fmt: skip

    def test_through_a_reconnection(self):
        chat = lost()
        assert chat.send("one") == ["call SendMessage one with token A"]
        chat.answered("own2")
        assert chat.results()[0].error is None

    def test_before_the_first_token_they_wait(self):
        chat = started()
        assert chat.send("one") == []
        assert chat.granted("A") == ["call SendMessage one with token A", "open A"]

    def test_an_expired_token_is_renewed_and_the_call_repeated(self):
        """With the same ClientToken; the ones behind it wait."""
        chat = connected()
        chat.send("one")
        chat.send("two")
        first = chat.calls[0].outgoing
        assert chat.call_fails(DENIED) == ["renew the token"]
        assert chat.renewed() == ["call SendMessage one with token new"]
        assert chat.calls[0].outgoing == first
        assert chat.answered("own1") == ["call SendMessage two with token new"]

    def test_a_call_that_is_denied_with_a_fresh_token_fails(self):
        """It is the call that is not allowed."""
        chat = connected()
        chat.send("one")
        chat.call_fails(DENIED)
        chat.renewed()
        assert chat.call_fails(DENIED) == []
        assert chat.results()[0].error is DENIED

    def test_a_queue_of_calls_that_are_not_allowed_costs_one_renewal(self):
        chat = connected()
        for content in ("one", "two", "three"):
            chat.send(content)
        chat.call_fails(DENIED)
        chat.renewed()
        assert chat.call_fails(DENIED) == ["call SendMessage two with token new"]
        assert chat.call_fails(DENIED) == ["call SendMessage three with token new"]
        assert chat.call_fails(DENIED) == []
        assert [result.error for result in chat.results()] == [DENIED] * 3

    def test_a_renewal_that_fails_is_repeated(self):
        chat = connected()
        chat.send("one")
        chat.call_fails(DENIED)
        assert chat.not_renewed(BROKEN) == []
        assert chat.passes(0.25) == ["renew the token"]
        assert chat.renewed() == ["call SendMessage one with token new"]

    def test_a_renewal_waits_as_long_as_the_service_asks_for(self):
        """Whoever else wants a token meanwhile."""
        chat = connected()
        chat.send("one")
        chat.call_fails(DENIED)
        chat.not_renewed(THROTTLED)
        chat.engine.token_refused("token A", chat.now)
        assert chat.passes(6.9) == []
        assert chat.passes(0.1) == ["renew the token"]
        assert chat.renewed() == ["call SendMessage one with token new"]

    def test_no_renewal_beside_a_connection_that_is_being_asked_for(self):
        """That brings a token, too."""
        chat = lost()
        chat.send("one")
        assert chat.call_fails(DENIED) == []
        assert chat.granted("B") == ["call SendMessage one with token B", "open B"]

    def test_a_link_that_comes_back_brings_no_token_so_that_one_is_asked_for(self):
        """The connection that would have brought it is not asked for any more."""
        chat = connected()
        chat.mute.add("A")
        chat.passes(15.0)
        chat.refused("B", THROTTLED)
        chat.send("one")
        assert chat.call_fails(DENIED) == []
        assert "renew the token" in chat.beats("A")
        assert "call SendMessage one with token new" in chat.renewed()

    def test_a_token_refused_elsewhere_is_renewed_unless_a_newer_one_is_here(self):
        chat = connected()
        chat.engine.token_refused("older token", chat.now)
        assert chat._note(chat.engine.take_commands()) == []
        chat.engine.token_refused("token A", chat.now)
        assert chat._note(chat.engine.take_commands()) == ["renew the token"]
        assert chat.engine.token is None
        chat.renewed()
        assert chat.engine.token == "token new"

    def test_a_token_is_renewed_before_it_expires(self):
        """At nine tenths of its day; a rotation brings a new one earlier."""
        chat = connected(options=plain(rotation_margin=1.0, rotation_jitter=0.0))
        chat.engine.timers.cancel("rotate")
        assert chat.passes(0.9 * 86_400.0) == ["renew the token"]

    def test_a_cancelled_call_that_has_not_begun_is_never_made(self):
        chat = connected()
        chat.send("one")
        chat.send("two")
        chat.send("three")
        two = chat.calls[0].call + 1
        chat.engine.withdraw(two)
        assert chat.answered("own1") == ["call SendMessage three with token A"]

    @pytest.mark.parametrize("state", [S.ENDED, S.FAILED, S.CLOSED, S.NEW])
    def test_where_nothing_can_be_sent_it_raises(self, state):
        chat = WAY[state]()
        error = ChatEndedError if state is S.ENDED else NotConnectedError
        with pytest.raises(error):
            chat.send()

    def test_what_still_waits_when_the_chat_ends_fails(self):
        """The one under way may have been taken; its answer tells."""
        chat = connected()
        chat.send("one")
        chat.send("two")
        chat.says("A", "end2")
        with pytest.raises(ChatEndedError):
            chat.send("three")
        chat.page("end2")
        (two,) = chat.results()
        assert isinstance(two.error, ChatEndedError)
        chat.answered("own1")
        assert chat.results()[0].item_id == "own1"

    def test_a_call_refused_because_the_chat_has_ended_says_so(self):
        chat = connected()
        chat.send("one")
        chat.says("A", "end2")
        chat.page("end2")
        chat.call_fails(DENIED)
        assert isinstance(chat.results()[0].error, ChatEndedError)

    def test_answers_to_calls_that_are_none_are_ignored(self):
        chat = connected()
        chat.engine.call_succeeded(999, "own1", at(1), chat.now)
        chat.engine.call_failed(999, BROKEN, chat.now)
        assert chat.results() == []


class TestReaders:
    """Slow or many, they lose nothing and disturb nobody."""

    def test_a_burst_that_has_waited_for_its_order_does_not_leave_a_prompt_reader_behind(self):
        """More than its buffer holds is let out in portions, and it takes each."""
        chat = connected("m1", options=plain(reorder_window=0.1))
        chat.gets()
        burst = [f"m{number}" for number in range(2, 2502)]
        chat.says("A", *burst)
        chat.now += 0.1
        got = []
        while len(got) < len(burst):
            chat.engine.wake(chat.now)
            portion = chat.gets()
            assert portion
            got += portion
        assert got == burst
        assert chat.engine.counters["catchups"] == 0

    def test_a_slow_reader_is_caught_up_from_the_transcript_and_back(self):
        chat = connected("m1", options=plain(buffer=2))
        chat.says("A", "m2", "m3", "m4", "m5")
        assert chat.gets() == ["m2", "m3"]
        assert len(chat.reads) == 1
        chat.says("A", "m6")
        assert chat.page("m3", "m4", "m5") == []
        assert chat.gets() == ["m4", "m5", "m6"]
        chat.says("A", "m7")
        assert chat.gets() == ["m7"]
        assert chat.engine.counters["catchups"] == 1

    def test_a_further_reader_begins_with_the_next_item_at_its_own_pace(self):
        chat = connected("m1", options=plain(buffer=2))
        quick, slow = chat.engine.open_reader(100), chat.engine.open_reader()
        chat.says("A", "m2", "m3", "m4")
        assert chat.gets(quick) == ["m2", "m3", "m4"]
        assert chat.gets(slow) == ["m2", "m3"]
        chat.page("m3", "m4")
        assert chat.gets(slow) == ["m4"]

    def test_a_reader_that_was_closed_gets_nothing_more(self):
        chat = connected("m1")
        other = chat.engine.open_reader()
        chat.says("A", "m2")
        chat.engine.close_reader(other, chat.now)
        chat.says("A", "m3")
        assert chat.gets(other) == []
        assert chat.gets() == ["m2", "m3"]

    def test_a_reader_behind_is_caught_up_after_the_end(self):
        chat = connected("m1", options=plain(buffer=1))
        chat.says("A", "m2", "m3", "end4")
        chat.page("m1", "m2", "m3", "end4")
        assert chat.state == "ended"
        assert chat.gets() == ["m2"]
        chat.page("m2", "m3", "end4")
        assert chat.gets() == ["m3", "end4"]
        assert chat.engine.reader.finished

    def test_a_reader_that_can_no_longer_be_caught_up_is_told(self):
        chat = connected("m1", options=plain(buffer=1))
        chat.says("A", "m2", "m3", "end4")
        chat.page("m1", "m2", "m3", "end4")
        chat.gets()
        chat.page_fails(DENIED)
        assert isinstance(chat.engine.reader.failure, NotConnectedError)
        assert chat.engine.reader.failure.__cause__ is DENIED

    def test_a_readers_page_that_fails_is_read_again(self):
        chat = connected("m1", options=plain(buffer=1))
        chat.says("A", "m2", "m3")
        chat.gets()
        assert chat.page_fails(INVALID) == []
        assert chat.passes(0.25) == ["read backward, history"]
        assert chat.page_fails(THROTTLED) == []
        assert chat.passes(7.0) == ["read backward, history"]

    @pytest.mark.parametrize("before", ["connected", "ended"])
    def test_a_reader_behind_reads_no_more_once_closed(self, before):
        """What it has is handed out; then it is told that the session is closed."""
        chat = connected("m1", options=plain(buffer=1))
        chat.says("A", "m2", "m3")
        if before == "ended":
            chat.says("A", "end4")
            chat.page("m1", "m2", "m3", "end4")
        chat.close()
        assert chat.gets() == ["m2"]
        assert chat.reads == []
        assert chat.engine.wake_at is None
        assert isinstance(chat.engine.reader.failure, NotConnectedError)

    def test_a_reader_that_has_everything_is_not_disturbed_by_closing(self):
        chat = ended()
        chat.close()
        assert chat.gets() == ["end2"]
        assert chat.engine.reader.failure is None

    def test_a_reader_opened_after_the_end_gets_the_end(self):
        chat = ended()
        assert chat.gets(chat.engine.open_reader()) == ["end2"]

    def test_a_reader_opened_after_a_failure_gets_the_failure(self):
        chat = failed()
        assert chat.engine.open_reader().failure is INVALID


class TestEnds:
    """The last item is a ChatEnded, or the error says why there is none."""

    def test_an_item_that_the_end_has_overtaken_is_waited_for(self):
        """For the reorder window, also if the transcript is closed by then."""
        chat = connected("m1", options=plain(reorder_window=0.1))
        chat.says("A", "end3")
        chat.page_fails(DENIED)
        assert chat.gets() == []
        chat.passes(0.05)
        chat.says("A", "m2")
        chat.passes(0.1)
        assert chat.gets() == ["m2", "end3"]

    def test_what_waits_when_the_end_comes_goes_on_waiting_for_its_turn(self):
        """Also if the transcript is closed by then, so that nothing more is to be read."""
        chat = connected("m1", options=plain(reorder_window=0.1))
        chat.says("A", "m3", "end4")
        chat.page_fails(DENIED)
        chat.passes(0.05)
        chat.says("A", "m2")
        chat.passes(0.1)
        assert chat.gets() == ["m2", "m3", "end4"]

    def test_chat_ended(self):
        """One last look at the transcript, and then everything is closed."""
        chat = connected("m1")
        assert chat.says("A", "end3") == ["read backward, reconnect"]
        assert chat.gets() == []
        assert chat.page("m1", "m2", "end3") == ["close A"]
        assert chat.gets() == ["m2", "end3"]
        assert chat.state == "ended"
        assert chat.engine.wake_at is None

    def test_chat_ended_found_in_the_transcript(self):
        chat = lost()
        replace(chat, "B")
        chat.page("m1", "m2", "end3")
        chat.page("m1", "m2", "end3")
        assert chat.gets() == ["m2", "end3"]
        assert chat.state == "ended"

    def test_a_refusal_after_a_connection_that_came_to_nothing(self):
        """Who was given one before is refused because the chat is over, also on the way in."""
        chat = started()
        chat.granted("A")
        assert chat.not_opened("A", spent=True) == ["close A", "read backward, rotate"]
        chat.page("m1")
        assert chat.passes(1.0) == ["ask B connect"]
        assert chat.refused("B", DENIED) == ["read backward, reconnect"]
        chat.page_fails(DENIED)
        assert chat.gets() == ["m1", "ChatEnded inferred"]
        assert chat.state == "ended"

    def test_items_that_wait_for_their_turn_come_before_the_end(self):
        chat = connected("m1", options=plain(reorder_window=1.0))
        chat.says("A", "m2", "end3")
        chat.page("m1")
        chat.passes(5.0)
        assert chat.gets() == ["m2", "end3"]

    def test_what_was_found_on_the_way_back_comes_though_the_chat_ends_on_it(self):
        """No walk has come to its end: what lies before the items found is not known."""
        chat = started()
        chat.granted("A")
        chat.opened("A")
        chat.accepted("A")
        chat.page("m5", "m6", more="token")
        chat.page_fails(INVALID)
        chat.says("A", "end9")
        assert chat.passes(1.0) == ["read backward, reconnect"]
        chat.page_fails(DENIED)
        chat.passes(1.0)
        assert chat.gets() == ["m5", "m6", "end9"]

    def test_a_last_look_that_fails_is_tried_again_for_a_while(self):
        chat = connected("m1", options=plain(merge_wait=5.0))
        chat.says("A", "end3")
        assert chat.page_fails(BROKEN) == []
        assert chat.passes(0.25) == ["read backward, reconnect"]
        chat.page("m1", "m2", "end3")
        assert chat.gets() == ["m2", "end3"]

    def test_a_last_look_does_not_last_for_ever(self):
        chat = connected("m1", options=plain(merge_wait=5.0))
        chat.says("A", "end3")
        for _ in range(50):
            if chat.reads:
                chat.page_fails(BROKEN)
            chat.passes(0.1)
        assert chat.gets() == ["end3"]
        assert chat.state == "ended"

    def test_two_alarms_at_one_moment_do_not_read_after_the_end(self):
        """A shell that wakes late rings both: the end of the wait, and another look."""
        chat = connected("m1", options=plain(relooks=(4.0,), merge_wait=5.0))
        while chat.engine.recovery.gap:
            chat.passes(1.0)
            if chat.reads:
                chat.page("m1")
        chat.frame("A", "{")
        chat.says("A", "end3")
        chat.now += 2.0
        chat.page("m1")
        chat.now += 60.0
        assert chat.passes(0.0) == ["close A"]
        assert chat.reads == []
        assert chat.gets() == ["end3"]

    def test_403_while_reconnecting(self):
        """It ended while we were away: what was said last is read, and the end is inferred."""
        chat = lost()
        assert chat.refused("B", DENIED) == ["read backward, reconnect"]
        chat.page("m1", "m2")
        assert chat.gets() == ["m2", "ChatEnded inferred"]
        assert chat.state == "ended"

    def test_403_while_reconnecting_and_for_the_transcript(self):
        chat = lost()
        chat.refused("B", DENIED)
        assert chat.page_fails(DENIED) == []
        assert chat.gets() == ["ChatEnded inferred"]

    def test_the_real_end_in_the_transcript_counts_more_than_an_inferred_one(self):
        chat = lost()
        chat.refused("B", DENIED)
        chat.page("m1", "m2", "end3")
        assert chat.gets()[0] == "m2"
        assert chat.state == "ended"

    def test_our_own_disconnect_keeps_delivering_until_the_end(self):
        """The disconnect flow may run a survey, and say goodbye."""
        chat = connected("m1")
        assert chat.send("", "DisconnectParticipant") == [
            "call DisconnectParticipant  with token A"
        ]
        chat.answered()
        with pytest.raises(ChatEndedError):
            chat.send("too late")
        chat.says("A", "m2", "end3")
        chat.page("m1", "m2", "end3")
        assert chat.gets() == ["m2", "end3"]

    def test_our_own_disconnect_ends_the_chat_if_the_service_never_says_so(self):
        """So long after the last item."""
        chat = connected("m1", options=plain(disconnect_timeout=60.0))
        chat.send("", "DisconnectParticipant")
        chat.answered()
        chat.passes(59.0)
        chat.says("A", "m2")
        assert chat.passes(59.0) == []
        assert chat.passes(1.0) == ["read backward, reconnect"]
        chat.page("m1", "m2")
        assert chat.gets() == ["m2", "ChatEnded inferred"]

    def test_after_our_own_disconnect_what_is_denied_ends_nothing(self):
        """Nothing is granted to us any more, but the socket goes on."""
        chat = connected("m1", options=plain(rotation_jitter=0.0, disconnect_timeout=10_000.0))
        chat.send("", "DisconnectParticipant")
        chat.answered()
        assert chat.passes(3480.0) == ["ask B rotate"]
        assert chat.refused("B", DENIED) == ["ask C rotate"]
        chat.frame("A", "{")
        assert chat.page_fails(DENIED) == []
        chat.says("A", "m2")
        assert chat.gets() == ["m2"]
        assert chat.state == "connected"

    def test_a_disconnect_that_fails_changes_nothing(self):
        chat = connected("m1")
        chat.send("", "DisconnectParticipant")
        chat.call_fails(BROKEN)
        assert chat.send("still here") == ["call SendMessage still here with token A"]

    @pytest.mark.parametrize("role", ["AGENT", "SUPERVISOR"])
    def test_a_transfer_ends_an_agents_part(self, role):
        chat = connected("m1", participant_role=role)
        assert chat.says("A", "transfer2") == ["read backward, reconnect"]
        chat.page("m1", "transfer2")
        assert chat.gets() == ["transfer2", "ChatEnded inferred"]

    @pytest.mark.parametrize("role", ["CUSTOMER", None])
    def test_a_transfer_is_an_event_like_others_for_a_customer(self, role):
        chat = connected("m1", participant_role=role)
        assert chat.says("A", "transfer2", "m3") == []
        assert chat.gets() == ["transfer2", "m3"]
        assert chat.state == "connected"

    def test_a_transfer_found_in_a_page_does_not_lose_the_pages_after_it(self):
        """The last look does not begin in the middle of another page's merge."""
        chat = connected("m1", participant_role="AGENT")
        chat.closed("A")
        replace(chat, "B")
        chat.page("m1", "transfer2", more="token")
        while chat.reads:
            chat.page("m3")
        assert chat.gets() == ["transfer2", "m3", "ChatEnded inferred"]
        assert chat.state == "ended"

    def test_a_transfer_that_waited_for_its_turn_ends_it_too(self):
        chat = connected("m1", participant_role="AGENT", options=plain(reorder_window=0.1))
        assert chat.says("A", "transfer2") == []
        assert chat.passes(0.1) == ["read backward, reconnect"]

    def test_a_transfer_behind_the_echo_gate_ends_it_too(self):
        chat = connected("m1", participant_role="AGENT")
        chat.send("hello")
        chat.says("A", "m2", "transfer3")
        assert chat.answered("own1") == ["read backward, reconnect"]

    def test_the_first_connection_that_is_refused_fails(self):
        """A bad or spent token; the error is the service's."""
        chat = started()
        chat.refused("A", DENIED)
        assert chat.state == "failed"
        assert chat.engine.error is DENIED
        assert chat.engine.reader.failure is DENIED

    def test_a_first_connection_to_a_server_that_is_not_trusted_fails(self):
        """Trying again cannot help."""
        chat = started()
        assert chat.refused("A", DISTRUSTED) == []
        assert chat.state == "failed"
        assert "could not be connected: an operation got no answer: not" in str(chat.engine.error)
        assert chat.engine.error.__cause__ is DISTRUSTED
        chat = started()
        chat.granted("A")
        assert chat.not_opened("A", spent=False, distrusted=True) == ["close A"]
        assert chat.state == "failed"
        assert chat.engine.wake_at is None

    def test_a_chat_that_was_connected_goes_on_trying_there(self):
        chat = lost()
        assert chat.refused("B", DISTRUSTED) == ["read backward, rotate"]
        assert "ask C reconnect" in chat.passes(1.0)
        resumed = Chat(options=plain(), snapshot=chat.engine.snapshot())
        resumed.start()
        resumed.refused("A", DISTRUSTED)
        assert "ask B reconnect" in resumed.passes(1.0)

    def test_a_first_connection_that_is_throttled_is_tried_again(self):
        chat = started()
        assert chat.refused("A", THROTTLED) == []
        assert chat.passes(7.0) == ["ask B connect"]

    def test_the_first_connection_is_tried_only_so_long(self):
        chat = Chat(options=plain(connect_timeout=30.0))
        chat.start()
        chat.refused("A", BROKEN)
        chat.passes(30.0)
        assert chat.state == "failed"
        assert chat.engine.error.__cause__ is BROKEN
        assert "connected within 30 s" in str(chat.engine.error)

    def test_a_broken_chat_is_reconnected_only_so_long(self):
        """A clear error at the reader and at every send; a snapshot can be taken and resumed."""
        chat = connected("m1", options=plain(give_up_after=100.0))
        chat.says("A", "m2")
        chat.send("hello")
        chat.closed("A")
        for _ in range(100):
            chat.passes(1.0)
            link = chr(ord(chat.next_link) - 1)
            chat.refused(link, BROKEN)
        assert chat.state == "failed"
        assert chat.engine.error.__cause__ is BROKEN
        assert chat.gets() == ["m2"]
        assert chat.engine.reader.failure is chat.engine.error
        assert chat.results()[0].error is chat.engine.error
        with pytest.raises(NotConnectedError) as caught:
            chat.send()
        assert caught.value.__cause__ is chat.engine.error
        assert [name for name, _ in chat.engine.snapshot().seen] == ["m1", "m2"]

    def test_a_defect_surfaces_where_the_user_waits(self):
        chat = connected("m1")
        chat.engine.crash(ZeroDivisionError("secret"), chat.now)
        assert chat.state == "failed"
        assert "ZeroDivisionError" in str(chat.engine.reader.failure)
        assert "secret" not in str(chat.engine.reader.failure)
        chat.engine.crash(ZeroDivisionError(), chat.now)
        assert chat.state == "failed"

    def test_closing_tells_the_readers(self):
        chat = connected("m1")
        chat.send("hello")
        chat.says("A", "m2")
        assert chat.close() == ["close A"]
        assert chat.gets() == []
        chat.answered("own2")
        assert isinstance(chat.engine.reader.failure, NotConnectedError)
        assert isinstance(chat.results()[0].error, NotConnectedError)


class TestResume:
    """Another process goes on from a snapshot."""

    def resumed(self, chat, **options):
        return Chat(options=plain(**options), snapshot=chat.engine.snapshot())

    def test_nothing_is_lost_and_nothing_repeated(self):
        chat = connected("m1", "m100")
        chat.says("A", "m101", "m102")
        assert chat.take(limit=1)[0].id == "m101"
        chat = self.resumed(chat)
        assert chat.start() == ["ask A reconnect"]
        chat.granted("A")
        chat.opened("A")
        assert chat.accepted("A") == ["read from m1, reconnect"]
        chat.says("A", "m103")
        chat.page("m1", "m100", "m101", "m102", "m103")
        assert chat.gets() == ["m102", "m103"]

    def test_an_anchor_that_is_refused_does_not_repeat_what_was_handled(self):
        chat = connected("m1", "m100", "m200")
        chat = self.resumed(chat)
        chat.start()
        chat.granted("A")
        chat.opened("A")
        chat.accepted("A")
        for _ in range(2):
            chat.page_fails(INVALID)
            chat.passes(0.5)
        chat.page("m1", "m100", "m200", "m201")
        assert chat.gets() == ["m201"]

    def test_who_we_are_is_known_from_the_start(self):
        chat = connected("m1", participant_id=ME, participant_role="AGENT")
        chat = self.resumed(chat)
        assert chat.engine.participant_id == ME
        assert chat.engine.contact_id == "contact-1"
        assert chat.engine.token == "token A"

    def test_a_chat_that_has_ended_meanwhile_is_read_to_its_end(self):
        """With the token of the process before, since no other is given."""
        chat = self.resumed(connected("m1"))
        chat.start()
        assert chat.refused("A", DENIED) == ["read backward, reconnect"]
        assert chat.reads[0].connection_token == "token A"
        chat.page("m1", "m2", "end3")
        assert chat.gets()[0] == "m2"
        assert chat.state == "ended"

    def test_an_ended_chat_whose_transcript_is_closed_ends_all_the_same(self):
        chat = self.resumed(connected("m1"))
        chat.start()
        chat.refused("A", DENIED)
        chat.page_fails(DENIED)
        assert chat.gets() == ["ChatEnded inferred"]


def test_frames_of_any_link_are_heard():
    """Items have no sender's address: what matters is said once, wherever it is heard."""
    chat = connected(participant_id=ME)
    chat.engine.frame_received(999, frame(raw("m1", ParticipantId=AGENT)), chat.now)
    assert chat.gets() == ["m1"]


def test_counters_are_plain_numbers():
    chat = connected("m1", "m2")
    chat.says("A", "m2", "m3")
    assert chat.engine.counters == {
        "items": 3, "duplicates": 1, "late": 0, "bad_frames": 0, "connections": 1,
        "rotations": 0, "gaps": 1, "recoveries": 1, "catchups": 0,
    }  # fmt: skip


def test_the_same_inputs_give_the_same_outputs():
    """So that a run can be replayed."""

    def run():
        chat = connected("m1", options=SessionOptions())
        chat.send("hello")
        chat.closed("A")
        chat.passes(100.0)
        chat.take()
        return chat.traces, chat.sent, chat.engine.snapshot()

    assert run() == run()


def test_items_keep_their_fields():
    """What is delivered is what was said."""
    chat = connected()
    chat.says("A", "m1")
    assert chat.take() == [item("m1")]


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"]
)
def test_a_time_that_cannot_be_reckoned_with_counts_as_missing(time):
    """It must not end a session."""
    chat = connected()
    chat.says("A", raw("m1", AbsoluteTime=time))
    chat.closed("A")
    replace(chat, "B")
    chat.page(raw("m1", AbsoluteTime=time), "m2")
    assert chat.gets() == ["m1", "m2"]
    assert chat.engine.snapshot().last_time == at(2)
