"""Messages that arrive in pieces."""

from __future__ import annotations

import pytest

from connect_chat.engine.options import SessionOptions
from connect_chat.engine.streams import Streams
from connect_chat.engine.timers import Timers

from .harness import at, connected, item, raw, replace


def piece(number, text, name="m1"):
    return item(name, **fields(number, text))


def fields(number, text, *, completed=False):
    metadata = {"ChunkNumber": number, "MessageCompleted": completed}
    return {"Content": text, "ParticipantRole": "SYSTEM", "MessageMetadata": metadata}


class Rig:
    """Streams, and what has grown of each."""

    def __init__(self):
        self.timers = Timers()
        self.streams = Streams(SessionOptions(stream_wait=30.0), self.timers)

    def come(self, *pieces, now=0.0):
        updates = [self.streams.piece(piece(*one), now) for one in pieces]
        return [update and update.text for update in updates]


def test_pieces_in_order_grow():
    assert Rig().come((1, "a"), (2, "b"), (3, "c")) == ["a", "ab", "abc"]


def test_an_update_tells_what_is_new():
    update = Rig().streams.piece(piece(1, "a"), 0.0)
    assert (update.id, update.piece, update.absolute_time) == ("m1", "a", item("m1").absolute_time)


def test_a_piece_that_comes_again_is_dropped():
    assert Rig().come((1, "a"), (1, "a"), (2, "b")) == ["a", None, "ab"]


def test_after_a_missing_piece_nothing_grows():
    """The whole repairs it."""
    assert Rig().come((1, "a"), (3, "c"), (2, "b"), (4, "d")) == ["a", None, None, None]


def test_a_stream_whose_beginning_was_missed_does_not_grow():
    assert Rig().come((2, "b"), (3, "c")) == [None, None]


def test_pieces_without_an_id_are_of_no_use():
    rig = Rig()
    assert rig.streams.piece(item("m1", Id=None, **fields(1, "a")), 0.0) is None


def test_streams_do_not_mix():
    assert Rig().come((1, "a"), (1, "x", "m2"), (2, "b"), (2, "y", "m2")) == ["a", "x", "ab", "xy"]


def test_a_whole_that_does_not_come_is_looked_for_then_given_up():
    """Once, after half the wait; then what there is goes out, marked as incomplete."""
    rig = Rig()
    rig.come((1, "a"), (2, "b"))
    looks, broken = [], []
    while (now := rig.timers.next) is not None:
        list(rig.timers.due(now))
        look, off = rig.streams.wake(now)
        looks += [now] if look else []
        broken += [(now, one.id, one.text, one.incomplete) for one in off]
    assert looks == [15.0]
    assert broken == [(30.0, "m1", "ab", True)]


def test_a_stream_that_goes_on_is_not_given_up():
    rig = Rig()
    for now in range(0, 100, 10):
        rig.come((now // 10 + 1, "a"), now=float(now))
        assert rig.streams.wake(float(now)) == (False, [])


def test_a_whole_that_came_is_not_looked_for():
    rig = Rig()
    rig.come((1, "a"))
    rig.streams.completed(item("m1"))
    assert rig.streams.wake(100.0) == (False, [])
    assert rig.streams.break_off() == []


def test_at_the_end_what_there_is_goes_out():
    rig = Rig()
    rig.come((1, "a"), (1, "x", "m2"))
    assert [one.text for one in rig.streams.break_off()] == ["a", "x"]
    assert rig.streams.break_off() == []


def test_since_when_the_first_that_is_open_has_been():
    rig = Rig()
    assert rig.streams.since is None
    rig.come((1, "a", "m7"), (1, "a", "m3"))
    assert rig.streams.since == at(3)
    rig.streams.completed(item("m3"))
    assert rig.streams.since == at(7)


def test_so_many_at_once_and_no_more():
    """The oldest makes room, with what there is of it; its further pieces do not count."""
    rig = Rig()
    for number in range(32):
        assert rig.streams.make_room(piece(1, "a", f"m{number}")) == []
        rig.come((1, "a", f"m{number}"))
    assert rig.streams.make_room(piece(2, "b", "m0")) == []
    assert rig.streams.make_room(item("m1", Id=None, **fields(1, "a"))) == []
    rig.come((2, "b", "m0"))
    (given_up,) = rig.streams.make_room(piece(1, "a", "m32"))
    assert (given_up.id, given_up.text, given_up.incomplete) == ("m0", "ab", True)
    rig.come((1, "a", "m32"))
    assert rig.streams.make_room(piece(3, "c", "m0")) == []
    assert rig.come((3, "c", "m0")) == [None]
    assert [one.id for one in rig.streams.break_off()] == [f"m{number}" for number in range(1, 33)]


def test_what_was_given_up_is_remembered_within_bounds():
    rig = Rig()
    for number in range(1000):
        rig.streams.make_room(piece(1, "a", f"m{number}"))
        rig.come((1, "a", f"m{number}"))
    assert len(rig.streams._given_up) == 256


class TestInASession:
    """What readers get of it."""

    def test_the_whole_only(self):
        chat = connected()
        chat.says("A", raw("m1", **fields(1, "a")), raw("m1", **fields(2, "ab", completed=True)))
        assert [one.text for one in chat.take()] == ["ab"]

    def test_updates_if_wanted(self):
        chat = connected(updates=True)
        chat.says("A", raw("m1", **fields(1, "a")), raw("m1", **fields(2, "ab", completed=True)))
        assert [(type(one).__name__, one.text) for one in chat.take()] == [
            ("MessageUpdate", "a"), ("Message", "ab"),
        ]  # fmt: skip

    def test_a_piece_behind_its_whole_is_dropped(self):
        chat = connected(updates=True)
        chat.says("A", raw("m1", **fields(2, "ab", completed=True)), raw("m1", **fields(1, "a")))
        assert [one.text for one in chat.take()] == ["ab"]
        assert chat.passes(100.0) == []

    def test_a_whole_from_the_transcript_completes_it(self):
        """No incomplete message follows."""
        chat = connected()
        chat.says("A", raw("m1", **fields(1, "a")))
        chat.closed("A")
        chat.granted("B")
        chat.opened("B")
        chat.accepted("B")
        chat.page(raw("m1", Content="ab"))
        chat.passes(100.0)
        assert [one.text for one in chat.take()] == ["ab"]

    def test_a_whole_that_takes_long_is_looked_for_where_it_began(self):
        """However long ago that is, as long as pieces come."""
        chat = connected("m1")
        for number in range(8):
            chat.says("A", raw("m100", **fields(number + 1, "a")), f"m{101 + 10 * number}")
            chat.passes(9.0)
        chat.closed("A")
        replace(chat, "B")
        chat.page("m1", "m99", *(f"m{101 + 10 * number}" for number in range(8)))
        assert chat.closed("B") == ["close B"]
        chat.passes(1.0)
        assert replace(chat, "C") == ["read from m99, reconnect"]
        chat.page("m99", raw("m100", Content="whole"), *(f"m{101 + 10 * n}" for n in range(8)))
        assert [one.text for one in chat.take() if one.id == "m100"] == ["whole"]

    def test_a_whole_that_is_nowhere_goes_out_incomplete(self):
        chat = connected()
        chat.says("A", raw("m1", **fields(1, "a")))
        assert chat.passes(15.0) == ["read backward, history"]
        chat.page()
        chat.passes(15.0)
        assert [(one.text, one.incomplete) for one in chat.take()] == [("a", True)]

    def test_a_piece_of_what_went_out_incomplete_is_dropped(self):
        """It does not go out once more, with less; its whole does."""
        chat = connected(updates=True)
        chat.says("A", raw("m1", **fields(1, "a")))
        chat.passes(15.0)
        chat.page()
        chat.passes(15.0)
        chat.says("A", raw("m1", **fields(2, "b")))
        chat.passes(100.0)
        assert [_facts(one) for one in chat.take()] == [
            ("MessageUpdate", "m1", "a"), ("Message, incomplete", "m1", "a"),
        ]  # fmt: skip
        chat.says("A", raw("m1", **fields(3, "abc", completed=True)))
        assert [_facts(one) for one in chat.take()] == [("Message", "m1", "abc")]

    @pytest.mark.parametrize("updates", [False, True])
    def test_the_oldest_of_too_many_goes_out_incomplete(self, updates):
        """Before the one that it makes room for; should its whole come, that goes out, too."""
        chat = connected(updates=updates)
        chat.says("A", *(raw(f"m{number}", **fields(1, "a")) for number in range(1, 33)))
        assert len(chat.take()) == (32 if updates else 0)
        chat.says("A", raw("m33", **fields(1, "b")), raw("m1", **fields(2, "c")))
        expected = [("Message, incomplete", "m1", "a"), ("MessageUpdate", "m33", "b")]
        assert [_facts(one) for one in chat.take()] == expected[: 1 + updates]
        chat.says("A", raw("m1", **fields(3, "ac", completed=True)))
        assert [_facts(one) for one in chat.take()] == [("Message", "m1", "ac")]

    def test_a_chat_that_ends_in_mid_stream(self):
        chat = connected()
        chat.says("A", raw("m1", **fields(1, "a")), "end2")
        chat.page("end2")
        assert [one.id for one in chat.take()] == ["m1", "end2"]


def _facts(one):
    kind = type(one).__name__ + (", incomplete" if getattr(one, "incomplete", False) else "")
    return kind, one.id, one.text
