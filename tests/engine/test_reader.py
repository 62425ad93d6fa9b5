"""A reader at its own pace: it loses nothing and blocks nobody."""

from __future__ import annotations

from bisect import insort
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from connect_chat.engine.commands import Forget, Position, ReadTranscript
from connect_chat.engine.inbox import MEMORY, Inbox
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.reader import Reader
from connect_chat.engine.timers import Timers
from connect_chat.errors import NotConnectedError

from .harness import DENIED, Middling, at, item, names, prop
from .transcript import Refused, Transcript


class Rig:
    """A session's inbox and transcript, with readers; the transcript has what was said."""

    def __init__(self, bound=3, page=100, anchor=None):
        self.now = 0.0
        self.timers = Timers()
        self.emitted = []
        self.inbox = Inbox(0.0, anchor=anchor)
        self.transcript = Transcript([], page)
        self.token = "token"
        self.hidden = set()
        self.at_the_gate = []
        self._numbers = iter(range(1, 10**9)).__next__
        self.readers = []
        self.reader = self.open(bound)

    def open(self, bound):
        """Return a further reader."""
        reader = Reader(
            self._numbers(), bound, self.inbox, SessionOptions(), self.timers, Middling(),
            self.emitted.append, self._numbers, lambda: self.token,
            lambda one: None if one.id in self.hidden else one,
            lambda one: one.id in {waiting.id for waiting in self.at_the_gate},
        )  # fmt: skip
        self.readers.append(reader)
        return reader

    def say(self, *said, live=True):
        """Have items said, so that the transcript has them; and delivered, if ``live``."""
        for name in said:
            one = item(name) if isinstance(name, str) else name
            if one.in_transcript:
                insort(self.transcript.items, one, key=lambda other: other.absolute_time)
            if live:
                self.deliver(one)

    def deliver(self, one):
        """Deliver an item to the readers."""
        one = item(one) if isinstance(one, str) else one
        for out in self.inbox.live(one, self.now):
            if out.id not in self.hidden:
                for reader in self.readers:
                    reader.push(out)
        if self.inbox.end is one:
            for reader in self.readers:
                reader.push(one)

    def reads(self):
        """Return the reads that were asked for, and not forgotten."""
        forgotten = {one.request for one in self.emitted if isinstance(one, Forget)}
        reads = [one for one in self.emitted if isinstance(one, ReadTranscript)]
        self.emitted.clear()
        return [read for read in reads if read.request not in forgotten]

    def answer(self):
        """Answer the reads that were asked for; return how many there were."""
        reads = self.reads()
        for read in reads:
            (reader,) = [one for one in self.readers if one.awaits(read.request)]
            try:
                page = self.transcript.get(read.query)
            except Refused:
                reader.page_refused(self.now)
            else:
                reader.page_read(*page, self.now)
        return len(reads)

    def wake(self, seconds=60.0):
        """Let time pass."""
        until = self.now + seconds
        while (due := self.timers.next) is not None and due <= until:
            self.now = due
            for _, number in self.timers.due(due):
                for reader in self.readers:
                    if reader.id == number:
                        reader.wake(due)
            self.answer()
        self.now = until

    def take(self, count=1, reader=None):
        """Take so many items at most, answering what is asked meanwhile."""
        found = []
        for _ in range(count):
            one = (reader or self.reader).take(self.now)
            if one is None:
                if not self.answer():
                    break
                one = (reader or self.reader).take(self.now)
            if one is not None:
                found.append(one)
        return found

    def drain(self, reader=None):
        """Take everything that there is, as time passes; return the items."""
        reader, found = reader or self.reader, []
        for _ in range(500):
            got = self.take(1000, reader)
            found += got
            if not got and not reader.behind:
                return found
            self.wake()
        raise AssertionError("the reader never becomes level")


class TestLevel:
    """A reader that keeps up."""

    def test_items_are_handed_out_in_order_and_the_end_last(self):
        rig = Rig(bound=3)
        rig.say("m1", "m2")
        assert rig.reader.waiting == 2
        rig.say("end3")
        assert names(rig.take(9)) == ["m1", "m2", "end3"]
        assert rig.reader.finished
        assert rig.take() == []
        assert rig.reads() == []

    def test_an_item_that_comes_after_a_later_one_is_late(self):
        """For this reader: another one may not have had the later one."""
        rig = Rig()
        rig.say("m2")
        second = rig.open(3)
        rig.say("m1", "m3")
        assert names(rig.take(9)) == ["m2", "m1 late", "m3"]
        assert rig.reader.late == 1
        assert names(rig.take(9, second)) == ["m1", "m3"]

    def test_an_item_without_a_time_is_never_late(self):
        rig = Rig()
        rig.say("m2")
        rig.deliver(item("m1", AbsoluteTime=None))
        assert names(rig.take(9)) == ["m2", "m1"]

    def test_finding_leaves_the_others_in_their_place(self):
        rig = Rig()
        rig.say("m1", "typing2", "m3", "end4")
        assert rig.reader.find(lambda one: one.id == "m3", rig.now).id == "m3"
        assert rig.reader.find(lambda one: one.id == "m9", rig.now) is None
        assert names(rig.take(9)) == ["m1", "typing2", "end4"]

    def test_the_end_can_be_found(self):
        rig = Rig()
        rig.say("m1", "end2")
        assert rig.reader.find(lambda one: one.id == "end2", rig.now).id == "end2"
        assert not rig.reader.finished
        assert names(rig.take(9)) == ["m1"]
        assert rig.reader.finished

    def test_pushes_tell_that_looking_again_may_help(self):
        rig = Rig()
        before = rig.reader.pushes
        rig.say("m1")
        assert rig.reader.pushes == before + 1
        rig.say("end2")
        assert rig.reader.pushes == before + 2

    def test_whether_something_is_ready(self):
        rig = Rig(bound=1)
        assert not rig.reader.ready
        rig.say("m1")
        assert rig.reader.ready
        assert rig.reader.full
        rig.take()
        assert not rig.reader.ready
        rig.say("end2")
        assert rig.reader.ready

    def test_an_item_can_be_put_back(self):
        rig = Rig()
        rig.say("m1", "end2")
        first, end = rig.take(2)
        rig.reader.put_back(end)
        rig.reader.put_back(first)
        assert not rig.reader.finished
        assert names(rig.take(9)) == ["m1", "end2"]


class TestFallingBehind:
    """A reader that leaves more than its bound waiting."""

    def test_it_is_caught_up_from_the_transcript_and_loses_nothing(self):
        rig = Rig(bound=3)
        said = [f"m{second}" for second in range(1, 21)]
        rig.say(*said)
        assert rig.reader.behind
        assert rig.reader.waiting == 3
        assert names(rig.drain()) == said
        assert not rig.reader.behind
        assert rig.reader.catchups == 1

    def test_it_blocks_nobody(self):
        rig = Rig(bound=1)
        quick = rig.open(100)
        said = [f"m{second}" for second in range(1, 21)]
        rig.say(*said)
        assert names(rig.take(99, quick)) == said
        assert not quick.behind

    def test_it_asks_only_once_its_buffer_is_empty(self):
        rig = Rig(bound=2)
        rig.say("m1", "m2", "m3")
        assert names([rig.reader.take(0.0)]) == ["m1"]
        assert rig.reads() == []
        assert names([rig.reader.take(0.0)]) == ["m2"]
        (read,) = rig.reads()
        assert read.query["start_position"] == {"AbsoluteTime": "2026-01-01T12:00:02.000Z"}
        assert (read.urgency, read.connection_token) == ("history", "token")

    def test_a_page_at_a_time_as_it_goes(self):
        """No more is asked for before the last page has been taken."""
        rig = Rig(bound=2, page=10)
        rig.say(*(f"m{second}" for second in range(1, 41)))
        rig.take(3)
        assert rig.transcript.reads == 1
        assert rig.reader.waiting <= 10
        rig.take(5)
        assert rig.transcript.reads == 1
        assert len(rig.drain()) == 32

    def test_what_is_said_meanwhile_gathers_and_follows(self):
        """Typing, too, which no transcript keeps."""
        rig = Rig(bound=3)
        rig.say("m1", "m2", "m3", "m4")
        rig.take(3)
        rig.say("m5", "typing6")
        assert names(rig.drain()) == ["m4", "m5", "typing6"]

    def test_typing_said_while_it_is_behind_is_lost(self):
        rig = Rig(bound=2)
        rig.say("m1", "m2", "typing3", "m4")
        assert names(rig.drain()) == ["m1", "m2", "m4"]

    def test_what_gathers_is_bounded_and_another_pass_follows(self):
        rig = Rig(bound=2)
        rig.say("m1", "m2", "m3")
        rig.take(2)
        rig.reads()
        later = [f"m{second}" for second in range(4, 14)]
        rig.say(*later)
        rig.reader.page_read([item("m2"), item("m3")], None, rig.now)
        assert rig.reader.behind
        assert names(rig.drain()) == ["m3", *later]

    def test_it_waits_for_a_transcript_that_lags(self):
        """What the session delivered and the pass lacks is asked for again, ever less often."""
        rig = Rig(bound=2)
        rig.say("m1", "m2")
        rig.deliver("m3")
        rig.take(2)
        reads = rig.answer()
        while rig.now < 8.0:
            rig.wake(1.0)
            reads = rig.transcript.reads
        assert rig.reader.behind
        assert 4 <= reads <= 7
        rig.say("m3", live=False)
        assert names(rig.drain()) == ["m3"]

    def test_it_does_not_wait_for_ever(self):
        """An item that the transcript turns out not to keep is given up."""
        rig = Rig(bound=2)
        rig.say("m1", "m2")
        rig.deliver("m3")
        rig.say("end9", live=False)
        rig.deliver("end9")
        assert names(rig.drain()) == ["m1", "m2", "end9"]
        assert rig.now <= 120

    def test_a_late_item_that_evaded_the_pass_is_found_by_the_next(self):
        """It lies before the place from which the pass began, or has gone past already."""
        rig = Rig(bound=2)
        rig.say("m1", "m5", "m6")
        rig.take(2)
        rig.reads()
        rig.say("m4", *(f"m{second}" for second in range(7, 12)))
        rig.reader.page_read([item("m5"), item("m6")], None, rig.now)
        found = rig.drain()
        assert sorted(names(found)) == sorted(["m6", "m4 late", "m7", "m8", "m9", "m10", "m11"])

    def test_a_late_item_is_found_however_much_follows(self):
        """Even once the session remembers it no more."""
        rig = Rig(bound=2)
        rig.say("m1", "m5", "m6")
        rig.take(2)
        rig.reads()
        rig.say("m4")
        later = self.much_follows(rig)
        rig.reader.page_read([item("m5"), item("m6")], None, rig.now)
        assert sorted(names(rig.drain())) == sorted(["m6", "m4 late", *later])

    def test_so_is_one_that_makes_it_fall_behind(self):
        rig = Rig(bound=2)
        rig.say("m5", "m6", "m4")
        later = self.much_follows(rig)
        assert sorted(names(rig.drain())) == sorted(["m5", "m6", "m4 late", *later])

    def much_follows(self, rig):
        later = [f"m{second}" for second in range(7, MEMORY + 100)]
        for name in later:
            rig.say(name)
            rig.inbox.move_anchor(Position(name, item(name).absolute_time))
        assert rig.inbox.number_of(item("m4")) is None
        return later

    def test_a_late_item_that_makes_it_fall_behind_is_found(self):
        rig = Rig(bound=2)
        rig.say("m4", "m5", "m3")
        assert names(rig.drain()) == ["m4", "m5", "m3 late"]

    def test_an_item_of_the_same_time_as_the_last_is_found(self):
        """Though the transcript has it before the last."""
        rig = Rig(bound=2)
        rig.say("m1", "m2b", "m2a")
        rig.transcript.items = [item("m1"), item("m2a"), item("m2b")]
        assert names(rig.drain()) == ["m1", "m2b", "m2a"]

    def test_what_the_session_has_not_delivered_yet_is_left_to_it(self):
        """A page may show what the session still holds; it is not handed out twice."""
        rig = Rig(bound=2)
        rig.say("m1", "m2", "m3")
        rig.say("m4", live=False)
        assert names(rig.drain()) == ["m1", "m2", "m3"]
        rig.deliver("m4")
        assert names(rig.drain()) == ["m4"]

    def test_what_was_handed_out_before_is_not_handed_out_again(self):
        """Also where the service accepts no position, so that everything is read."""
        rig = Rig(bound=3)
        rig.say("m1", "m2")
        rig.take(2)
        rig.transcript.ids = rig.transcript.times = False
        rig.say(*(f"m{second}" for second in range(3, 10)))
        assert names(rig.drain()) == [f"m{second}" for second in range(3, 10)]

    def test_what_an_earlier_process_had_is_not_handed_out(self):
        """It is below the floor, not among what is remembered."""
        rig = Rig(bound=2)
        rig.say("m1", "m2", live=False)
        rig.inbox.floor = at(2)
        rig.transcript.times = False
        rig.say("m3", "m4", "m5")
        assert names(rig.drain()) == ["m3", "m4", "m5"]

    def test_our_own_items_are_left_out(self):
        rig = Rig(bound=2)
        rig.hidden = {"own4"}
        rig.say("m1", "m2", "m3", "own4", "m5")
        assert names(rig.drain()) == ["m1", "m2", "m3", "m5"]

    def test_what_waits_to_be_told_from_our_echo_is_handed_out_by_the_gate_only(self):
        """Though the transcript shows it to a reader that catches up in the meantime."""
        rig = Rig(bound=2)
        gated = item("m4")
        rig.say("m1", "m2", "m3")
        rig.inbox.live(gated, rig.now)
        rig.transcript.items.append(gated)
        rig.at_the_gate = [gated]
        assert names(rig.take(3)) == ["m1", "m2", "m3"]
        rig.at_the_gate = []
        rig.reader.push(gated)
        assert names(rig.drain()) == ["m4"]

    def test_the_end_waits_until_it_is_level(self):
        rig = Rig(bound=2)
        rig.say("m1", "m2", "m3", "end4")
        assert not rig.reader.find(lambda one: one.id == "end4", rig.now)
        assert names(rig.drain()) == ["m1", "m2", "m3", "end4"]


class TestTrouble:
    """Pages that cannot be read."""

    def behind(self):
        rig = Rig(bound=1)
        rig.say("m1", "m2")
        rig.take()
        return rig

    def test_a_page_that_fails_is_asked_for_again_after_a_growing_pause(self):
        rig = self.behind()
        waits = []
        for _ in range(4):
            rig.reads()
            rig.reader.page_failed(None, rig.now)
            waits.append(rig.timers.next - rig.now)
            rig.now = rig.timers.next
            list(rig.timers.due(rig.now))
            rig.reader.wake(rig.now)
        assert waits == [0.25, 0.5, 1.0, 2.0]
        assert rig.answer()
        assert names(rig.drain()) == ["m2"]

    def test_the_service_may_ask_for_a_longer_pause(self):
        rig = self.behind()
        rig.reader.page_failed(7.0, 0.0)
        assert rig.timers.next == 7.0
        assert rig.reader.take(1.0) is None
        assert len(rig.reads()) == 1

    def test_it_waits_for_a_token(self):
        rig = Rig(bound=1)
        rig.say("m1", "m2")
        rig.token = None
        rig.take()
        assert rig.reads() == []
        rig.token = "token"
        assert names(rig.drain()) == ["m2"]

    def test_a_position_that_is_refused_is_replaced_by_another(self):
        rig = self.behind()
        rig.transcript.times = False
        assert names(rig.drain()) == ["m2"]

    def test_a_position_that_was_refused_is_not_tried_again_for_a_minute(self):
        rig, ways = self.behind(), []
        get = rig.transcript.get
        rig.transcript.get = lambda query: (ways.append(query["scan_direction"]), get(query))[1]
        rig.transcript.times = False

        def falls_behind(*said):
            """Return what the reader gets, and how it was looked for."""
            ways.clear()
            rig.say(*said)
            got = rig.take(9)
            rig.wake(5.0)
            return names([*got, *rig.take(9)]), list(ways)

        assert falls_behind() == (["m2"], ["FORWARD", "BACKWARD"])
        assert falls_behind("m3", "m4") == (["m3", "m4"], ["BACKWARD"])
        rig.wake(60.0)
        rig.transcript.times = True
        assert falls_behind("m5", "m6") == (["m5", "m6"], ["FORWARD"])

    def test_a_failure_lets_out_what_is_buffered_and_reads_no_more(self):
        rig = Rig(bound=2)
        rig.say("m1", "m2", "m3")
        rig.take(1)
        rig.reader.fail(NotConnectedError("first"))
        rig.reader.fail(DENIED)
        assert str(rig.reader.failure) == "first"
        assert names(rig.take(9)) == ["m2"]
        assert rig.reads() == []
        assert rig.timers.next is None

    def test_closing_forgets_the_page_under_way(self):
        rig = self.behind()
        rig.reader.close()
        assert rig.reads() == []
        assert not rig.reader.behind
        assert rig.timers.next is None
        rig.reader.page_read([item("m2")], None, 0.0)
        assert rig.reader.take(0.0) is None

    def test_a_failure_stops_the_page_under_way(self):
        rig = self.behind()
        rig.reader.fail(DENIED)
        assert rig.reads() == []
        assert not rig.reader.awaits(2)


class TestUnread:
    """What a snapshot must not count as read."""

    def test_what_waits(self):
        rig = Rig(bound=3)
        rig.say("m1", "m2", "m3")
        rig.take()
        unread, begins = rig.reader.unread([item("m9")])
        assert unread == {"m2", "m3", "m9"}
        assert begins.id == "m2"

    def test_nothing(self):
        assert Rig().reader.unread([]) == (set(), None)

    def test_what_was_missed_while_behind(self):
        """From the last item that it had, or from a late one before that."""
        rig = Rig(bound=2)
        rig.say("m2", "m3", "m4", "m5")
        rig.take(2)
        unread, begins = rig.reader.unread([])
        assert unread == {"m4", "m5"}
        assert begins.absolute_time == at(3)
        rig.say("m1")
        unread, begins = rig.reader.unread([])
        assert unread == {"m4", "m5", "m1"}
        assert begins.absolute_time == at(1)


@prop
@given(refuse=st.booleans(), data=st.data())
def test_a_bounded_reader_sees_what_an_unbounded_one_sees(refuse, data):
    """For any bound, pace, page size and disorder: each item that the transcript keeps, once,
    and in order unless it is marked late; what it doesn't keep, at most once."""
    count = data.draw(st.integers(1, 40))
    seconds = data.draw(st.lists(st.integers(0, 60), min_size=count, max_size=count))
    if data.draw(st.booleans()):
        seconds.sort()
    rig = Rig(bound=data.draw(st.integers(1, 8)), page=data.draw(st.integers(1, 12)))
    rig.transcript.ids = rig.transcript.times = not refuse
    unbounded = rig.open(10_000)
    kinds = st.sampled_from(["m", "m", "m", "joined", "typing"])
    said = [
        f"{data.draw(kinds)}{second}{chr(97 + i % 26)}{chr(97 + i // 26)}"
        for i, second in enumerate(seconds)
    ]
    found, lagging = [], []
    for name in said:
        lags = data.draw(st.integers(0, 9)) == 0
        if lags:
            rig.deliver(name)
            lagging.append(name)
        else:
            rig.say(name)
        match data.draw(st.integers(0, 5)):
            case 0:
                found += rig.take(data.draw(st.integers(1, 12)))
            case 1:
                rig.wake(data.draw(st.sampled_from([0.1, 1.0, 10.0])))
            case 2 if lagging:
                rig.say(lagging.pop(), live=False)
    for name in lagging:
        rig.say(name, live=False)
    rig.deliver("end99")
    found += rig.drain()
    whole = rig.take(1000, unbounded)
    kept = [one.id for one in found if one.in_transcript]
    assert sorted(kept) == sorted(one.id for one in whole if one.in_transcript)
    assert len({one.id for one in found}) == len(found)
    assert {one.id for one in found} <= {one.id for one in whole}
    on_time = [one.absolute_time for one in found if not one.late]
    assert all(one <= other for one, other in pairwise(on_time))
    assert found[-1].id == "end99"
