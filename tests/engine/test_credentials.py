"""The connection token."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from connect_chat.engine.commands import RequestConnection
from connect_chat.engine.credentials import Credentials
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.timers import Timers

from .harness import T0, Middling, grant


class Rig:
    """A token, and what is asked for."""

    def __init__(self, token=None):
        self.timers = Timers()
        self.emitted = []
        numbers = iter(range(1, 100))
        self.credentials = Credentials(
            token, SessionOptions(), self.timers, Middling(), self.emitted.append,
            numbers.__next__,
        )  # fmt: skip

    def asked(self):
        found = [one for one in self.emitted if isinstance(one, RequestConnection)]
        self.emitted.clear()
        return found


def test_the_token_of_an_earlier_process_is_used_until_there_is_another():
    rig = Rig("old")
    assert rig.credentials.current() == "old"
    rig.credentials.granted(grant("new"), 0.0)
    assert rig.credentials.current() == rig.credentials.token == "new"


def test_it_is_renewed_before_it_expires():
    """At nine tenths of its life."""
    rig = Rig()
    lasting = replace(grant("new"), token_expiry=T0 + timedelta(hours=10))
    rig.credentials.granted(lasting, 100.0)
    assert rig.timers.next == 100.0 + 9 * 3600.0


def test_a_renewal_asks_for_credentials_alone_and_only_once():
    rig = Rig()
    rig.credentials.renew()
    rig.credentials.renew()
    assert rig.asked() == [RequestConnection(1, False, "reconnect", None)]
    assert rig.credentials.awaits(1)


def test_any_new_token_answers_a_renewal():
    rig = Rig()
    rig.credentials.renew()
    rig.credentials.granted(grant("of another connection"), 0.0)
    assert not rig.credentials.awaits(1)


def test_a_renewal_that_fails_is_repeated_after_a_growing_pause():
    rig = Rig()
    waits = []
    for _ in range(4):
        rig.credentials.renew()
        rig.credentials.failed(None, 0.0)
        waits.append(rig.timers.next)
        rig.credentials.wake()
    assert waits == [0.25, 0.5, 1.0, 2.0]
    rig.credentials.granted(grant("new"), 0.0)
    rig.credentials.failed(None, 0.0)
    assert rig.timers.next == 0.25


def test_the_service_may_ask_for_a_longer_pause():
    """It holds for whoever wants a token meanwhile, too; a token from elsewhere ends it."""
    rig = Rig()
    rig.credentials.renew()
    rig.asked()
    rig.credentials.failed(7.0, 10.0)
    assert rig.timers.next == 17.0
    rig.credentials.renew()
    assert rig.asked() == []
    rig.credentials.wake()
    rig.credentials.renew()
    assert len(rig.asked()) == 1
    rig.credentials.failed(7.0, 20.0)
    rig.credentials.granted(grant("of another connection"), 21.0)
    rig.credentials.renew()
    assert len(rig.asked()) == 1
