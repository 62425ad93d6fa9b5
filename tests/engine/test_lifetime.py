"""How long connections and tokens last, by clocks that disagree."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from connect_chat.engine.lifetime import DEFAULT_LIFETIME, connection_lifetime, token_lifetime

from .harness import T0, grant

DAY = 86_400.0


def by_service(expiry, clock=0.0):
    return connection_lifetime(grant("t", lifetime=expiry, clock=clock))


def by_our_clock(expiry, clock=0.0):
    return connection_lifetime(replace(grant("t", lifetime=expiry, clock=clock), service_time=None))


@pytest.mark.parametrize("clock", [-1e6, 0.0, 7200.0, 1e8])
def test_the_services_own_clock_counts_whatever_ours_says(clock):
    assert by_service(3600.0, clock) == 3600.0
    assert by_service(2.0, clock) == 2.0


@pytest.mark.parametrize("expiry", [0.0, -1.0, -1e9, DAY + 1, 1e9])
def test_an_expiry_that_is_past_or_absurd_becomes_the_usual_hour(expiry):
    assert by_service(expiry) == DEFAULT_LIFETIME


def test_without_the_services_clock_ours_counts_while_it_is_believable():
    assert by_our_clock(3600.0) == 3600.0
    assert by_our_clock(3600.0, clock=60.0) == 3540.0


@pytest.mark.parametrize("clock", [3541.0, 3600.0, 1e8, -3601.0, -1e8])
def test_without_the_services_clock_a_wrong_clock_of_ours_is_not_believed(clock):
    """A lifetime under a minute or over two hours is taken for a wrong clock."""
    assert by_our_clock(3600.0, clock) == DEFAULT_LIFETIME


def test_no_expiry_means_the_usual_hour():
    assert connection_lifetime(grant("t", url=None)) == DEFAULT_LIFETIME


def test_a_token_lasts_until_its_expiry_by_the_services_clock():
    token = grant("t", clock=1e6)
    assert token_lifetime(replace(token, token_expiry=T0 + timedelta(hours=3))) == 10_800.0


@pytest.mark.parametrize(
    "change",
    [
        {"token_expiry": None},
        {"service_time": None},
        {"token_expiry": T0 - timedelta(hours=1)},
        {"token_expiry": T0 + timedelta(days=400)},
    ],
)
def test_a_token_whose_expiry_cannot_be_told_lasts_a_day(change):
    assert token_lifetime(replace(grant("t"), **change)) == DAY
