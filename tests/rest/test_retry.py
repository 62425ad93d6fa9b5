"""Whether and when a failed call is repeated, decided without a clock."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_chat.engine.retry import (
    BACKOFF_CAP,
    RETRY_BUDGET,
    Failure,
    Retries,
    RetryBudget,
)


def retries(budget=None, *, max_attempts=3, repeatable=True):
    return Retries(budget or RetryBudget(), max_attempts=max_attempts, repeatable=repeatable)


def again(call, failure=Failure.FAULTY, *, retry_after=None, remaining=math.inf, chance=0.5):
    return call.again_after(failure, retry_after=retry_after, remaining=remaining, chance=chance)


def test_three_attempts():
    """Two retries, then no more."""
    call = retries()
    assert again(call) is not None
    assert again(call) is not None
    assert again(call) is None
    assert call.attempts == 3


def test_one_attempt_means_no_retry():
    assert again(retries(max_attempts=1)) is None


def test_the_bound_doubles_up_to_the_cap():
    """Full jitter: with the greatest chance, the waits are 0.1, 0.2, 0.4 … 20, 20."""
    call = retries(max_attempts=12)
    waits = [again(call, chance=1.0) for _ in range(10)]
    assert waits == pytest.approx([0.1 * 2**n for n in range(8)] + [BACKOFF_CAP] * 2)
    assert again(retries(), chance=0.0) == 0.0


def test_throttling_starts_from_a_longer_base():
    assert again(retries(), Failure.THROTTLED, chance=1.0) == 1.0


@given(
    st.sampled_from(Failure), st.integers(1, 2000), st.floats(0, 1), st.none() | st.floats(0, 1e6)
)
def test_no_wait_is_negative_or_over_the_cap(failure, attempt, chance, retry_after):
    """Whatever the attempt: within the cap, unless the service asked for more."""
    call = retries(max_attempts=10**6)
    call.attempts = attempt
    wait = again(call, failure, chance=chance, retry_after=retry_after)
    assert (retry_after or 0) <= wait <= max(BACKOFF_CAP, retry_after or 0)


def test_retry_after_is_a_lower_bound():
    """We don't come back earlier than asked, nor earlier than we would have anyway."""
    assert again(retries(), retry_after=7.0) == 7.0
    assert again(retries(), Failure.THROTTLED, retry_after=0.1, chance=1.0) == 1.0


def test_a_wait_that_would_pass_the_deadline_is_not_begun():
    budget = RetryBudget()
    assert again(retries(budget), retry_after=7.0, remaining=7.0) is None
    assert again(retries(budget), retry_after=7.0, remaining=7.1) == 7.0
    assert budget.tokens == RETRY_BUDGET - 5


@pytest.mark.parametrize(
    ("failure", "repeated"),
    [
        (Failure.THROTTLED, True),
        (Failure.UNSENT, True),
        (Failure.FAULTY, False),
        (Failure.LOST, False),
    ],
)
def test_what_may_not_happen_twice(failure, repeated):
    """Without idempotency only what surely did not happen is repeated."""
    assert (again(retries(repeatable=False), failure) is not None) is repeated


@pytest.mark.parametrize(
    ("failure", "cost"),
    [
        (Failure.THROTTLED, 5),
        (Failure.FAULTY, 5),
        (Failure.LOST, 10),
        (Failure.UNSENT, 10),
    ],
)
def test_what_a_retry_costs_and_what_success_gives_back(failure, cost):
    """A retry that succeeds costs nothing in the end; one that fails costs 5, or 10 if silent."""
    budget = RetryBudget()
    call = retries(budget)
    again(call, failure)
    assert budget.tokens == RETRY_BUDGET - cost
    call.succeeded()
    assert budget.tokens == RETRY_BUDGET


def test_a_sick_service_is_left_alone_and_success_brings_retries_back():
    """500 tokens are 100 failing retries; then none, until enough first attempts succeeded."""
    budget = RetryBudget()
    assert sum(again(retries(budget)) is not None for _ in range(150)) == 100
    for _ in range(4):
        retries(budget).succeeded()
    assert again(retries(budget)) is None
    retries(budget).succeeded()
    assert again(retries(budget)) is not None


def test_the_budget_does_not_grow_beyond_its_size():
    budget = RetryBudget()
    retries(budget).succeeded()
    assert budget.tokens == RETRY_BUDGET
