"""What another process needs to go on with a chat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connect_chat.engine.commands import Position, ReadTranscript
from connect_chat.engine.inbox import MEMORY
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.snapshot import Snapshot

from .harness import BROKEN, INVALID, Chat, at, connected, item, names, prop
from .transcript import Refused, Transcript

SNAPSHOT = Snapshot(
    participant_token="participant-secret",
    connection_token="connection-secret",
    anchor_id="m5",
    anchor_time=at(5),
    seen=(("m5", at(5)),),
)


class TestSecrets:
    """Its tokens are in the clear only where they were asked for."""

    @pytest.mark.parametrize(
        "shown",
        [repr(SNAPSHOT), str(SNAPSHOT), str(SNAPSHOT.model_dump()), SNAPSHOT.model_dump_json()],
    )
    def test_they_are_hidden(self, shown):
        assert "participant-secret" not in shown
        assert "connection-secret" not in shown

    def test_a_dump_has_them(self):
        assert "participant-secret" in SNAPSHOT.dump()
        assert Snapshot.load(SNAPSHOT.dump()) == SNAPSHOT

    @pytest.mark.parametrize(
        "text",
        ['{"participant_token": 7, "seen": "participant-secret"}', "participant-secret", "[]", ""],
    )
    def test_what_is_not_a_snapshot_is_not_quoted(self, text):
        with pytest.raises(ValueError) as caught:
            Snapshot.load(text)
        assert "participant-secret" not in str(caught.value)

    def test_a_snapshot_of_another_layout_is_refused(self):
        with pytest.raises(ValidationError):
            Snapshot.load(SNAPSHOT.dump().replace('"version":1', '"version":2'))


TIMES = st.datetimes(timezones=st.just(at(0).tzinfo))
TEXT = st.text(st.characters(codec="utf-8"))


@prop
@given(
    st.builds(
        Snapshot,
        participant_token=TEXT,
        connection_token=st.none() | TEXT,
        participant_id=st.none() | TEXT,
        participant_role=st.none() | TEXT,
        contact_id=st.none() | TEXT,
        anchor_id=st.none() | TEXT,
        anchor_time=st.none() | TIMES,
        floor=st.none() | TIMES,
        seen=st.lists(st.tuples(TEXT, TIMES)).map(tuple),
        last_time=st.none() | TIMES,
    )
)
def test_any_snapshot_comes_back_as_it_was(snapshot):
    assert Snapshot.load(snapshot.dump()) == snapshot
    assert Snapshot.load(snapshot.dump().encode()).dump() == snapshot.dump()


def test_what_a_session_knows():
    chat = connected("m1", "m2")
    snapshot = chat.engine.snapshot()
    assert snapshot.participant_token.get_secret_value() == "participant-token"
    assert snapshot.connection_token.get_secret_value() == "token A"
    assert snapshot.contact_id == "contact-1"
    assert snapshot.seen == (("m1", at(1)), ("m2", at(2)))
    assert snapshot.last_time == at(2)


def test_what_was_not_handed_out_is_not_read():
    """Neither what is buffered, nor what waits for its turn, nor what may be our echo."""
    chat = connected("m1", "m2", options=SessionOptions(relooks=(), reorder_window=1.0))
    chat.says("A", "m3")
    chat.passes(1.0)
    chat.send()
    chat.says("A", "m4")
    chat.passes(1.0)
    chat.says("A", "m5")
    assert names(chat.engine.echoes.waiting) == ["m4"]
    assert [name for name, _ in chat.engine.snapshot().seen] == ["m1", "m2"]


@pytest.mark.parametrize("accepted", [True, False])
def test_what_was_not_handed_out_is_resumed_though_it_lies_before_the_anchor(accepted):
    """The session has long verified it; only its reader has not come that far."""
    transcript = Transcript([item(f"m{second}") for second in (1, 2, 50, 100, 200)])
    transcript.ids = transcript.times = accepted
    handled, snapshot = process(None, transcript, most=2)
    assert handled == ["m1", "m2"]
    assert snapshot.anchor_id == "m2"
    assert process(snapshot, transcript)[0] == ["m50", "m100", "m200"]


def test_what_was_not_handed_out_is_resumed_though_it_stands_where_the_anchor_does():
    """One of the same time that came late may have its place before the anchor's."""
    options = SessionOptions(relooks=(), reorder_window=0.0, overlap=0.0)
    chat = connected("m1", "m5b", options=options)
    assert chat.engine.snapshot().anchor_id == "m5b"
    chat.says("A", "m5a")
    snapshot = chat.engine.snapshot()
    transcript = Transcript([item(name) for name in ("m1", "m5a", "m5b")])
    assert process(snapshot, transcript)[0] == ["m5a"]


def test_what_a_reader_far_behind_has_had_is_not_repeated(monkeypatch):
    """Also if the inbox has forgotten it since."""
    monkeypatch.setattr("connect_chat.engine.inbox.MEMORY", 4)
    chat = connected("m1", options=SessionOptions(reorder_window=0, relooks=(), buffer=2))
    chat.says("A", "m50")
    assert chat.gets() == ["m50"]
    chat.says("A", *(f"m{number}" for number in range(6, 20)))
    chat.engine.inbox.move_anchor(Position("m90", at(90)))
    chat.says("A", *(f"m{number}" for number in range(91, 110)))
    assert "m50" not in {place.id for place in chat.engine.inbox.since(0)}
    snapshot = chat.engine.snapshot()
    assert "m50" in dict(snapshot.seen)
    assert not {"m6", "m19", "m109"} & dict(snapshot.seen).keys()


def test_a_reader_far_behind_is_resumed_where_it_stood():
    """Though the session remembers most of what it has missed no more."""
    transcript = Transcript([item(f"m{second}") for second in range(MEMORY + 500)])
    handled, snapshot = process(None, transcript, most=3, bound=2)
    handled += process(snapshot, transcript)[0]
    assert handled == names(transcript.items)


def test_a_new_session_has_one_too():
    snapshot = Chat().engine.snapshot()
    assert snapshot.seen == ()
    assert snapshot.connection_token is None


def process(snapshot, transcript, *, most=10_000, live=(), bound=1000, options=None):
    """Run a session from a snapshot: read everything, then hear what is said live; return it.

    Args:
        snapshot: Where to begin, None for the beginning.
        transcript: What it reads.
        most: How many items it handles, at most.
        live: What it hears after it has read the transcript.
        bound: Its reader's buffer.
        options: See `SessionOptions`.
    """
    chat = Chat(
        options=options or SessionOptions(relooks=(), reorder_window=0.0, buffer=bound),
        snapshot=None if snapshot is None else Snapshot.load(snapshot.dump()),
    )
    chat.start()
    chat.granted("A")
    chat.opened("A")
    chat.accepted("A")
    handled = []
    for heard in (None, *live):
        if heard is not None:
            chat.says("A", heard)
        while True:
            serve(chat, transcript)
            got = chat.take(limit=most - len(handled))
            handled += got
            if not got and not chat.reads:
                break
    return names(handled), chat.engine.snapshot()


def serve(chat, transcript):
    """Answer what is read until nothing more is."""
    while chat.reads:
        read = chat.reads.pop(0)
        assert isinstance(read, ReadTranscript)
        try:
            page = transcript.get(read.query)
        except Refused:
            chat._tell(chat.engine.page_failed, read.request, INVALID)
            chat.passes(5.0)
        else:
            chat._tell(chat.engine.page_read, read.request, *page)


def test_an_item_that_a_gap_still_lacks_is_not_counted_as_read():
    """However many items came after it, live, while the transcript could not be read."""
    chat = connected("m1", options=SessionOptions(reorder_window=0.0, merge_wait=1.0))
    chat.closed("A")
    chat.granted("B")
    chat.opened("B")
    chat.accepted("B")
    chat.page_fails(BROKEN)
    said = [f"m{second}" for second in range(3, 600)]
    chat.says("B", *said)
    chat.passes(1.0)
    assert chat.gets() == said
    transcript = Transcript([item(name) for name in ("m1", "m2", *said)])
    assert process(chat.engine.snapshot(), transcript)[0] == ["m2"]


def test_a_long_history_is_not_repeated_by_a_resumed_sessions_own_snapshot():
    """What an earlier process had read stays read from one snapshot to the next."""
    said = [item(f"m{second / 20:.2f}") for second in range(MEMORY)]
    transcript = Transcript(said[:400])
    snapshot = None
    handled = []
    for end in (400, 500, 600, 700):
        transcript.items = said[:end]
        got, snapshot = process(snapshot, transcript)
        handled += got
    transcript.ids = transcript.times = False
    handled += process(snapshot, transcript)[0]
    assert handled == names(said[:700])


@prop
@given(st.data())
def test_a_chain_of_processes_handles_each_item_once(data):
    """Whatever each has handled when it stops, and whatever positions the service accepts."""
    pace = data.draw(st.sampled_from([1, 20]))
    seconds = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=40).map(sorted))
    seconds = [second * pace for second in seconds]
    said = [f"m{second}{chr(97 + i % 26)}{chr(97 + i // 26)}" for i, second in enumerate(seconds)]
    transcript = Transcript([], page=data.draw(st.integers(1, 30)))
    transcript.ids, transcript.times = data.draw(st.booleans()), data.draw(st.booleans())
    snapshot, handled, begin = None, [], 0
    for end in sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=4))):
        known = data.draw(st.integers(begin, end))
        transcript.items = [item(name) for name in said[:known]]
        got, snapshot = process(
            snapshot,
            transcript,
            most=data.draw(st.integers(0, 40)),
            live=said[known:end],
            bound=data.draw(st.sampled_from([2, 1000])),
        )
        handled += got
        begin = end
    transcript.items = [item(name) for name in said]
    handled += process(snapshot, transcript)[0]
    assert sorted(name.split()[0] for name in handled) == sorted(said)
