"""Without a websocket the transcript is read again and again."""

from __future__ import annotations

import pytest

from connect_chat.engine.options import SessionOptions

from .harness import BROKEN, DENIED, THROTTLED, Chat


def polling(*items, **options):
    """Return a chat that polls, its first read answered."""
    chat = Chat(options=SessionOptions(relooks=(), reorder_window=0.0, **options), polling=True)
    assert chat.start() == ["renew the token"]
    assert chat.renewed() == ["read backward, reconnect"]
    chat.page(*items)
    chat.gets()
    return chat


def polls(chat, seconds, *items):
    """Let time pass, answering every read with the same items; return when each was asked for."""
    until, moments = chat.now + seconds, []
    while (due := chat.engine.wake_at) is not None and due <= until:
        chat.passes(due - chat.now)
        while chat.reads:
            moments.append(round(chat.now - until + seconds, 3))
            chat.page(*items)
    chat.passes(until - chat.now)
    return moments


def test_it_is_connected_with_the_token():
    """It counts as connected without a websocket, and never asks for one."""
    chat = polling("m1")
    assert chat.state == "connected"
    assert chat.engine.counters["connections"] == 1
    assert chat.engine.links.asked == 0


def test_the_less_is_said_the_less_often_it_reads():
    """Every second at first, then ever more slowly, down to every ten."""
    chat = polling("m1")
    assert polls(chat, 52.0, "m1") == [
        1.0, 2.5, 4.75, 8.125, 13.188, 20.781, 30.781, 40.781, 50.781,
    ]  # fmt: skip


def test_what_is_said_makes_it_read_often_again():
    chat = polling("m1")
    polls(chat, 60.0, "m1")
    assert polls(chat, 6.0, "m1", "m2") == [0.781, 1.781, 3.281, 5.531]


def test_what_we_say_may_be_answered_soon():
    chat = polling("m1")
    polls(chat, 60.0, "m1")
    chat.send()
    chat.answered("own2")
    assert chat.passes(1.0) == ["read backward, rotate"]


def test_a_read_that_fails_is_a_loss_and_one_that_succeeds_ends_it():
    """What was said meanwhile is read once more, since the transcript may lag."""
    chat = polling("m1")
    chat.passes(1.0)
    chat.page_fails(BROKEN)
    assert chat.state == "reconnecting"
    assert chat.passes(0.25) == ["read backward, rotate"]
    assert chat.page("m1", "m2") == ["read backward, reconnect"]
    assert chat.state == "connected"
    assert chat.gets() == ["m2"]


def test_pages_after_a_loss_are_not_mixed_up():
    """The read that ends the loss is not taken for the one that it begins."""
    chat = polling("m1")
    chat.passes(1.0)
    chat.page_fails(BROKEN)
    chat.passes(0.25)
    chat.page("m3", "m4", more="token")
    assert chat.page("m3", "m4", more="token") == ["read on at token, reconnect"]
    chat.page("m1", "m2")
    assert chat.gets() == ["m2", "m3", "m4"]


def test_a_connection_that_is_refused_for_now_is_asked_for_again():
    chat = Chat(polling=True)
    chat.start()
    assert chat.not_renewed(THROTTLED) == []
    assert chat.passes(7.0) == ["renew the token"]
    assert chat.engine.connection.asking


def test_it_is_given_up_after_the_time_for_that():
    chat = polling("m1", give_up_after=20.0)
    chat.passes(1.0)
    for _ in range(200):
        if chat.reads:
            chat.page_fails(BROKEN)
        chat.passes(0.5)
    assert chat.state == "failed"
    assert chat.engine.error.__cause__ is BROKEN


def test_a_token_that_expired_is_renewed():
    chat = polling("m1")
    chat.passes(1.0)
    assert chat.page_fails(DENIED) == ["renew the token"]
    chat.renewed()
    chat.passes(2.0)
    assert chat.reads[0].connection_token == "token new"


@pytest.mark.parametrize("how", ["end", "close"])
def test_it_stops(how):
    chat = polling("m1")
    if how == "end":
        chat.passes(1.0)
        chat.page("m1", "end2")
        while chat.reads:
            chat.page("m1", "end2")
        assert chat.gets() == ["end2"]
    else:
        chat.close()
    assert chat.passes(1000.0) == []


def test_closing_before_the_connection_came_forgets_it():
    chat = Chat(polling=True)
    chat.start()
    assert chat.close() == ["forget the renewal"]
