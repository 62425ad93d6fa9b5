"""Items: every kind the service pushes, from the samples, and what is wrong with some."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import connect_chat
from connect_chat import (
    AttachmentMessage,
    AuthenticationInitiated,
    ChatEnded,
    InteractiveMessage,
    InteractiveResponse,
    Item,
    Message,
    ParticipantJoined,
    Receipt,
    Typing,
    UnknownItem,
    parse_item,
)

_SAMPLES = Path(__file__).parent / "samples"
_ITEMS = {
    sample["name"]: json.loads(sample["frame"]["content"])
    for sample in map(json.loads, (_SAMPLES / "frames.jsonl").read_text().splitlines())
    if sample["frame"].get("topic") == "aws/chat"
}
_TYPES = {
    "participant joined": "ParticipantJoined",
    "message from the flow": "Message",
    "message from an agent": "Message",
    "message in markdown": "Message",
    "message from the customer": "Message",
    "message in JSON": "Message",
    "typing": "Typing",
    "delivered receipt": "Receipt",
    "read receipt": "Receipt",
    "attachment approved": "AttachmentMessage",
    "attachment in_progress": "AttachmentMessage",
    "attachment rejected": "AttachmentMessage",
    "interactive: list picker": "InteractiveMessage",
    "interactive: time picker": "InteractiveMessage",
    "interactive: panel": "InteractiveMessage",
    "interactive: quick reply": "InteractiveMessage",
    "interactive: carousel": "InteractiveMessage",
    "interactive: view": "InteractiveMessage",
    "interactive: a template nobody knows yet": "InteractiveMessage",
    "interactive answer: show more": "InteractiveResponse",
    "carousel answer": "Message",
    "streamed answer, piece 1": "Message",
    "streamed answer, piece 2": "Message",
    "streamed answer, piece 3": "Message",
    "streamed answer, complete": "Message",
    "participant.invited": "ParticipantInvited",
    "participant.idle": "ParticipantIdle",
    "participant.returned": "ParticipantReturned",
    "participant.autodisconnection": "ParticipantAutoDisconnected",
    "participant.active": "ParticipantActive",
    "participant.inactive": "ParticipantInactive",
    "participant.displayname.updated": "ParticipantDisplayNameUpdated",
    "transfer.succeeded": "TransferSucceeded",
    "transfer.failed": "TransferFailed",
    "chat.rehydrated": "ChatRehydrated",
    "workflow.cancelled": "WorkflowCancelled",
    "connection.acknowledged": "ConnectionAcknowledged",
    "authentication.initiated": "AuthenticationInitiated",
    "authentication.succeeded": "AuthenticationSucceeded",
    "authentication.failed": "AuthenticationFailed",
    "authentication.timeout": "AuthenticationTimedOut",
    "authentication.expired": "AuthenticationExpired",
    "authentication.cancelled": "AuthenticationCancelled",
    "an event nobody knows yet": "UnknownItem",
    "item of a past contact": "Message",
    "participant left": "ParticipantLeft",
    "chat ended": "ChatEnded",
}
_FIELDS = {
    "Id": "id",
    "Type": "type",
    "ContentType": "content_type",
    "Content": "content",
    "ContactId": "contact_id",
    "InitialContactId": "initial_contact_id",
    "RelatedContactId": "related_contact_id",
    "ParticipantId": "participant_id",
    "ParticipantRole": "participant_role",
    "DisplayName": "display_name",
}


def test_every_sample_has_an_expectation():
    """A kind that is added to the samples has to be thought about here."""
    assert _TYPES.keys() == _ITEMS.keys()


@pytest.mark.parametrize("name", _TYPES)
def test_every_sample_is_parsed_to_its_type(name):
    """With each of its fields in its place and the whole in ``raw``."""
    raw = _ITEMS[name]
    item = parse_item(raw)
    assert type(item) is getattr(connect_chat, _TYPES[name])
    for theirs, ours in _FIELDS.items():
        assert getattr(item, ours) == (raw.get(theirs) or None)
    assert item.absolute_time == datetime.fromisoformat(raw["AbsoluteTime"])
    assert item.raw is raw


@pytest.mark.parametrize("name", _TYPES)
def test_a_repr_shows_neither_content_nor_names(name):
    """What people say and are called stays out of logs."""
    item = parse_item({**_ITEMS[name], "Content": "c0ntent", "DisplayName": "n4me"})
    assert "c0ntent" not in repr(item)
    assert "n4me" not in repr(item)


def test_an_item_from_a_notification():
    """What message streaming delivers is the same item."""
    envelope = json.loads((_SAMPLES / "sns.json").read_text())
    item = parse_item(json.loads(envelope["Message"]))
    assert isinstance(item, Message)
    assert (item.text, item.participant_role) == ("help", "CUSTOMER")


def test_receipts_say_what_and_who():
    """A read receipt is a read one, with the time of reading; a delivered one is not."""
    delivered, read = (parse_item(_ITEMS[f"{name} receipt"]) for name in ("delivered", "read"))
    assert isinstance(delivered, Receipt)
    assert isinstance(read, Receipt)
    for receipt, status, member in (
        (delivered, "delivered", "DeliveredTimestamp"),
        (read, "read", "ReadTimestamp"),
    ):
        raw = receipt.raw["MessageMetadata"]
        (detail,) = raw["Receipts"]
        assert receipt.status == status
        assert receipt.message_id == raw["MessageId"]
        assert receipt.recipient_participant_id == detail["RecipientParticipantId"]
        assert receipt.timestamp == datetime.fromisoformat(detail[member])


def test_a_receipt_without_details():
    receipt = parse_item({"Type": "MESSAGE_METADATA"})
    assert isinstance(receipt, Receipt)
    assert (receipt.message_id, receipt.recipient_participant_id) == (None, None)
    assert (receipt.status, receipt.timestamp) == ("delivered", None)


def test_attachments():
    (attachment,) = parse_item(_ITEMS["attachment approved"]).attachments
    (raw,) = _ITEMS["attachment approved"]["Attachments"]
    assert attachment.attachment_id == raw["AttachmentId"]
    assert attachment.attachment_name == raw["AttachmentName"]
    assert (attachment.content_type, attachment.status) == (raw["ContentType"], "APPROVED")
    assert raw["AttachmentName"] not in repr(attachment)


def test_streamed_messages():
    """A piece is told from the whole, and knows its place."""
    piece = parse_item(_ITEMS["streamed answer, piece 2"])
    whole = parse_item(_ITEMS["streamed answer, complete"])
    plain = parse_item(_ITEMS["message from an agent"])
    assert isinstance(piece, Message)
    assert isinstance(whole, Message)
    assert isinstance(plain, Message)
    assert piece.message_metadata is not None
    assert piece.message_metadata.chunk_number == 2
    assert (piece.streaming, whole.streaming, plain.streaming) == (True, False, False)


def test_the_session_of_an_authentication():
    """Out of the item's JSON content; None if that names none."""
    item = parse_item(_ITEMS["authentication.initiated"])
    assert isinstance(item, AuthenticationInitiated)
    assert item.session_id == json.loads(item.content or "")["SessionId"]
    for content in (None, "", "{", "[]", "{}", '{"SessionId": 7}'):
        broken = parse_item({**item.raw, "Content": content})
        assert isinstance(broken, AuthenticationInitiated)
        assert broken.session_id is None


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("typing", False),
        ("delivered receipt", False),
        ("participant.idle", False),
        ("participant.returned", False),
        ("participant.autodisconnection", False),
        ("message from an agent", True),
        ("attachment approved", True),
        ("chat ended", True),
    ],
)
def test_what_the_transcript_keeps(kind, kept):
    assert parse_item(_ITEMS[kind]).in_transcript is kept


def test_matching():
    """Types and fields work in ``match``."""
    match parse_item(_ITEMS["message from an agent"]):
        case Message(text=text, participant_role="AGENT"):
            assert text == "Hello Ana, this is Jane."
        case _:
            pytest.fail("no match")
    match parse_item(_ITEMS["message from an agent"]):
        case Message(text):
            assert text


def test_an_empty_participant_is_nobody():
    """The service writes "" for the flow, which is no participant."""
    assert _ITEMS["message from the flow"]["ParticipantId"] == ""
    assert parse_item(_ITEMS["message from the flow"]).participant_id is None


@pytest.mark.parametrize(
    ("field", "bad", "ours", "default"),
    [
        ("AbsoluteTime", "yesterday", "absolute_time", None),
        ("AbsoluteTime", "2025-05-24T21:40:01", "absolute_time", None),
        ("Id", 7, "id", None),
        ("Content", {"a": 1}, "content", None),
        ("Attachments", "none", "attachments", ()),
        ("MessageMetadata", [1], "message_metadata", None),
        ("ParticipantRole", ["AGENT"], "participant_role", None),
        ("ContentType", 5, "content_type", None),
    ],
)
def test_a_malformed_field_costs_only_itself(field, bad, ours, default):
    raw = {**_ITEMS["message from an agent"], field: bad}
    item = parse_item(raw)
    assert isinstance(item, Message)
    assert getattr(item, ours) == default
    assert item.display_name == "Jane"
    assert item.raw[field] == bad


def test_only_the_services_spelling_counts():
    """A frame cannot set what is ours to say, such as whose message it is."""
    item = parse_item({"Type": "MESSAGE", "from_me": True, "late": True, "content": 5})
    assert (item.from_me, item.late, item.content) == (False, False, None)
    mine = parse_item({"Type": "MESSAGE"}, from_me=True, late=True)
    assert (mine.from_me, mine.late) == (True, True)


@pytest.mark.parametrize(
    "raw", [None, [], "secret", 7, {}, {"Type": None}, {"Type": 7}, {"Content": "secret"}]
)
def test_what_is_no_item_is_refused_without_quoting_it(raw):
    with pytest.raises(ValueError, match="not an Item") as caught:
        parse_item(raw)
    assert "secret" not in str(caught.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.text(),
    st.dictionaries(
        st.sampled_from([*_FIELDS, "AbsoluteTime", "Attachments", "MessageMetadata", "New"]), _JSON
    ),
)
def test_no_object_with_a_type_breaks_the_parser(type_, fields):
    """Whatever the other fields hold, it is an item."""
    assert isinstance(parse_item({**fields, "Type": type_}), Item)


def test_items_do_not_change():
    with pytest.raises(ValidationError):
        parse_item(_ITEMS["typing"]).id = "other"  # type: ignore[misc]


def test_items_compare_and_dump_without_raw():
    """Two items with the same fields are equal, whatever else came with them."""
    raw = _ITEMS["message from an agent"]
    assert parse_item(raw) == parse_item({**raw, "New": 1})
    assert "New" not in parse_item({**raw, "New": 1}).model_dump()


def test_items_made_by_hand():
    """Tests of an application can make any item."""
    item = Message(type="MESSAGE", content="hi", absolute_time=datetime(2025, 1, 1, tzinfo=UTC))
    assert item.text == "hi"
    assert item.raw == {}
    assert Message(type="MESSAGE").text == ""
    assert ChatEnded(type="EVENT", inferred=True).inferred


def test_unknown_kinds():
    """Types and events of the future are items with everything in ``raw``."""
    for raw in (
        {"Type": "HOLOGRAM", "Id": "1"},
        {"Type": "EVENT", "ContentType": "application/vnd.amazonaws.connect.event.new"},
        {"Type": "EVENT"},
    ):
        assert type(parse_item(raw)) is UnknownItem
    assert type(parse_item({"Type": "MESSAGE", "ContentType": "text/new"})) is Message
    for kind in (Typing, ParticipantJoined, AttachmentMessage, InteractiveMessage):
        assert issubclass(kind, Item)
    assert issubclass(InteractiveResponse, Message)
