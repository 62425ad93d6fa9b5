"""Exactly once and in order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_chat.engine.commands import Position
from connect_chat.engine.inbox import MEMORY, MOST, Inbox, identity

from .harness import AGENT, at, item, names, prop


def live(inbox, *items, now=0.0):
    return [found for name in items for found in names(inbox.live(_item(name), now))]


def merge(inbox, *items):
    return names(inbox.merge([_item(name) for name in items]))


def _item(name):
    return item(name) if isinstance(name, str) else name


def file(status):
    return item(
        "file1",
        Type="ATTACHMENT",
        Attachments=[{"AttachmentId": "a", "Status": status}],
    )


class TestIdentity:
    """What makes two copies of an item the same one."""

    def test_an_id(self):
        assert identity(item("m1")) == identity(item("m1", Content="other"))
        assert identity(item("m1")) != identity(item("m2"))

    def test_a_file_is_another_once_its_scan_has_another_result(self):
        assert identity(file("IN_PROGRESS")) != identity(file("APPROVED"))
        assert identity(file("APPROVED")) == identity(file("APPROVED"))

    def test_without_an_id_all_that_it_says(self):
        one = item("m1", Id=None)
        assert identity(one) == identity(item("m1", Id=None))
        assert identity(one) != identity(item("m1", Id=None, Content="other"))
        assert identity(one) != identity(item("m1", Id=None, ParticipantId="other"))

    def test_an_event_without_an_id_that_no_transcript_keeps_is_always_new(self):
        assert identity(item("typing1", Id=None)) is None
        inbox = Inbox(0.0)
        assert live(inbox, item("typing1", Id=None), item("typing1", Id=None)) == ["Typing"] * 2
        assert not inbox.knows(item("typing1", Id=None))


class TestLive:
    """Items from a socket."""

    def test_each_is_delivered_at_once_and_once(self):
        inbox = Inbox(0.0)
        assert live(inbox, "m1", "m2", "m1", "m2", "m3") == ["m1", "m2", "m3"]
        assert (inbox.delivered, inbox.duplicates) == (3, 2)

    def test_within_the_window_they_are_put_in_order(self):
        inbox = Inbox(0.1)
        assert live(inbox, "m3", "m1", now=10.0) == []
        assert live(inbox, "m2", now=10.05) == []
        assert inbox.next_release == 10.1
        assert names(inbox.release(10.09)) == []
        assert names(inbox.release(10.1)) == ["m1", "m2", "m3"]
        assert inbox.next_release is None

    def test_a_later_item_waits_its_own_window(self):
        """Letting an item go takes along what is earlier, not what is later."""
        inbox = Inbox(0.1)
        live(inbox, "m2", now=10.0)
        live(inbox, "m1", "m3", now=10.05)
        assert names(inbox.release(10.1)) == ["m1", "m2"]
        assert names(inbox.release(10.15)) == ["m3"]

    def test_a_copy_of_one_that_waits_is_dropped(self):
        inbox = Inbox(0.1)
        assert live(inbox, "m1", "m1") == []
        assert inbox.holds(item("m1"))
        assert names(inbox.release(0.1)) == ["m1"]
        assert not inbox.holds(item("m1"))
        assert inbox.duplicates == 1

    def test_one_without_a_time_keeps_its_place(self):
        inbox = Inbox(0.0)
        assert live(inbox, "m1", item("m2", AbsoluteTime=None), "m3") == ["m1", "m2", "m3"]

    def test_the_end_is_kept_apart(self):
        """It is let through by the session, after everything else; the first one counts."""
        inbox = Inbox(0.0)
        assert live(inbox, "end5", "end6", "m4") == ["m4"]
        assert inbox.end.id == "end5"
        assert inbox.duplicates == 1


class TestHolding:
    """Live items wait while the transcript is read."""

    def test_they_wait_and_are_flushed_in_order(self):
        inbox = Inbox(0.0)
        inbox.holding = True
        assert live(inbox, "m3", "m1", "m2", "m1") == []
        assert len(inbox) == 3
        assert inbox.next_release is None
        assert names(inbox.release(1e9)) == []
        assert names(inbox.flush()) == ["m1", "m2", "m3"]
        assert len(inbox) == 0

    def test_a_page_takes_along_what_belongs_before_its_end(self):
        inbox = Inbox(0.0)
        inbox.holding = True
        live(inbox, "m5", "m2", "typing3")
        assert merge(inbox, "m1", "m2", "m4") == ["m1", "m2", "typing3", "m4"]
        assert merge(inbox, "m5", "m6") == ["m5", "m6"]
        assert len(inbox) == 0

    def test_whether_the_transcript_lags_behind_what_waits(self):
        """Told by the items that it keeps and has not shown."""
        inbox = Inbox(0.0)
        inbox.holding = True
        live(inbox, "m5", "typing6", item("m7", Id=None))
        assert inbox.awaits_any(["m4"])
        assert not inbox.awaits_any(["m5"])


class TestMerge:
    """Items from the transcript."""

    def test_what_has_been_delivered_is_left_out(self):
        inbox = Inbox(0.0)
        live(inbox, "m2", "m4")
        assert merge(inbox, "m1", "m2", "m3", "m4", "m5") == ["m1", "m3", "m5"]
        assert merge(inbox, "m1", "m2", "m3", "m4", "m5") == []
        assert live(inbox, "m1", "m5") == []

    def test_a_page_that_repeats_itself(self):
        assert merge(Inbox(0.0), "m1", "m1", "m2") == ["m1", "m2"]

    def test_one_without_a_time_keeps_its_place_in_the_page(self):
        page = [item("m1"), item("m9", AbsoluteTime=None), item("m2")]
        assert names(Inbox(0.0).merge(page)) == ["m1", "m9", "m2"]

    def test_the_end_may_come_from_it(self):
        inbox = Inbox(0.0)
        assert merge(inbox, "m1", "end2") == ["m1"]
        assert inbox.end.id == "end2"


class TestNumbers:
    """Readers that fall behind go by the order of delivery."""

    def test_items_are_numbered_as_they_are_delivered(self):
        inbox = Inbox(0.0, seen=[("m0", at(0))])
        live(inbox, "m2", "typing3", "m1")
        assert [inbox.number_of(item(name)) for name in ("m0", "m2", "typing3", "m1", "m9")] == [
            0, 1, -2, 3, None,
        ]  # fmt: skip
        assert inbox.number_of(item("typing1", Id=None)) is None
        assert inbox.since(2) == [Position("m1", at(1))]
        assert [place.id for place in inbox.since(0)] == ["m0", "m2", "m1"]

    def test_what_precedes(self):
        inbox = Inbox(0.0)
        live(inbox, "m5", "m2")
        assert not inbox.precedes(item("m5"))
        assert inbox.precedes(item("m6"))
        assert not inbox.precedes(item("m6", AbsoluteTime=None))

    def test_what_is_remembered_of_an_earlier_process_comes_first(self):
        inbox = Inbox(0.0, seen=[("m0", at(0))])
        live(inbox, "m1", "typing2", "m3")
        assert inbox.since(0) == [
            Position("m0", at(0)),
            Position("m1", at(1)),
            Position("m3", at(3)),
        ]


class TestMemory:
    """A bound that cannot let a duplicate through."""

    def test_what_is_forgotten_is_below_the_floor_and_stays_out(self):
        """Neither a socket nor the transcript can bring it back."""
        inbox, said = Inbox(0.0), [f"m{second}" for second in range(3 * MEMORY)]
        for name in said:
            assert live(inbox, name) == [name]
            inbox.move_anchor(Position(name, item(name).absolute_time))
        assert len(inbox.since(0)) == MEMORY
        assert inbox.floor == at(2 * MEMORY - 1)
        assert live(inbox, *said) == []
        assert merge(inbox, *said) == []

    def test_nothing_is_forgotten_that_lies_after_the_anchor(self):
        """What a gap lacks must not be taken for a copy of what came after it."""
        inbox, said = Inbox(0.0), [f"m{second}" for second in range(10, MEMORY + 1000)]
        live(inbox, "m1", *said)
        inbox.move_anchor(Position("m1", at(1)))
        assert merge(inbox, "m1", "m5", *said) == ["m5"]

    def test_once_the_anchor_moves_memory_shrinks_again(self):
        inbox, said = Inbox(0.0), [f"m{second}" for second in range(MEMORY + 1000)]
        live(inbox, *said)
        assert len(inbox.since(0)) > MEMORY
        inbox.move_anchor(Position(said[-1], item(said[-1]).absolute_time))
        live(inbox, *(f"m{second}" for second in range(9000, 10_500)))
        assert len(inbox.since(0)) <= MEMORY

    def test_a_transcript_that_cannot_be_read_for_very_long_ends_that(self):
        """Then the anchor moves up without it, and memory stays bounded."""
        inbox = Inbox(0.0)
        for second in range(MOST + 100):
            live(inbox, f"m{second}")
        assert len(inbox.since(0)) <= MOST
        assert inbox.floor <= inbox.anchor.absolute_time
        assert live(inbox, "m0", "m5", f"m{MOST}") == []

    def test_it_does_not_move_back_for_that(self):
        """A page may have come at the last moment."""
        inbox = Inbox(0.0)
        live(inbox, *(f"m{second}" for second in range(MOST)))
        inbox.move_anchor(Position("m9000", at(9000)))
        live(inbox, f"m{MOST}")
        assert inbox.anchor.id == "m9000"
        assert len(inbox.since(0)) < MOST

    def test_the_floor_is_the_latest_time_that_was_forgotten(self):
        """Forgetting a late item does not lower it."""
        inbox = Inbox(0.0)
        live(inbox, "m9000", "m1")
        inbox.move_anchor(Position("m9000", at(9000)))
        live(inbox, *(f"m{second}" for second in range(9001, 9001 + MEMORY)))
        assert inbox.floor == at(9000)
        assert inbox.forgotten(item("m9000"))
        assert not inbox.forgotten(item("m9001"))
        assert not inbox.forgotten(item("m1", AbsoluteTime=None))
        assert not inbox.forgotten(item("m9000"), after=at(9000))
        assert inbox.forgotten(item("m9000"), after=at(8999))

    def test_the_anchor_never_moves_back(self):
        inbox = Inbox(0.0)
        inbox.move_anchor(Position("m5", at(5)))
        inbox.move_anchor(Position("m4", at(4)))
        assert inbox.anchor.id == "m5"

    def test_of_an_earlier_process_the_listed_and_what_is_below_the_floor_stay_out(self):
        inbox = Inbox(0.0, anchor=Position("m5", at(5)), floor=at(3), seen=[("m5", at(5))])
        assert live(inbox, "m2", "m3", "m5") == []
        assert merge(inbox, "m3", "m4", "m5", "m6") == ["m4", "m6"]

    def test_beginning_after_an_item(self):
        """Everything up to it counts as delivered."""
        inbox = Inbox(0.0)
        inbox.begin_after(item("m5"))
        assert inbox.anchor == Position("m5", at(5))
        assert live(inbox, "m4", "m5", "m6") == ["m6"]

    @pytest.mark.parametrize("missing", ["Id", "AbsoluteTime"])
    def test_beginning_after_an_item_that_lacks_something(self, missing):
        """Without a time nothing can be told; without an Id there is only the floor."""
        inbox = Inbox(0.0)
        inbox.begin_after(item("m5", **{missing: None}))
        assert inbox.anchor is None
        assert inbox.floor == (at(5) if missing == "Id" else None)


@st.composite
def histories(draw):
    """A chat, and the ways in which its items come in.

    Steps: ("live", name), ("page", names), ("hold",), ("release",).
    """
    count = draw(st.integers(1, 25))
    seconds = sorted(draw(st.lists(st.integers(0, 30), min_size=count, max_size=count)))
    said = [f"m{second}{'abcdefghijklmnopqrstuvwxyz'[i]}" for i, second in enumerate(seconds)]
    steps = [("live", name) for name in said if draw(st.booleans())]
    steps += draw(st.lists(st.tuples(st.just("live"), st.sampled_from(said)), max_size=20))
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, count))
        steps.append(("page", said[start : draw(st.integers(start, count))]))
    steps += [("hold",)] * draw(st.integers(0, 2)) + [("release",)] * draw(st.integers(0, 4))
    return said, draw(st.permutations(steps))


@prop
@given(histories(), st.sampled_from([0.0, 1.0]))
def test_any_interleaving_delivers_each_item_once(history, window):
    """Live copies and pages in any order and number; at the end the transcript, whole."""
    said, steps = history
    inbox = Inbox(window)
    delivered = []
    for now, (kind, *rest) in enumerate(steps):
        delivered += names(inbox.release(float(now)))
        match kind:
            case "live":
                delivered += live(inbox, *rest, now=float(now))
            case "page":
                delivered += merge(inbox, *rest[0])
            case "hold":
                inbox.holding = True
            case "release":
                inbox.holding = False
                delivered += names(inbox.flush())
    delivered += merge(inbox, *said)
    delivered += names(inbox.flush())
    assert sorted(delivered) == sorted(said)
    assert inbox.delivered == len(said)


@prop
@given(histories())
def test_while_held_everything_is_in_order(history):
    """What is held goes out with the transcript in one order, whenever it came in."""
    said, steps = history
    inbox = Inbox(0.0)
    inbox.holding = True
    for kind, *rest in steps:
        if kind == "live":
            assert live(inbox, *rest) == []
    delivered = inbox.merge([_item(name) for name in said]) + list(inbox.flush())
    assert sorted(names(delivered)) == sorted(said)
    times = [one.absolute_time for one in delivered]
    assert all(one <= other for one, other in pairwise(times))


@prop
@given(st.lists(st.integers(0, 400), unique=True, min_size=1), st.data())
def test_disorder_within_the_window_is_put_right(moments, data):
    """Items that arrive at most a window after their time go out in its order."""
    window = 0.1
    arrivals = sorted(
        (moment / 100 + data.draw(st.integers(0, 10)) / 100, moment) for moment in moments
    )
    inbox, delivered = Inbox(window + 0.001), []
    for now, moment in arrivals:
        delivered += names(inbox.release(now))
        delivered += live(inbox, f"m{moment / 100:.2f}", now=now)
    delivered += names(inbox.release(1e9))
    assert delivered == [f"m{moment / 100:.2f}" for moment in sorted(moments)]


def test_items_of_others_do_not_matter():
    """Who said an item plays no part here."""
    inbox = Inbox(0.0)
    assert live(inbox, item("m1", ParticipantId=AGENT), item("own2")) == ["m1", "own2"]
