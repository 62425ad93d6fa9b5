"""Items straight from JSON: the same ones that the objects give."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from connect_chat import item_json, parse_item
from connect_chat.item_json import COMMON, parse_item_json

_SAMPLES = Path(__file__).parent / "samples" / "frames.jsonl"
_ITEMS = [
    sample["frame"]["content"]
    for sample in map(json.loads, _SAMPLES.read_text(encoding="utf-8").splitlines())
    if sample["frame"].get("topic") == "aws/chat"
]
_TAGS = [
    (type_, content_type)
    for type_, kinds in COMMON.items()
    for content_type in (kinds if isinstance(kinds, dict) else ("", "text/plain"))
]
_KEYS = sorted({key for text in _ITEMS for key in json.loads(text)})
_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["", "EVENT", "MESSAGE", "2025-05-24T21:40:01.137Z", "\ud83d", [], {}, [{}]])
)  # fmt: skip


def outcome(parse, *arguments):
    """Return what came of parsing: type, fields and object, or that it was refused."""
    try:
        item = parse(*arguments)
    except ValueError:
        return ValueError
    return type(item), repr(item.model_dump()), repr(item.raw)


def both(text):
    return outcome(parse_item_json, text), outcome(lambda: parse_item(from_json(text)))


@pytest.mark.parametrize("text", _ITEMS)
def test_a_sample_is_the_same(text):
    straight, by_object = both(text)
    assert straight == by_object


@given(
    st.sampled_from(_ITEMS),
    st.dictionaries(st.sampled_from(_KEYS), _VALUES, min_size=1, max_size=3),
    st.sampled_from(["", "ContentType", "Content", "AbsoluteTime", "MessageMetadata"]),
)
def test_what_is_malformed_is_the_same(text, changes, missing):
    changed = json.loads(text) | changes
    changed.pop(missing, None)
    straight, by_object = both(json.dumps(changed))
    assert straight == by_object


@given(
    st.sampled_from(_ITEMS), st.integers(0, 600), st.sampled_from(["", '"', "}", "\\ud83d", ","])
)
def test_what_is_broken_is_the_same(text, place, piece):
    straight, by_object = both(text[:place] + piece + text[place + 1 :])
    assert straight == by_object


@pytest.mark.parametrize("text", ["", "{", "7", "[]", "{}", "null", '{"Type":7}', '{"Type":null}'])
def test_what_is_no_item_is_refused(text):
    with pytest.raises(ValueError, match=r"\S"):
        parse_item_json(text)


@pytest.mark.parametrize(("type_", "content_type"), _TAGS)
def test_common_kinds_take_the_short_way(type_, content_type, monkeypatch):
    """Without an object in between, which `parse_item` would need."""
    raw = {"Type": type_, "ContentType": content_type, "Id": "1", "ParticipantId": ""}
    expected = outcome(parse_item, raw)
    monkeypatch.delattr(item_json, "parse_item")
    assert outcome(parse_item_json, json.dumps(raw)) == expected


def test_the_object_is_made_once():
    item = parse_item_json(_ITEMS[0])
    assert item.raw == json.loads(_ITEMS[0])
    assert item.raw is item.raw


def test_it_can_be_copied_and_sent_elsewhere():
    item = parse_item_json(_ITEMS[0])
    for copy in (item.model_copy(update={"late": True}), pickle.loads(pickle.dumps(item))):
        assert copy.raw == item.raw
        assert copy.id == item.id
