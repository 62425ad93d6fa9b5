"""What we say: one call at a time, in its order."""

from __future__ import annotations

from connect_chat.engine.commands import CallService, Outgoing
from connect_chat.engine.outbox import CallResult, Outbox


class Rig:
    """An outbox, its token and its calls."""

    def __init__(self, *said):
        self.token = "token 1"
        self.emitted = []
        self.outbox = Outbox(self.emitted.append, lambda: self.token)
        for call, content in enumerate(said, 1):
            self.outbox.put(call, outgoing(content))

    def calls(self):
        """Return the calls made since the last time, as (content, token)."""
        made = [(one.outgoing.content, one.connection_token) for one in self.emitted]
        assert all(type(one) is CallService for one in self.emitted)
        self.emitted.clear()
        return made


def outgoing(content):
    return Outgoing("SendMessage", content, client_token=f"client token of {content}")


def test_one_call_at_a_time_in_order():
    rig = Rig("a", "b")
    assert rig.calls() == [("a", "token 1")]
    rig.outbox.finish(CallResult(1, "id of a"))
    assert rig.calls() == [("b", "token 1")]
    rig.outbox.finish(CallResult(2, error=ValueError()))
    assert rig.calls() == []
    assert [result.call for result in rig.outbox.results] == [1, 2]


def test_what_is_under_way():
    rig = Rig("a")
    assert rig.outbox.current == 1
    assert rig.outbox.said == outgoing("a")
    rig.outbox.finish(CallResult(1))
    assert rig.outbox.current is None
    assert rig.outbox.said is None


def test_calls_wait_for_a_token():
    rig = Rig()
    rig.token = None
    rig.outbox.put(1, outgoing("a"))
    rig.outbox.resume()
    assert rig.calls() == []
    rig.token = "token 2"
    rig.outbox.resume()
    assert rig.calls() == [("a", "token 2")]


def test_a_call_is_repeated_once_with_a_newer_token_and_the_same_client_token():
    """The ones behind it wait."""
    rig = Rig("a", "b")
    first = rig.emitted[0].outgoing
    rig.calls()
    assert rig.outbox.pause(0.0)
    assert rig.outbox.paused
    rig.token = "token 2"
    rig.outbox.resume()
    assert [one.outgoing for one in rig.emitted] == [first]
    assert rig.calls() == [("a", "token 2")]
    assert not rig.outbox.paused
    assert not rig.outbox.pause(0.0)


def test_each_call_may_be_repeated():
    rig = Rig("a", "b")
    assert rig.outbox.pause(0.0)
    rig.outbox.resume()
    rig.outbox.finish(CallResult(1))
    assert rig.outbox.pause(0.0)


def test_after_a_repetition_in_vain_none_is_tried_for_a_while():
    """It was not the token; a call that succeeds with it tells that it may be the next time."""
    rig = Rig("a", "b", "c", "d")
    rig.outbox.pause(0.0)
    rig.outbox.resume()
    assert not rig.outbox.pause(1.0)
    rig.outbox.finish(CallResult(1, error=ValueError()))
    assert not rig.outbox.pause(60.9)
    assert not rig.outbox.paused
    assert rig.outbox.pause(61.0)
    rig.outbox.resume()
    assert not rig.outbox.pause(62.0)
    rig.outbox.finish(CallResult(2, error=ValueError()))
    rig.outbox.finish(CallResult(3, "id of c"))
    assert rig.outbox.pause(63.0)


def test_a_newer_token_repeats_nothing_that_was_not_refused():
    rig = Rig("a")
    rig.calls()
    rig.token = "token 2"
    rig.outbox.resume()
    assert rig.calls() == []


def test_a_call_that_has_not_begun_is_taken_back():
    rig = Rig("a", "b", "c")
    rig.outbox.withdraw(2)
    rig.outbox.finish(CallResult(1))
    assert rig.calls() == [("a", "token 1"), ("c", "token 1")]


def test_a_call_under_way_is_not_taken_back():
    """What it says may have been taken: the next one must not overtake its repetition."""
    rig = Rig("a", "b")
    rig.outbox.withdraw(1)
    assert rig.outbox.current == 1
    rig.outbox.finish(CallResult(1))
    assert rig.calls() == [("a", "token 1"), ("b", "token 1")]


def test_an_answer_to_another_call_is_ignored():
    rig = Rig("a", "b")
    rig.outbox.finish(CallResult(2))
    rig.outbox.finish(CallResult(9))
    assert rig.outbox.results == []
    assert rig.outbox.current == 1


def test_all_fail_but_the_one_that_may_still_succeed():
    rig = Rig("a", "b", "c")
    over = ValueError()
    rig.outbox.fail_all(over, but_current=True)
    assert rig.outbox.results == [CallResult(2, error=over), CallResult(3, error=over)]
    rig.outbox.finish(CallResult(1, "id of a"))
    assert rig.outbox.results[-1] == CallResult(1, "id of a")


def test_one_that_waits_for_a_token_cannot_succeed_any_more():
    rig = Rig("a", "b")
    rig.outbox.pause(0.0)
    rig.outbox.fail_all(ValueError(), but_current=True)
    assert [result.call for result in rig.outbox.results] == [1, 2]
    assert (rig.outbox.current, rig.outbox.paused) == (None, False)


def test_all_fail_at_once():
    rig = Rig("a", "b")
    rig.outbox.fail_all(ValueError(), but_current=False)
    assert [result.call for result in rig.outbox.results] == [1, 2]
    rig.outbox.finish(CallResult(1))
    assert len(rig.outbox.results) == 2
