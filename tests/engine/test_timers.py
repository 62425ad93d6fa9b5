"""Named alarms."""

from __future__ import annotations

from connect_chat.engine.timers import Timers


def test_alarms_are_due_in_the_order_of_their_times():
    timers = Timers()
    for name, at in (("c", 3.0), (("b", 1), 2.0), ("a", 1.0), ("d", 4.0)):
        timers.set(name, at)
    assert timers.next == 1.0
    assert list(timers.due(3.0)) == ["a", ("b", 1), "c"]
    assert timers.next == 4.0
    assert list(timers.due(3.9)) == []


def test_setting_an_alarm_again_moves_it():
    timers = Timers()
    timers.set("a", 1.0)
    timers.set("a", 2.0)
    assert timers.next == 2.0
    assert list(timers.due(1.5)) == []
    assert list(timers.due(2.0)) == ["a"]
    assert timers.next is None


def test_a_cancelled_alarm_is_not_due():
    timers = Timers()
    timers.set("a", 1.0)
    assert "a" in timers
    timers.cancel("a")
    timers.cancel("never set")
    assert "a" not in timers
    assert timers.next is None


def test_only_what_is_wanted_is_kept():
    timers = Timers()
    timers.set("a", 1.0)
    timers.set(("b", 1), 2.0)
    timers.keep(lambda name: name != "a")
    assert timers.next == 2.0
    assert list(timers.due(9.0)) == [("b", 1)]


def test_an_alarm_cancelled_or_moved_by_an_earlier_one_does_not_ring():
    timers = Timers()
    for name in ("a", "b", "c"):
        timers.set(name, 1.0)
    rung = []
    for name in timers.due(5.0):
        rung.append(name)
        timers.cancel("b")
        timers.set("c", 9.0)
    assert rung == ["a"]
    assert timers.next == 9.0


def test_an_alarm_set_while_others_ring_waits_for_the_next_call():
    """So that an alarm that sets itself cannot make one call go on for ever."""
    timers = Timers()
    timers.set("a", 1.0)
    for name in timers.due(5.0):
        timers.set(name, 2.0)
    assert list(timers.due(5.0)) == ["a"]
