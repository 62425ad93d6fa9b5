"""Times and bounds."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from connect_chat import ConfigurationError, SessionOptions

MAY_BE_ZERO = {
    "audit_interval", "backoff_base", "echo_wait", "merge_wait", "overlap", "receipt_hold",
    "receipt_interval", "reorder_window", "rotation_jitter",
}  # fmt: skip
NUMBERS = [field.name for field in fields(SessionOptions) if field.name != "relooks"]


def test_the_defaults_are_valid_and_cannot_be_changed():
    options = SessionOptions()
    with pytest.raises(FrozenInstanceError):
        options.buffer = 1


def test_every_option_is_documented():
    for field in fields(SessionOptions):
        assert f"{field.name}: " in SessionOptions.__doc__


@pytest.mark.parametrize("name", NUMBERS)
def test_no_option_may_be_negative(name):
    with pytest.raises(ConfigurationError, match=f"{name} must be"):
        SessionOptions(**{name: -1})


@pytest.mark.parametrize("name", NUMBERS)
def test_zero_is_for_what_can_be_switched_off(name):
    if name in MAY_BE_ZERO:
        assert getattr(SessionOptions(**{name: 0}), name) == 0
    else:
        with pytest.raises(ConfigurationError, match=f"{name} must be more than 0; got 0"):
            SessionOptions(**{name: 0})


@pytest.mark.parametrize("relooks", [(), (1.0,), (0.5, 1.0, 20.0)])
def test_looks_that_rise(relooks):
    assert SessionOptions(relooks=relooks).relooks == relooks


@pytest.mark.parametrize("relooks", [(0.0,), (-1.0, 1.0), (3.0, 1.0), (1.0, 1.0)])
def test_looks_that_do_not_rise(relooks):
    with pytest.raises(ConfigurationError, match="relooks"):
        SessionOptions(relooks=relooks)


def test_silence_must_be_longer_than_a_heartbeat():
    """Or every quiet link would count as dead."""
    assert SessionOptions(heartbeat_interval=5, silence_timeout=5.1)
    with pytest.raises(ConfigurationError, match="silence_timeout"):
        SessionOptions(heartbeat_interval=5, silence_timeout=5)


def test_a_url_must_be_opened_before_the_service_lets_it_die():
    """Within 100 s of its issue, the time that opening takes included."""
    assert SessionOptions(url_lifetime=50, open_timeout=50)
    with pytest.raises(ConfigurationError, match="100 s"):
        SessionOptions(url_lifetime=85, open_timeout=16)
