"""Beginning a chat at its first connection."""

from __future__ import annotations

from connect_chat.engine.beginning import Beginning
from connect_chat.engine.commands import Position, ReadTranscript
from connect_chat.engine.inbox import Inbox

from .harness import at, grant, item


class Rig:
    """A beginning with a connection that waits."""

    def __init__(self):
        self.inbox = Inbox(0.0)
        self.emitted = []
        self.beginning = Beginning(self.inbox, self.emitted.append, lambda: 42, pending=True)
        self.grant = grant("token")
        self.beginning.hold(7, self.grant, 100.0)


def test_the_newest_item_is_read_before_the_connection_is_used():
    """With the token of the connection that waits."""
    rig = Rig()
    (read,) = rig.emitted
    assert isinstance(read, ReadTranscript)
    assert (read.request, read.connection_token, read.urgency) == (42, "token", "reconnect")
    assert read.query == {"scan_direction": "BACKWARD", "sort_order": "ASCENDING", "max_results": 1}
    assert rig.beginning.awaits(42)
    assert not rig.beginning.awaits(7)


def test_everything_up_to_it_counts_as_delivered():
    rig = Rig()
    assert rig.beginning.found([item("m5")]) == (7, rig.grant, 100.0)
    assert not rig.beginning.pending
    assert rig.inbox.anchor == Position("m5", at(5))
    assert rig.inbox.knows(item("m4"))
    assert not rig.beginning.awaits(42)


def test_an_empty_chat_begins_with_its_first_item():
    rig = Rig()
    assert rig.beginning.found([]) == (7, rig.grant, 100.0)
    assert not rig.beginning.pending
    assert rig.inbox.anchor is None


def test_it_is_tried_again_with_another_connection_if_the_page_cannot_be_read():
    rig = Rig()
    assert rig.beginning.not_found() == (7, rig.grant, 100.0)
    assert rig.beginning.pending
    assert rig.beginning.grant is None
    assert not rig.beginning.awaits(42)
