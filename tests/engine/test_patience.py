"""When to give up, and that waiting for one's turn does not count."""

from __future__ import annotations

from connect_chat.engine.patience import Patience
from connect_chat.engine.timers import Timers


def patience():
    """Return one that began at 100 s, with 60 s to go, and its timers."""
    timers = Timers()
    made = Patience(timers)
    made.begin(60.0, 100.0)
    return made, timers


def test_it_ends_after_its_time():
    _, timers = patience()
    assert timers.next == 160.0


def test_who_has_begun_does_not_begin_again():
    made, timers = patience()
    made.begin(60.0, 110.0)
    assert timers.next == 160.0


def test_who_has_ended_does():
    made, timers = patience()
    made.end()
    assert timers.next is None
    made.begin(30.0, 200.0)
    assert timers.next == 230.0


def test_the_wait_for_a_turn_does_not_count():
    """20 s were gone; 1,000 s in the queue; 40 s are left."""
    made, timers = patience()
    made.wait(120.0)
    assert timers.next is None
    made.begin(60.0, 500.0)
    assert timers.next is None
    made.go_on(1120.0)
    assert timers.next == 1160.0


def test_what_begins_in_the_queue_begins_to_run_after_it():
    timers = Timers()
    made = Patience(timers)
    made.wait(0.0)
    made.begin(60.0, 10.0)
    assert timers.next is None
    made.go_on(100.0)
    assert timers.next == 160.0


def test_what_ends_in_the_queue_is_over():
    made, timers = patience()
    made.wait(110.0)
    made.end()
    made.go_on(120.0)
    assert timers.next is None


def test_nothing_goes_on_that_has_not_begun():
    timers = Timers()
    Patience(timers).go_on(1.0)
    assert timers.next is None
