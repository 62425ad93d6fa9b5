"""Fleets that share a quota, scaled down; ``make simulate-fleet`` runs them at full size."""

from __future__ import annotations

import pytest

from connect_chat import Rate

from .fleet import main
from .fleet_scenarios import cut, cut_plain, days, days_plain, noisy, restored


def test_a_cut_of_all_sockets() -> None:
    """All are live again within 1.05 of the floor, nothing is throttled, and sends go on."""
    outcome = cut(300)
    assert outcome.took <= 1.05 * outcome.floor
    assert (outcome.calls, outcome.throttled) == (300, 0)
    assert outcome.reads_throttled == 0
    assert outcome.sends > 200
    assert outcome.sends_throttled == 0
    assert outcome.send_wait < 2.0


def test_the_looks_after_a_cut_do_not_hold_anything_up() -> None:
    """Reading again is put off, but comes to its end soon after."""
    outcome = cut(200)
    assert outcome.reads == 4 * 200
    assert outcome.read_through <= outcome.reads / 8.0 + 15.0


def test_what_plain_backoff_does_after_a_cut() -> None:
    """Several refusals for each connection; with a limit on attempts, chats that are lost."""
    outcome = cut_plain(500)
    assert outcome.throttled > 1000
    assert outcome.took > outcome.floor
    assert cut_plain(500, attempts=5).broken > 100


@pytest.mark.parametrize(("per_second", "refused"), [(1.0, 0.2), (3.0, 0.05)])
def test_a_quota_lower_than_assumed(per_second: float, refused: float) -> None:
    """The client finds out: few calls are refused, and all that is granted is used."""
    outcome = cut(200, granted=Rate(per_second, 5), sends_per_second=0.0)
    assert outcome.broken == 0
    assert outcome.took <= 1.05 * outcome.floor
    assert 0 < outcome.throttled <= refused * outcome.calls


@pytest.mark.parametrize("lifetime", [3540.0, 3600.0])
def test_hours_of_rotation(lifetime: float) -> None:
    """Nobody is deaf for a moment, no call is throttled, and rotations do not bunch."""
    outcome = days(600, 3.0, lifetime=lifetime)
    assert outcome.rotations >= 1200
    assert (outcome.deaf, outcome.throttled, outcome.missed) == (0, 0, 0)
    assert outcome.busiest < 90


def test_as_many_as_the_quota_can_keep() -> None:
    """500 sockets of 100 s need 5 of the 6 calls a second; nobody is deaf for a moment."""
    outcome = days(500, 0.15, lifetime=100.0)
    assert (outcome.deaf, outcome.throttled) == (0, 0)


def test_sockets_that_all_expire_at_once() -> None:
    """Six hundred rotate in time, though asked for within four minutes, and hardly bunch again."""
    outcome = days(600, 3.0, at_once=True)
    assert (outcome.deaf, outcome.throttled) == (0, 0)


def test_rotations_wait_while_many_reconnect() -> None:
    """Half of the fleet is cut; once all are live nobody is deaf, then or an hour later."""
    outcome = days(600, 3.5, cut_after=1.5, cut_share=0.5)
    assert (outcome.deaf, outcome.throttled) == (0, 0)


def test_what_plain_backoff_does_in_hours() -> None:
    outcome = days_plain(1000, 4.0)
    assert outcome.throttled > 5000


def test_a_noisy_chat_starves_nobody() -> None:
    """Quiet chats' messages wait for each other only, not for those 50."""
    assert noisy(minutes=2.0).quiet < 2.0
    assert noisy(minutes=2.0, fair=False).quiet > 5.0


def test_restoring_after_a_restart() -> None:
    """Newest first, longer than connect_timeout, while new chats begin at once."""
    outcome = restored(450)
    assert outcome.took <= 1.05 * outcome.floor + outcome.begun / 6.0
    assert outcome.failed == 0
    assert outcome.disordered <= 10
    assert outcome.begun >= 7
    assert outcome.begin_wait < 1.0
    assert outcome.throttled == 0


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the tables and says whether all is as it must be."""
    scale = ["--cut", "100", "--chats", "100", "--hours", "2", "--plain-hours", "1"]
    assert main([*scale, "--jobs", "1"]) == 0
    assert "as it must be" in capsys.readouterr().out
