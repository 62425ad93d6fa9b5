"""Messages that arrive in pieces."""

from __future__ import annotations

from connect_chat.engine.options import SessionOptions
from connect_chat.engine.streams import Streams
from connect_chat.engine.timers import Timers

from .harness import connected, item, raw


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


def test_so_many_at_once_and_no_more():
    rig = Rig()
    for number in range(40):
        rig.come((1, "a", f"m{number}"))
    assert len(rig.streams.break_off()) == 32


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

    def test_a_whole_that_is_nowhere_goes_out_incomplete(self):
        chat = connected()
        chat.says("A", raw("m1", **fields(1, "a")))
        assert chat.passes(15.0) == ["read backward, history"]
        chat.page()
        chat.passes(15.0)
        assert [(one.text, one.incomplete) for one in chat.take()] == [("a", True)]

    def test_a_chat_that_ends_in_mid_stream(self):
        chat = connected()
        chat.says("A", raw("m1", **fields(1, "a")), "end2")
        chat.page("end2")
        assert [one.id for one in chat.take()] == ["m1", "end2"]
