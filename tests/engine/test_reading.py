"""One pass over the transcript."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_chat.engine.commands import Position
from connect_chat.engine.reading import Reading

from .harness import at, item, names, prop
from .transcript import Refused, Transcript


def position(second):
    return Position(f"m{second}", at(second))


def chat(seconds):
    return [item(f"m{second}") for second in seconds]


def read(reading, transcript, most=200):
    """Read to the end; return everything that was given for merging."""
    found = []
    for _ in range(most):
        try:
            page = transcript.get(reading.query)
        except Refused:
            assert reading.rejected()
            continue
        found += reading.page(*page)
        if reading.done:
            return found
    raise AssertionError("the pass does not end")


def test_from_an_anchor_forward_to_the_end():
    reading = Reading(position(5), overlap=30.0)
    assert reading.query == {
        "scan_direction": "FORWARD",
        "sort_order": "ASCENDING",
        "start_position": {"Id": "m5"},
        "max_results": 100,
    }
    assert names(reading.page(chat([5, 6]), "token")) == ["m5", "m6"]
    assert not reading.done
    assert reading.query["next_token"] == "token"
    assert names(reading.page(chat([7]), None)) == ["m7"]
    assert reading.done


def test_without_an_anchor_backward_to_the_beginning():
    """Nothing is given before the walk has arrived there: it goes newest first."""
    reading = Reading(None, overlap=30.0)
    assert reading.query == {
        "scan_direction": "BACKWARD", "sort_order": "ASCENDING", "max_results": 100,
    }  # fmt: skip
    assert reading.page(chat([3, 4]), "token") == ()
    assert reading.query["next_token"] == "token"
    assert names(reading.page(chat([1, 2]), None)) == ["m1", "m2", "m3", "m4"]
    assert reading.done


def test_an_id_that_is_refused_falls_back_to_the_time_then_to_the_end():
    """By AbsoluteTime less the overlap; then BACKWARD; then there is nothing left."""
    reading = Reading(Position("m5", at(75.1239)), overlap=30.0)
    assert reading.rejected()
    assert reading.query["start_position"] == {"AbsoluteTime": "2026-01-01T12:00:45.123Z"}
    assert reading.rejected()
    assert reading.query["scan_direction"] == "BACKWARD"
    assert "start_position" not in reading.query
    assert not reading.rejected()


def test_a_token_that_is_refused_begins_the_same_way_again():
    reading = Reading(position(5), overlap=30.0)
    reading.page(chat([5]), "token")
    assert reading.rejected()
    assert reading.query["start_position"] == {"Id": "m5"}
    assert "next_token" not in reading.query


def test_a_backward_walk_whose_token_is_refused_gives_nothing_twice():
    reading = Reading(None, overlap=30.0)
    reading.page(chat([3, 4]), "token")
    assert reading.rejected()
    reading.page(chat([3, 4]), "token")
    assert names(reading.page(chat([1, 2]), None)) == ["m1", "m2", "m3", "m4"]


def test_a_backward_walk_from_an_anchor_stops_before_its_time():
    """Less the overlap: what lagged stands there."""
    reading = Reading(position(50), overlap=10.0)
    reading.rejected()
    reading.rejected()
    assert reading.page(chat([41, 60]), "token") == ()
    assert names(reading.page(chat([39, 40]), "token")) == ["m40", "m41", "m60"]
    assert reading.done


def test_past_contacts_are_not_part_of_the_chat():
    """Where they begin, a backward walk ends; a forward read leaves them out."""
    past = item("m1", RelatedContactId="contact-0")
    reading = Reading(None, overlap=30.0)
    assert names(reading.page([past, *chat([2])], "token")) == ["m2"]
    assert reading.done
    reading = Reading(position(1), overlap=30.0)
    assert names(reading.page([past, *chat([2])], None)) == ["m2"]


def test_a_forward_read_whose_token_is_refused_goes_on_from_where_it_was():
    """Were it to begin again, one whose tokens expire in its middle would never end."""
    reading = Reading(position(5), overlap=30.0)
    reading.rejected()
    reading.page(chat([5, 6]), "token")
    assert reading.rejected()
    assert reading.query["start_position"] == {"AbsoluteTime": "2026-01-01T12:00:06.000Z"}
    assert names(reading.page(chat([6, 7]), None)) == ["m6", "m7"]


def test_of_a_long_transcript_the_oldest_items_are_kept_and_the_rest_is_read_forward():
    """In order, in bounded memory."""
    transcript = Transcript(chat(range(2500)))
    found = read(Reading(None, overlap=30.0), transcript)
    assert names(found) == [f"m{second}" for second in (*range(1000), *range(999, 2500))]
    assert transcript.reads == 25 + 16


@pytest.mark.parametrize("lost_tokens", [0, 7])
def test_a_long_transcript_without_positions_is_walked_several_times(lost_tokens):
    """Each item once, in order, in bounded memory: each walk is 1,000 items shorter."""
    transcript = Transcript(chat(range(5200)))
    transcript.ids = transcript.times = False
    transcript.lost_tokens = lost_tokens
    reading = Reading(None, overlap=30.0)
    found = read(reading, transcript, most=300)
    assert names(found) == [f"m{second}" for second in range(5200)]
    assert transcript.reads == 52 + 43 + 33 + 23 + 13 + 3 + lost_tokens


def test_a_walk_goes_on_in_the_midst_of_items_that_have_the_same_time():
    at_once = [item(f"m900{chr(97 + i % 26)}{chr(97 + i // 26)}") for i in range(500)]
    transcript = Transcript([*chat(range(800)), *at_once, *chat(range(901, 1201))])
    transcript.ids = transcript.times = False
    found = read(Reading(None, overlap=30.0), transcript)
    assert names(found) == names(transcript.items)


def test_a_long_transcript_without_ids_or_times_ends_with_what_is_kept():
    """There is no place from which it could go on."""
    transcript = Transcript([item("m1", Id=None, AbsoluteTime=None) for _ in range(1200)])
    assert len(read(Reading(None, overlap=30.0), transcript)) == 1000


def test_what_is_verified_is_the_newest_item_less_the_overlap():
    """What the transcript lagged with was said after that."""
    reading = Reading(position(1), overlap=30.0)
    reading.page(chat([1, 10, 20, 40, 50]), None)
    assert reading.verified(0.0, None) == position(20)


def test_a_read_that_takes_long_verifies_less():
    """What lagged when its place was read may have been said that much longer ago."""
    reading = Reading(position(1), overlap=30.0)
    reading.page(chat([1, 10, 20]), "token")
    reading.page(chat([40, 50]), None)
    assert reading.verified(9.0, None) == position(10)
    assert reading.verified(11.0, None) == position(1)


def test_nothing_is_verified_from_a_streamed_message_on_that_is_not_whole_yet():
    """It will stand where it began."""
    reading = Reading(position(1), overlap=30.0)
    reading.page(chat([1, 10, 20, 40, 90]), None)
    assert reading.verified(0.0, at(20)) == position(10)
    assert reading.verified(0.0, at(21)) == position(20)
    assert reading.verified(0.0, at(80)) == position(40)


def test_nothing_is_verified_within_the_overlap_or_without_items():
    reading = Reading(position(1), overlap=30.0)
    assert reading.verified(0.0, None) is None
    reading.page([*chat([1, 10]), item("m99", Id=None), item("m99", AbsoluteTime=None)], None)
    assert reading.verified(0.0, None) is None
    assert list(reading.shown) == ["m1", "m10"]


def test_from_a_time_for_who_may_lack_others_of_the_same_time():
    """By the time from the first try on, and without an overlap."""
    reading = Reading.from_time(position(50))
    assert reading.query["start_position"] == {"AbsoluteTime": "2026-01-01T12:00:50.000Z"}
    assert Reading.from_time(None).query["scan_direction"] == "BACKWARD"


@prop
@given(st.data())
def test_a_pass_gives_exactly_what_lies_from_its_anchor_on(data):
    """For any page size, anchor, way and number of tokens that expire: at least from the anchor
    on, at most from the overlap before it or the page that this falls on, in order, once."""
    count = data.draw(st.integers(0, 60))
    seconds = sorted(data.draw(st.lists(st.integers(0, 99), min_size=count, max_size=count)))
    said = [
        item(f"m{second}{chr(97 + i % 26)}{chr(97 + i // 26)}") for i, second in enumerate(seconds)
    ]
    transcript = Transcript(said, page=data.draw(st.integers(1, 20)))
    transcript.ids, transcript.times = data.draw(st.booleans()), data.draw(st.booleans())
    transcript.lost_tokens = data.draw(st.integers(0, 3))
    anchor = data.draw(st.sampled_from([None, *said]))
    overlap = data.draw(st.sampled_from([0.0, 10.0]))
    start = 0 if anchor is None else said.index(anchor)
    place = anchor and Position(anchor.id, anchor.absolute_time)
    found = read(Reading(place, overlap), transcript)
    unique = list(dict.fromkeys(names(found)))
    begun = len(said) - len(unique)
    assert unique == names(said[begun:])
    assert begun <= start
    if transcript.ids and anchor is not None:
        assert begun == start
    elif transcript.times and anchor is not None:
        assert begun == sum(
            one.absolute_time < place.absolute_time - _delta(overlap) for one in said
        )
    if transcript.lost_tokens == 0 and not transcript.ids:
        assert set(unique) >= set(names(said[start:]))


@prop
@given(st.data())
def test_what_is_verified_holds_whatever_lags(data):
    """No item that the pass did not show, and that was said before it, lies before that place."""
    overlap = 30
    seconds = sorted(data.draw(st.sets(st.integers(0, 300), min_size=1)))
    now = seconds[-1]
    shown = [s for s in seconds if now - s > overlap or data.draw(st.booleans())]
    reading = Reading(position(0), overlap)
    reading.page(chat(shown), None)
    if reading.verified(0.0, None) is not None:
        missing = set(seconds) - set(shown)
        assert all(at(second) > reading.verified(0.0, None).absolute_time for second in missing)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_start_item_is_included(size):
    """As the service documents; what is known already is for the inbox to drop."""
    found = read(Reading(position(3), 0.0), Transcript(chat(range(10)), page=size))
    assert names(found) == [f"m{second}" for second in range(3, 10)]


def _delta(seconds):
    return at(seconds) - at(0)
