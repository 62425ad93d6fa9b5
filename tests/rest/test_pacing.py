"""Who may call and when, decided without a clock."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_chat import DEFAULT_QUOTA, ConfigurationError, Priority, Quota, Rate
from connect_chat.engine.pacing import Limiter
from connect_chat.engine.queues import Ticket

OPERATION = "GetTranscript"


def limiter(per_second=2.0, burst=3, jitter=0.0):
    return Limiter(Quota({OPERATION: Rate(per_second, burst)}), jitter=jitter)


def enqueue(lim, priority=Priority.SEND, key="", deadline=math.inf):
    """Queue a call."""
    ticket = Ticket(OPERATION, priority, key, deadline)
    lim.enqueue(ticket)
    return ticket


def granted(lim, count, interval=0.5):
    """Return the next so many tickets that are granted, one at each interval."""
    return [ticket for n in range(1, count + 1) for ticket in lim.grant(interval * n)]


def test_the_documented_rates():
    """AWS's default quotas, as rate and burst."""
    assert {name: (rate.per_second, rate.burst) for name, rate in DEFAULT_QUOTA.rates.items()} == {
        "CreateParticipantConnection": (6, 9),
        "DisconnectParticipant": (3, 5),
        "GetTranscript": (8, 12),
        "SendMessage": (10, 15),
        "SendEvent": (10, 15),
        "StartAttachmentUpload": (2, 5),
        "CompleteAttachmentUpload": (2, 5),
        "GetAttachment": (8, 12),
    }


def test_a_burst_and_then_the_rate():
    """Three at once, the fourth half a second later."""
    lim = limiter()
    assert [lim.admit(OPERATION, 100.0) for _ in range(4)] == [True, True, True, False]
    ticket = enqueue(lim)
    assert lim.next_event() == 100.5
    assert lim.grant(100.4) == []
    assert lim.grant(100.5) == [ticket]
    assert lim.next_event() is None


def test_a_pause_refills_the_burst_and_no_more():
    lim = limiter()
    for now in (0.0, 1000.0):
        assert [lim.admit(OPERATION, now) for _ in range(4)] == [True, True, True, False]


def test_operations_do_not_share_a_bucket_and_one_without_a_rate_is_free():
    lim = Limiter(Quota({"A": Rate(1, 1), "B": Rate(1, 1)}))
    assert lim.admit("A", 0.0)
    assert not lim.admit("A", 0.0)
    assert lim.admit("B", 0.0)
    assert all(lim.admit("C", 0.0) for _ in range(100))


def test_no_quota_no_pacing():
    assert all(Limiter(None).admit(OPERATION, 0.0) for _ in range(100))


def test_the_urgent_go_first_and_equals_in_their_order():
    """The queue is sorted by priority, then by arrival."""
    lim = limiter(burst=1)
    lim.admit(OPERATION, 0.0)
    order = [
        Priority.HISTORY,
        Priority.SEND,
        Priority.ROTATE,
        Priority.SEND,
        Priority.RECONNECT,
        Priority.CONNECT,
    ]
    tickets = [enqueue(lim, priority) for priority in order]
    assert granted(lim, 6) == [tickets[n] for n in (1, 3, 5, 4, 2, 0)]


@pytest.mark.parametrize("priority", [one for one in Priority if one is not Priority.ROTATE])
def test_chats_take_turns(priority):
    """A chat with ten calls in the queue delays another's only call by one."""
    lim = limiter(burst=1)
    lim.admit(OPERATION, 0.0)
    noisy = [enqueue(lim, priority, "noisy") for _ in range(10)]
    first, second = (enqueue(lim, priority, key) for key in ("first", "second"))
    assert granted(lim, 5) == [noisy[0], first, second, noisy[1], noisy[2]]


def test_a_chat_that_comes_back_at_once_goes_to_the_end():
    lim = limiter(burst=1)
    lim.admit(OPERATION, 0.0)
    noisy, quiet = enqueue(lim, key="noisy"), enqueue(lim, key="quiet")
    assert lim.grant(0.5) == [noisy]
    again = enqueue(lim, key="noisy")
    assert lim.grant(1.0) == [quiet]
    assert lim.grant(1.5) == [again]


def test_rotations_go_by_their_deadlines():
    """The earliest first, whoever asked first; without one, last."""
    lim = limiter(burst=1)
    lim.admit(OPERATION, 0.0)
    deadlines = [math.inf, 300.0, 100.0, 200.0, 100.0]
    tickets = [enqueue(lim, Priority.ROTATE, "", deadline) for deadline in deadlines]
    assert granted(lim, 5) == [tickets[n] for n in (2, 4, 3, 1, 0)]


@pytest.mark.parametrize("priority", Priority)
def test_who_waits_in_vain_is_let_go(priority):
    """At its deadline a call leaves the queue, and takes nobody's turn."""
    lim = limiter(burst=1, per_second=0.1)
    lim.admit(OPERATION, 0.0)
    late = [enqueue(lim, priority, key, 5.0) for key in "ab"]
    patient = enqueue(lim, priority, "c")
    assert lim.next_event() == 5.0
    assert lim.expire(4.9) == []
    assert lim.expire(5.0) == late
    assert lim.waiting == {OPERATION: {priority: 1}}
    assert lim.next_event() == 10.0
    assert lim.grant(10.0) == [patient]
    assert lim.expire(1e9) == []


def test_who_got_its_turn_is_not_let_go():
    lim = limiter(burst=1)
    lim.admit(OPERATION, 0.0)
    ticket = enqueue(lim, Priority.ROTATE, deadline=5.0)
    assert lim.grant(0.5) == [ticket]
    assert lim.expire(5.0) == []


def test_waiting_is_told_by_operation_and_priority():
    lim = limiter(burst=1)
    assert lim.waiting == {}
    lim.admit(OPERATION, 0.0)
    for priority in (Priority.ROTATE, Priority.SEND, Priority.SEND):
        enqueue(lim, priority)
    assert lim.waiting == {OPERATION: {Priority.SEND: 2, Priority.ROTATE: 1}}


def test_twenty_thousand_wait_and_leave_at_any_place():
    """Withdrawals from anywhere leave the order of the others as it is."""
    lim = limiter(burst=1)
    lim.admit(OPERATION, 0.0)
    tickets = [
        enqueue(lim, priority, str(n), 1e6 + 7 * n % 1000)
        for priority in (Priority.RECONNECT, Priority.ROTATE)
        for n in range(10_000)
    ]
    for n, ticket in enumerate(tickets):
        if n % 10:
            lim.withdraw(ticket)
    left = tickets[::10]
    left[1000:] = sorted(left[1000:], key=lambda ticket: ticket.deadline)
    assert lim.waiting == {OPERATION: {Priority.RECONNECT: 1000, Priority.ROTATE: 1000}}
    assert granted(lim, 2000) == left


class TestThrottling:
    """The service grants less than it is said to."""

    def test_a_refusal_slows_down_and_time_makes_up_for_it(self):
        """To seven tenths at once, and back by a hundredth a second."""
        lim = limiter(10.0, 5)
        assert lim.throttled(OPERATION, 99.0, 100.0)
        assert lim.share(OPERATION, 100.0) == pytest.approx(0.7)
        assert lim.share(OPERATION, 110.0) == pytest.approx(0.8)
        assert lim.share(OPERATION, 130.0) == pytest.approx(1.0)
        assert lim.share(OPERATION, 1e6) == 1.0

    def test_the_rate_follows(self):
        """A call every 1/7 s instead of every 1/10 s."""
        lim = limiter(10.0, 1)
        lim.throttled(OPERATION, 99.0, 100.0)
        assert not lim.admit(OPERATION, 100.14)
        assert lim.admit(OPERATION, 100.143)
        enqueue(lim)
        assert lim.next_event() == pytest.approx(100.143 + 1 / 7, abs=1e-3)

    def test_the_burst_is_gone(self):
        """The service's bucket is empty, so ours is."""
        lim = limiter(10.0, 5)
        lim.throttled(OPERATION, 99.0, 100.0)
        assert not lim.admit(OPERATION, 100.0)

    def test_calls_that_were_under_way_together_count_once(self):
        lim = limiter(10.0, 5)
        assert [lim.throttled(OPERATION, sent, 100.0) for sent in (99.0, 99.5, 100.0)] == [
            True,
            False,
            False,
        ]
        assert lim.throttled(OPERATION, 100.1, 100.2)
        assert lim.share(OPERATION, 100.2) == pytest.approx((0.7 + 0.002) * 0.7)

    def test_something_is_always_left(self):
        lim = limiter(10.0, 5)
        for n in range(100):
            lim.throttled(OPERATION, n / 1000, (n + 1) / 1000)
        assert lim.share(OPERATION, 0.1) == pytest.approx(0.02, abs=1e-4)

    def test_operations_slow_down_by_themselves(self):
        lim = Limiter(Quota({"A": Rate(1, 1), "B": Rate(1, 1)}))
        lim.throttled("A", 0.0, 1.0)
        assert lim.share("B", 1.0) == 1.0
        assert not lim.throttled("C", 0.0, 1.0)
        assert lim.share("C", 1.0) == 1.0

    def test_a_turn_given_back_is_worth_no_more_than_it_cost(self):
        """Taken at the full rate and given back at a lower one, it gives nobody two."""
        lim = limiter(10.0, 1)
        lim.admit(OPERATION, 0.0)
        ticket = enqueue(lim)
        lim.grant(0.1)
        lim.throttled(OPERATION, 0.05, 0.15)
        lim.withdraw(ticket)
        assert not lim.admit(OPERATION, 0.15)


def test_some_of_a_burst_is_held_back_for_calls_that_bunch_under_way():
    """0.5 s of a rate of 2/s is one call; half of a burst is held back at most."""
    lim = limiter(2.0, 4, jitter=0.5)
    assert [lim.admit(OPERATION, 0.0) for _ in range(4)] == [True, True, True, False]
    lim = limiter(2.0, 5, jitter=100.0)
    assert [lim.admit(OPERATION, 0.0) for _ in range(4)] == [True, True, True, False]


def test_newcomers_do_not_overtake_who_waits():
    """A token that has come due belongs to the queue, even before it is handed out."""
    lim = limiter(burst=1)
    lim.admit(OPERATION, 0.0)
    ticket = enqueue(lim, Priority.HISTORY)
    assert not lim.admit(OPERATION, 0.5)
    assert lim.grant(0.5) == [ticket]


def test_who_withdraws_leaves_no_trace():
    """The place in the queue goes to the next, and so does a turn that was not used."""
    lim = limiter(burst=1)
    lim.admit(OPERATION, 0.0)
    first, second, third = (enqueue(lim) for _ in range(3))
    lim.withdraw(first)
    assert lim.waiting == {OPERATION: {Priority.SEND: 2}}
    assert lim.grant(0.5) == [second]
    lim.withdraw(second)
    assert lim.grant(0.5) == [third]
    assert lim.waiting == {}


@given(
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 5), st.sampled_from(Priority)), max_size=60),
)
def test_never_more_than_the_quota_and_never_less_than_possible(per_second, burst, arrivals):
    """In any interval at most burst + rate × length calls go; in the end every one has gone."""
    lim = limiter(per_second, burst)
    times = []
    now = 0.0
    for pause, priority in arrivals:
        now += pause
        while (due := lim.next_event()) is not None and due <= now:
            times += [due] * len(lim.grant(due))
        if lim.admit(OPERATION, now):
            times.append(now)
        else:
            enqueue(lim, priority)
    while (due := lim.next_event()) is not None:
        tickets = lim.grant(due)
        assert tickets
        times += [due] * len(tickets)
    assert len(times) == len(arrivals)
    assert times == sorted(times)
    for first in range(len(times)):
        for last in range(first, len(times)):
            allowed = burst + per_second * (times[last] - times[first])
            assert last - first + 1 <= allowed + 1e-6


@pytest.mark.parametrize(
    ("per_second", "burst"), [(0, 1), (-1, 1), (math.inf, 1), (math.nan, 1), (1, 0)]
)
def test_a_rate_that_is_none_is_refused(per_second, burst):
    with pytest.raises(ConfigurationError):
        Rate(per_second, burst)


def test_a_quota_does_not_change_with_the_mapping_it_was_made_of():
    rates = {OPERATION: Rate(1, 1)}
    quota = Quota(rates)
    rates.clear()
    assert quota.rates == {OPERATION: Rate(1, 1)}
