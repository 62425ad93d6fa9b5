"""A chat goes on in another session, as in another process, from a snapshot."""

from __future__ import annotations

import asyncio

import pytest

from connect_chat import ChatEnded, ChatEndedError, ChatSession, Message, Snapshot

from .support import PATIENCE, messages, numbered, quick, rest, running, texts


def resume(rig, snapshot):
    return ChatSession.resume(snapshot, client=rig.client, options=quick(), on_trace=rig.traces)


async def test_nothing_is_lost_or_repeated_between_two_sessions():
    """What was received before the snapshot stays received; all the rest comes, once."""
    async with running() as rig:
        agent = await rig.agent()
        async with rig.session() as first:
            for text in numbered(10):
                await agent.say(text)
            assert await texts(first, 6) == numbered(10)[:6]
            snapshot = first.snapshot()
        await agent.say("in between")
        async with resume(rig, snapshot) as second:
            await agent.say("after")
            assert await texts(second, 6) == [*numbered(10)[6:], "in between", "after"]
            assert second.contact_id == rig.contact_id
            assert second.stats["late"] == 0


async def test_a_snapshot_taken_before_handling_delivers_again():
    """At least once from it: what was received after it was taken comes again."""
    async with running() as rig:
        agent = await rig.agent()
        async with rig.session() as first:
            for text in numbered(4):
                await agent.say(text)
            assert await texts(first, 2) == numbered(4)[:2]
            snapshot = first.snapshot()
            assert await texts(first, 2) == numbered(4)[2:]
        async with resume(rig, snapshot) as second:
            assert await texts(second, 2) == numbered(4)[2:]


async def test_again_and_again_through_text():
    """Each message is handled by a session of its own, resumed from what the last one wrote."""
    async with running() as rig:
        agent = await rig.agent()
        async with rig.session() as chat:
            snapshot = chat.snapshot()
        for text in numbered(10):
            await agent.say(text)
        heard = []
        for _ in range(10):
            async with resume(rig, snapshot) as chat:
                heard += await texts(chat, 1)
                await chat.send(f"answer to {heard[-1]}")
                snapshot = chat.snapshot().dump()
        assert heard == numbered(10)
        assert len(rig.said()) == 20


async def test_our_own_messages_stay_our_own():
    """The resumed session knows its participant without having said anything."""
    async with running() as rig:
        agent = await rig.agent()
        async with rig.session() as first:
            await first.send("mine")
            await agent.say("theirs")
            await first.wait_for(Message, PATIENCE)
            before = first.snapshot()
            await first.send("mine, unread")
        async with resume(rig, before) as second:
            assert second.participant_id == rig.chat.participant_id
            await agent.say("after")
            assert await texts(second, 1) == ["after"]


async def test_two_sessions_at_once_do_not_harm_each_other():
    """A hand-over may overlap: the new session is up before the old one goes."""
    async with running() as rig, rig.session() as first:
        agent = await rig.agent()
        await agent.say("one")
        assert await texts(first, 1) == ["one"]
        async with resume(rig, first.snapshot()) as second:
            await agent.say("two")
            assert await texts(first, 1) == await texts(second, 1) == ["two"]


async def test_a_chat_that_ended_in_between():
    """What can still be read is delivered, then an inferred end; nothing can be sent."""
    async with running() as rig:
        async with rig.session() as first:
            snapshot = first.snapshot()
        rig.emulator.end_chat(rig.contact_id)
        async with resume(rig, snapshot) as second:
            end = (await rest(second))[-1]
            assert isinstance(end, ChatEnded)
            assert end.inferred
            with pytest.raises(ChatEndedError):
                await second.send("too late")


async def test_a_reader_far_behind_is_resumed_where_it_stood():
    """Beyond its buffer, the session's reader counts only what it was given."""
    async with running() as rig:
        agent = await rig.agent()
        async with rig.session(options=quick(buffer=5)) as first:
            for text in numbered(40):
                await agent.say(text)
            await first.wait_for(
                lambda item: isinstance(item, Message) and item.text == "message 0", PATIENCE
            )
            assert await texts(first, 9) == numbered(40)[1:10]
            snapshot = first.snapshot()
        async with resume(rig, snapshot) as second:
            assert await texts(second, 30) == numbered(40)[10:]


async def test_a_snapshot_keeps_its_tokens_to_itself():
    """They are in the text that ``dump`` writes, and nowhere else."""
    async with running() as rig, rig.session() as chat:
        await asyncio.sleep(0)
        snapshot = chat.snapshot()
        token = rig.chat.participant_token
        assert token not in repr(snapshot)
        assert token not in str(snapshot.model_dump())
        assert token not in snapshot.model_dump_json()
        assert token in snapshot.dump()
        assert Snapshot.load(snapshot.dump()) == snapshot


@pytest.mark.parametrize("text", ["", "{}", '{"version": 2, "participant_token": "hush"}', b"\xff"])
def test_what_is_no_snapshot_is_refused(text):
    """The error quotes nothing of it, since it may be a secret."""
    with pytest.raises(ValueError) as caught:
        ChatSession.resume(text, endpoint_url="http://127.0.0.1:1")
    assert "hush" not in str(caught.value)


async def test_a_snapshot_of_a_session_that_has_ended_or_not_begun():
    """It can be taken in every state."""
    async with running() as rig:
        session = rig.session()
        new = session.snapshot()
        async with session as chat:
            rig.emulator.end_chat(rig.contact_id)
            await rest(chat)
            ended = chat.snapshot()
        closed = chat.snapshot()
        assert ended == closed
        for snapshot in (new, ended):
            assert snapshot.participant_token.get_secret_value() == rig.chat.participant_token
        async with resume(rig, ended) as again:
            assert messages(await rest(again)) == []
