"""What frames mean: every sample, and everything that is wrong with others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_chat.engine.frames import (
    HEARTBEAT,
    PING,
    SUBSCRIBE,
    BadFrame,
    HeartbeatAnswer,
    PingAnswer,
    SubscribeAnswer,
    parse_frame,
)
from connect_chat.items import Item, Message

from .harness import frame, prop, raw

SAMPLES = {
    sample["name"]: sample["frame"]
    for sample in map(
        json.loads,
        (Path(__file__).parent.parent / "samples" / "frames.jsonl").read_text().splitlines(),
    )
}
CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.txt"))
KINDS = (Item, SubscribeAnswer, HeartbeatAnswer, PingAnswer, BadFrame)


def test_what_we_send():
    """The frames of the vendor's clients, to the byte."""
    assert SUBSCRIBE == '{"topic":"aws/subscribe","content":{"topics":["aws/chat"]}}'
    assert HEARTBEAT == '{"topic":"aws/heartbeat"}'
    assert PING == '{"topic":"aws/ping"}'


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("subscribe accepted", SubscribeAnswer(True)),
        ("subscribe refused", SubscribeAnswer(False)),
        ("heartbeat", HeartbeatAnswer()),
        ("deep heartbeat ok", PingAnswer(True)),
        ("deep heartbeat failing", PingAnswer(False)),
        ("gateway refusal", BadFrame("no topic", damaged=False)),
        ("unknown topic", BadFrame("unknown topic", damaged=False)),
    ],
)
def test_answers_and_what_is_not_for_us(name, meaning):
    assert parse_frame(json.dumps(SAMPLES[name])) == meaning


@pytest.mark.parametrize(
    "name", [name for name, sample in SAMPLES.items() if sample.get("topic") == "aws/chat"]
)
def test_every_item_among_the_samples(name):
    """It has the fields of the JSON in the frame's content."""
    found = parse_frame(json.dumps(SAMPLES[name]))
    content = json.loads(SAMPLES[name]["content"])
    assert isinstance(found, Item)
    assert (found.id, found.type) == (content["Id"], content["Type"])
    assert found.raw == content


def test_an_item_that_is_an_object_rather_than_a_string():
    """A spelling that costs nothing to understand."""
    found = parse_frame(json.dumps({"topic": "aws/chat", "content": raw("m1")}))
    assert isinstance(found, Message)
    assert found.id == "m1"


def test_a_content_that_is_no_utf_8_costs_no_more_than_what_is_not():
    found = parse_frame(frame(raw("m1", Content="a~c")).encode().replace(b"~", b"\xff"))
    assert isinstance(found, Message)
    assert (found.id, found.text) == ("m1", "a\N{REPLACEMENT CHARACTER}c")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (frame(raw("m1"))[:-1], "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ('{"topic":"aws/chat"}', "not an Item"),
        ('{"topic":"aws/chat","content":"{"}', "not an Item"),
        ('{"topic":"aws/chat","content":"[]"}', "not an Item"),
        ('{"topic":"aws/chat","content":"{}"}', "not an Item"),
        ('{"topic":"aws/chat","content":"{\\"Type\\":7}"}', "not an Item"),
        ('{"topic":"aws/chat","content":[]}', "not an Item"),
    ],
)
def test_an_item_may_have_been_lost_in_it(text, why):
    """So that the transcript has to be asked."""
    assert parse_frame(text) == BadFrame(why, damaged=True)


@pytest.mark.parametrize("text", ["[]", "7", "null", '"aws/chat"', "{}", '{"topic":null}'])
def test_json_without_a_topic_is_no_loss(text):
    assert parse_frame(text) == BadFrame("no topic", damaged=False)


@pytest.mark.parametrize("topic", ["aws/novelty", "", 7, ["aws/chat"], {"a": "aws/chat"}])
def test_a_topic_nobody_knows_is_no_loss(topic):
    assert parse_frame(json.dumps({"topic": topic})) == BadFrame("unknown topic", damaged=False)


@pytest.mark.parametrize("content", [None, [], "success", {}, {"status": "SUCCESS"}])
def test_any_other_answer_to_a_subscription_is_a_refusal(content):
    text = json.dumps({"topic": "aws/subscribe", "content": content})
    assert parse_frame(text) == SubscribeAnswer(False)


@pytest.mark.parametrize("code", [None, "200", 500, 200.5, [200], True])
def test_any_other_answer_to_a_ping_is_ill(code):
    text = json.dumps({"topic": "aws/ping", "statusCode": code})
    assert parse_frame(text) == PingAnswer(False)


def test_the_corpus_covers_what_can_be_wrong():
    assert {path.stem for path in CORPUS} == {
        "bad_text", "deep", "numbers", "samples", "truncated", "types",
    }  # fmt: skip


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_of_frames(path):
    """One frame a line; none raises, and the value of a bad one quotes nothing."""
    lines = path.read_bytes().split(b"\n")
    assert len(lines) > 10
    for line in lines:
        for text in (line, line.decode("utf-8", "surrogateescape")):
            found = parse_frame(text)
            assert isinstance(found, KINDS)
            if isinstance(found, BadFrame):
                assert found.why in ("not JSON", "no topic", "unknown topic", "not an Item")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "Id", "Type", "ContentType", "Content", "AbsoluteTime", "ParticipantId", "Attachments",
        "ParticipantRole", "DisplayName", "ContactId", "RelatedContactId", "MessageMetadata",
    ]
)  # fmt: skip
ITEMS = st.dictionaries(FIELDS, JSON).map(lambda fields: {"Type": "MESSAGE"} | fields)


@prop
@given(st.text() | st.text(st.characters(codec=None)) | st.binary())
def test_any_text_means_something(text):
    assert isinstance(parse_frame(text), KINDS)


@prop
@given(JSON, JSON)
def test_any_json_means_something(content, other):
    topics = [None, "aws/chat", "aws/subscribe", "aws/ping", "aws/heartbeat", other]
    for topic in topics:
        text = json.dumps({"topic": topic, "content": content, "statusCode": other})
        assert isinstance(parse_frame(text), KINDS)


@prop
@given(ITEMS)
def test_an_item_with_any_fields_means_something(fields):
    """Malformed fields count as missing; only a malformed Type makes it no item."""
    found = parse_frame(frame(fields))
    if isinstance(fields["Type"], str):
        assert isinstance(found, Item)
        assert found.type == fields["Type"]
    else:
        assert found == BadFrame("not an Item", damaged=True)


@prop
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_a_sample_with_a_byte_changed_means_something(name, data):
    text = bytearray(json.dumps(SAMPLES[name]).encode())
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(parse_frame(bytes(text)), KINDS)
