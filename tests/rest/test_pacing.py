"""Who may call and when, decided without a clock."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_chat import DEFAULT_QUOTA, ConfigurationError, Priority, Quota, Rate
from connect_chat.engine.pacing import Limiter

OPERATION = "GetTranscript"


def limiter(per_second=2.0, burst=3):
    return Limiter(Quota({OPERATION: Rate(per_second, burst)}))


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
    ticket = lim.enqueue(OPERATION, Priority.SEND)
    assert lim.next_grant() == 100.5
    assert lim.grant(100.4) == []
    assert lim.grant(100.5) == [ticket]
    assert lim.next_grant() is None


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
    order = [Priority.HISTORY, Priority.SEND, Priority.ROTATE, Priority.SEND, Priority.RECONNECT]
    tickets = [lim.enqueue(OPERATION, priority) for priority in order]
    granted = [lim.grant(0.5 * n)[0] for n in range(1, 6)]
    assert granted == [tickets[1], tickets[3], tickets[4], tickets[2], tickets[0]]


def test_newcomers_do_not_overtake_who_waits():
    """A token that has come due belongs to the queue, even before it is handed out."""
    lim = limiter(burst=1)
    lim.admit(OPERATION, 0.0)
    ticket = lim.enqueue(OPERATION, Priority.HISTORY)
    assert not lim.admit(OPERATION, 0.5)
    assert lim.grant(0.5) == [ticket]


def test_who_withdraws_leaves_no_trace():
    """The place in the queue goes to the next, and so does a turn that was not used."""
    lim = limiter(burst=1)
    lim.admit(OPERATION, 0.0)
    first, second, third = (lim.enqueue(OPERATION, Priority.SEND) for _ in range(3))
    lim.withdraw(first)
    assert lim.waiting == 2
    assert lim.grant(0.5) == [second]
    lim.withdraw(second)
    assert lim.grant(0.5) == [third]
    assert lim.waiting == 0


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
        while (due := lim.next_grant()) is not None and due <= now:
            times += [due] * len(lim.grant(due))
        if lim.admit(OPERATION, now):
            times.append(now)
        else:
            lim.enqueue(OPERATION, priority)
    while (due := lim.next_grant()) is not None:
        granted = lim.grant(due)
        assert granted
        times += [due] * len(granted)
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
