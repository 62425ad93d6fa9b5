"""Items that wait for their turn."""

from __future__ import annotations

from connect_chat.engine.waiting import WaitingItems

from .harness import at, item


def waiting(*items):
    """Return a queue of items, by second of arrival and name."""
    queue = WaitingItems()
    for until, name in items:
        one = item(name)
        queue.add(one, one.id, one.absolute_time, until)
    return queue


def popped(queue, time=None):
    return [name for _, name, _ in queue.pop_until(time)]


def test_they_come_out_by_time_and_among_equals_by_arrival():
    queue = waiting((1, "m2"), (2, "m1b"), (3, "m1a"), (4, "m3"))
    assert popped(queue, at(2)) == ["m1b", "m1a", "m2"]
    assert len(queue.items) == 1
    assert popped(queue) == ["m3"]


def test_how_far_items_have_waited_long_enough():
    """The newest of those whose moment has come."""
    queue = waiting((1, "m5"), (2, "m3"), (3, "m9"))
    assert queue.next_release == 1
    assert queue.due(0.5) is None
    assert queue.due(2) == at(5)
    assert queue.next_release == 3


def test_names_are_known_while_they_wait():
    queue = waiting((1, "m1"), (2, "m2"))
    assert "m1" in queue.known
    popped(queue, at(1))
    assert "m1" not in queue.known
    queue.drop({"m2", "m3"})
    assert "m2" not in queue.known
    assert len(queue.items) == 0


def test_dropping_keeps_the_order_of_the_rest():
    queue = waiting(*((second, f"m{second}") for second in (5, 3, 8, 1, 9, 2)))
    queue.drop({"m1", "m8"})
    assert sorted(one.id for one in queue.items) == ["m2", "m3", "m5", "m9"]
    assert popped(queue) == ["m2", "m3", "m5", "m9"]


def test_nothing_is_due_once_all_have_gone():
    queue = waiting((1, "m1"))
    popped(queue)
    assert queue.next_release is None
    assert queue.due(5) is None


def test_items_without_an_identity_wait_like_others():
    queue = WaitingItems()
    for _ in range(2):
        queue.add(item("typing1", Id=None), None, at(1), 1.0)
    queue.drop({"m1"})
    assert popped(queue) == [None, None]


def test_a_burst_goes_in_portions():
    """So that readers get their turn between."""
    queue = waiting(*((1, f"m{number}") for number in range(1000)))
    gone = []
    while (until := queue.due(1)) is not None:
        portion = popped(queue, until)
        assert len(portion) <= 250
        gone += portion
        assert not queue.items or queue.next_release == 1
    assert gone == [f"m{number}" for number in range(1000)]
