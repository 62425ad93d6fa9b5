"""Waits that grow."""

from __future__ import annotations

from random import Random

from connect_chat.engine.backoff import Backoff

from .harness import Middling


def test_the_bound_doubles_up_to_the_cap_and_begins_again():
    """With the jitter always in the middle, each wait is half its bound."""
    backoff = Backoff(0.5, 30.0, Middling())
    assert [backoff.next() for _ in range(9)] == [0.25, 0.5, 1, 2, 4, 8, 15, 15, 15]
    assert backoff.tries == 9
    backoff.reset()
    assert (backoff.tries, backoff.next()) == (0, 0.25)


def test_full_jitter():
    """Waits spread over all of 0 … bound, and differ between two random sources."""
    waits = [Backoff(8.0, 30.0, Random(seed)).next() for seed in range(200)]
    assert 0 <= min(waits) < 1
    assert 7 < max(waits) <= 8


def test_a_very_long_series_does_not_overflow():
    backoff = Backoff(0.5, 30.0, Middling())
    assert [backoff.next() for _ in range(5000)][-1] == 15
