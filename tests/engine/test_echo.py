"""Our own items, told from others', also before anybody told us who we are."""

from __future__ import annotations

import pytest

from connect_chat.engine.commands import Outgoing
from connect_chat.engine.echo import EchoGate
from connect_chat.items import ReceiptDetail

from .harness import AGENT, ME, item, names


class Rig:
    """A gate, and what is being said."""

    def __init__(self, participant_id=None, role=None):
        self.said = None
        self.gate = EchoGate(lambda: self.said, participant_id, role)

    def say(self, content):
        self.said = Outgoing("SendMessage", content)

    def answered(self, *ids):
        self.said = None
        for id_ in ids:
            self.gate.sent(id_)

    def let_through(self, *items):
        return names(
            self.gate.let_through([item(one) if isinstance(one, str) else one for one in items])
        )


def test_with_a_participant_id_nothing_waits():
    rig = Rig(ME)
    rig.say("hello")
    assert rig.let_through("own1", "m2") == ["own1", "m2"]
    assert rig.gate.is_mine(item("own1"))
    assert not rig.gate.is_mine(item("m2"))


def test_while_nothing_is_being_said_nothing_waits():
    assert Rig().let_through("m1", "own2") == ["m1", "own2"]


def test_what_may_be_an_echo_waits_and_what_follows_keeps_its_place():
    rig = Rig()
    rig.say("hello")
    assert rig.let_through("typing1", "m2", "joined3") == ["typing1"]
    assert rig.let_through("m4") == []
    assert names(rig.gate.waiting) == ["m2", "joined3", "m4"]


def test_the_answer_to_the_send_settles_it():
    """Its Id tells the echo, and the echo tells who we are."""
    rig = Rig()
    rig.say("hello")
    rig.let_through("m1", "own2", "m3")
    rig.answered("own2")
    assert names(rig.gate.settle()) == ["m1", "own2", "m3"]
    assert rig.gate.is_mine(item("own2"))
    assert not rig.gate.is_mine(item("m1"))
    assert (rig.gate.participant_id, rig.gate.participant_role) == (ME, "CUSTOMER")


def test_once_it_is_known_who_we_are_nothing_waits_again():
    rig = Rig()
    rig.say("hello")
    rig.let_through("own1")
    rig.answered("own1")
    rig.gate.settle()
    rig.say("more")
    assert rig.let_through("m2", "own3") == ["m2", "own3"]


def test_what_was_learnt_is_not_overwritten():
    rig = Rig(role="AGENT")
    rig.answered("own1")
    assert rig.gate.is_mine(item("own1", ParticipantRole="CUSTOMER"))
    assert rig.gate.participant_role == "AGENT"


@pytest.mark.parametrize(
    "one", [item("typing1"), item("m1", ParticipantRole="SYSTEM"), item("joined1")]
)
def test_what_cannot_be_an_echo_does_not_wait(one):
    rig = Rig()
    rig.say("hello")
    assert rig.let_through(one) == names([one])


def test_after_a_while_all_goes_but_what_says_the_same():
    """Others must not wait for an answer that may take a minute."""
    rig = Rig()
    rig.say("hello")
    rig.let_through("m1", item("m2", Content="hello"), "m3")
    assert names(rig.gate.give_up_waiting()) == ["m1", "m3"]
    assert names(rig.gate.waiting) == ["m2"]


def test_after_a_while_all_goes_if_nothing_is_being_said_any_more():
    rig = Rig()
    rig.say("hello")
    rig.let_through("m1")
    rig.said = None
    assert names(rig.gate.give_up_waiting()) == ["m1"]


def test_at_the_end_all_goes():
    rig = Rig()
    rig.say("hello")
    rig.let_through("m1", "m2")
    assert names(rig.gate.open()) == ["m1", "m2"]
    assert rig.gate.waiting == []


def test_our_receipts_are_ours_whoever_they_seem_to_come_from():
    """The service names the recipient, who gave the receipt, in the details."""
    given = item(
        "m1",
        Type="MESSAGEMETADATA",
        ParticipantId=AGENT,
        MessageMetadata={"Receipts": [{"RecipientParticipantId": ME}]},
    )
    assert given.message_metadata.receipts == (ReceiptDetail(recipient_participant_id=ME),)
    assert Rig(ME).gate.is_mine(given)
    assert not Rig("somebody else").gate.is_mine(given)


def test_a_file_is_told_by_the_id_that_its_upload_was_given():
    rig = Rig()
    rig.gate.sent("attachment-1")
    file = item("own1", Type="ATTACHMENT", Attachments=[{"AttachmentId": "attachment-1"}])
    assert rig.gate.is_mine(file)


def test_so_many_ids_are_remembered_and_no_more():
    """The newest 256: by then an echo has told who we are."""
    rig = Rig()
    for number in range(300):
        rig.gate.sent(f"id-{number}")
    assert not rig.gate.is_mine(item("m1", Id="id-43"))
    assert rig.gate.is_mine(item("m1", Id="id-44"))
