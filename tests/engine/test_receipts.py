"""Which receipts we send, and when; what others' receipts say; who is typing."""

from __future__ import annotations

import pytest

from connect_chat.engine.commands import SendReceipt
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.presence import Presence
from connect_chat.engine.receipts import Receipts, deserves_receipt
from connect_chat.engine.sent import SentMessages
from connect_chat.engine.timers import Timers
from connect_chat.errors import ConflictException

from .harness import AGENT, ME, connected, item, names, raw


def receipt(message, status="read", by=AGENT):
    stamp = "ReadTimestamp" if status == "read" else "DeliveredTimestamp"
    details = {stamp: "2026-01-01T12:00:00Z", "RecipientParticipantId": by}
    return {
        "Type": "MESSAGEMETADATA",
        "ContentType": "application/vnd.amazonaws.connect.event.message.metadata",
        "MessageMetadata": {"MessageId": message, "Receipts": [details]},
    }


class Rig:
    """Receipts, and those that went out."""

    def __init__(self):
        self.timers = Timers()
        self.emitted = []
        options = SessionOptions(receipt_hold=0.3, receipt_interval=5.0)
        numbers = iter(range(1, 1000)).__next__
        self.receipts = Receipts(options, self.timers, self.emitted.append, numbers)

    def mark(self, kind, name, now=0.0):
        self.receipts.mark(kind, item(name), now)
        return self.sent()

    def wake(self, until):
        sent = []
        while (now := self.timers.next) is not None and now <= until:
            for kind in self.timers.due(now):
                self.receipts.wake(kind, now)
            sent += [(now, one) for one in self.sent()]
        return sent

    def sent(self):
        sent = [f"{x.kind} {x.message_id}" for x in self.emitted if isinstance(x, SendReceipt)]
        self.emitted.clear()
        return sent


class TestOurs:
    """A read receipt goes out at once, a delivered one after a moment; few of each."""

    def test_read_goes_out_at_once(self):
        assert Rig().mark("read", "m1") == ["read m1"]

    def test_delivered_is_held_for_a_moment(self):
        rig = Rig()
        assert rig.mark("delivered", "m1") == []
        assert rig.wake(1.0) == [(0.3, "delivered m1")]

    def test_and_not_sent_if_the_message_is_read_meanwhile(self):
        rig = Rig()
        rig.mark("delivered", "m1")
        assert rig.mark("read", "m1", 0.1) == ["read m1"]
        assert rig.wake(10.0) == []

    def test_a_newer_message_is_still_only_delivered(self):
        rig = Rig()
        rig.mark("delivered", "m2")
        rig.mark("read", "m1", 0.1)
        assert rig.wake(10.0) == [(0.3, "delivered m2")]

    def test_one_of_a_kind_per_interval_for_the_newest(self):
        rig = Rig()
        assert rig.mark("read", "m1", 0.0) == ["read m1"]
        assert rig.mark("read", "m2", 1.0) == rig.mark("read", "m3", 2.0) == []
        assert rig.wake(10.0) == [(5.0, "read m3")]

    def test_nothing_is_said_twice_or_for_an_older_message(self):
        rig = Rig()
        rig.mark("read", "m2")
        for kind in ("read", "delivered"):
            for name in ("m2", "m1"):
                assert rig.mark(kind, name, 100.0) == []
        assert rig.wake(1000.0) == []

    @pytest.mark.parametrize("missing", ["Id", "AbsoluteTime"])
    def test_what_cannot_be_named_gets_none(self, missing):
        rig = Rig()
        rig.receipts.mark("read", item("m1", **{missing: None}), 0.0)
        assert rig.sent() == []

    def test_once_switched_off_none_goes_out(self):
        rig = Rig()
        rig.mark("delivered", "m1")
        rig.receipts.switch_off("why")
        rig.receipts.switch_off("why again")
        assert len(rig.emitted) == 1
        assert rig.mark("read", "m2") == []
        assert rig.timers.next is None

    @pytest.mark.parametrize(
        ("one", "deserves"),
        [
            (item("m1"), True),
            (item("m1", Type="ATTACHMENT"), True),
            (item("m1", ParticipantRole="SYSTEM"), False),
            (item("m1", ParticipantRole=None), False),
            (item("typing1"), False),
            (item("m1").model_copy(update={"from_me": True}), False),
        ],
    )
    def test_who_gets_one(self, one, deserves):
        assert deserves_receipt(one) is deserves


class TestInASession:
    """By hand, or by themselves."""

    def told(self, chat):
        found = [x for x in chat.engine.take_commands() if isinstance(x, SendReceipt)]
        return [f"{x.kind} {x.message_id}" for x in found]

    def test_by_hand(self):
        chat = connected(participant_id=ME)
        chat.engine.mark("read", item("m1"), chat.now)
        chat.engine.mark("read", item("own2"), chat.now)
        assert self.told(chat) == ["read m1"]

    def test_by_themselves(self):
        """Delivered when it arrives, read when the application has it."""
        chat = connected(auto_receipts=True)
        chat.says("A", "m1", "typing2")
        chat.now += 0.3
        chat.engine.wake(chat.now)
        assert self.told(chat) == ["delivered m1"]
        chat.engine.handed_out(item("m1"), chat.now)
        chat.engine.handed_out(item("typing2"), chat.now)
        assert self.told(chat) == ["read m1"]

    def test_a_supervisor_that_barged_in_switches_them_off(self):
        chat = connected()
        conflict = ConflictException(status_code=409, code="ConflictException", operation="-")
        chat.engine.receipt_failed(ValueError(), chat.now)
        assert chat.engine.receipts.on
        chat.engine.receipt_failed(conflict, chat.now)
        assert not chat.engine.receipts.on

    def test_those_of_others_are_delivered_and_ours_are_not(self):
        chat = connected(participant_id=ME)
        chat.says("A", raw("m1", **receipt("own0")), raw("m2", **receipt("m0", by=ME)))
        assert [one.id for one in chat.take()] == ["m1"]


class TestOthers:
    """What has become of our messages."""

    def sent(self, *said):
        messages = SentMessages()
        for name in said:
            messages.add(name)
        return messages

    def test_a_receipt_stands_for_the_messages_before_it(self):
        messages = self.sent("own1", "own2", "own3")
        messages.take(item("m4", **receipt("own2")))
        assert [messages.status(f"own{n}") for n in (1, 2, 3)] == ["read", "read", "sent"]

    def test_what_was_read_stays_read(self):
        messages = self.sent("own1")
        messages.take(item("m4", **receipt("own1", "read")))
        messages.take(item("m5", **receipt("own1", "delivered")))
        assert messages.status("own1") == "read"

    def test_a_receipt_for_a_message_that_is_not_ours_says_nothing(self):
        messages = self.sent("own1")
        messages.take(item("m4", **receipt("m0")))
        assert messages.status("own1") == "sent"

    def test_so_many_are_remembered_and_no_more(self):
        messages = self.sent(*(f"own{number}" for number in range(257)))
        assert messages.status("own0") is None
        assert messages.status("own1") == "sent"

    def test_how_far_a_status_goes(self):
        reached = SentMessages.reached
        assert reached("read", "delivered")
        assert reached("delivered", "delivered")
        assert not reached("sent", "delivered")
        assert not reached(None, "sent")

    def test_a_session_keeps_count(self):
        chat = connected()
        chat.send()
        chat.answered("own1")
        chat.says("A", raw("m2", **receipt("own1", "delivered")))
        assert chat.engine.sent.status("own1") == "delivered"


class TestTyping:
    """Who is typing."""

    def typing(self, *events, now):
        presence = Presence(SessionOptions(typing_lasts=12.0))
        for moment, one in events:
            presence.see(one, moment)
        return names(presence.typing(now))

    def test_it_lasts_for_a_while(self):
        assert self.typing((0.0, item("typing1")), now=11.9) == ["typing1"]
        assert self.typing((0.0, item("typing1")), now=12.0) == []

    def test_each_is_counted_by_their_latest(self):
        other = item("typing2", ParticipantId="other")
        events = ((0.0, item("typing1")), (5.0, other), (6.0, item("typing3")))
        assert self.typing(*events, now=7.0) == ["typing3", "typing2"]

    @pytest.mark.parametrize("ends", ["m2", "left2"])
    def test_saying_something_or_leaving_ends_it(self, ends):
        assert self.typing((0.0, item("typing1")), (1.0, item(ends)), now=2.0) == []

    def test_nobody_cannot_type(self):
        assert self.typing((0.0, item("typing1", ParticipantId=None)), now=1.0) == []

    def test_a_session_notices_others_only(self):
        chat = connected(participant_id=ME)
        chat.says("A", "typing1", raw("typing2", ParticipantId=ME))
        assert names(chat.engine.presence.typing(chat.now)) == ["typing1"]
