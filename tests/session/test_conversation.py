"""Two sides of one chat talk: what arrives, what does not, and how it is read."""

from __future__ import annotations

import asyncio

import pytest

from connect_chat import (
    ChatEnded,
    ChatEndedError,
    InvalidContentError,
    Message,
    NotConnectedError,
    ParticipantClient,
    ParticipantJoined,
    Typing,
)

from .support import PATIENCE, messages, numbered, quick, rest, running, texts, until


async def test_both_sides_hear_each_other():
    """What we send reaches the transcript with the Id we are told; what they say reaches us."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        sent = await chat.send("Hello", client_token="t-1")
        said = await agent.say("Hello, Ana")
        heard = await chat.wait_for(Message, PATIENCE)
        assert (heard.id, heard.text, heard.participant_role) == (said.id, "Hello, Ana", "AGENT")
        kept = rig.emulator.transcript(rig.contact_id)
        assert [item["Id"] for item in kept if item.get("Content") == "Hello"] == [sent.id]
        assert sent.client_token == "t-1"
        assert sent.absolute_time is not None
        assert (chat.state, chat.contact_id) == ("connected", rig.contact_id)
        assert chat.connected_at is not None


async def test_markdown_and_json_are_sent_as_such():
    """Each kind of content goes out under its own content type."""
    async with running() as rig, rig.session() as chat:
        await chat.send_markdown("**bold**")
        await chat.send_json({"answer": 42})
        kept = rig.emulator.transcript(rig.contact_id)
        assert [(i["ContentType"], i["Content"]) for i in kept if i["Type"] == "MESSAGE"] == [
            ("text/markdown", "**bold**"),
            ("application/json", '{"answer":42}'),
        ]


async def test_our_own_echo_is_not_delivered():
    """Not knowing our participant id, the session still tells our messages from others'."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        for number in range(3):
            await chat.send(f"mine {number}")
            await agent.say(f"theirs {number}")
        assert await texts(chat, 3) == [f"theirs {number}" for number in range(3)]
        assert chat.participant_id == rig.chat.participant_id


async def test_an_echo_that_overtakes_its_answer_is_not_delivered():
    """The answer to SendMessage is lost and repeated long after the echo has arrived."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        rig.emulator.fail_next("SendMessage", None, after_work=True)
        await chat.send("mine")
        await agent.say("theirs")
        assert await texts(chat, 1) == ["theirs"]
        assert rig.said() == ["mine", "theirs"]


async def test_own_messages_are_delivered_when_asked_for():
    """With ``own`` our messages come in their place, marked as ours."""
    async with running() as rig, rig.session(own=True) as chat:
        agent = await rig.agent()
        await chat.send("mine")
        await agent.say("theirs")
        await agent.leave()
        rig.emulator.end_chat(rig.contact_id)
        heard = [item for item in await rest(chat) if isinstance(item, Message)]
        assert [(item.text, item.from_me) for item in heard] == [("mine", True), ("theirs", False)]


async def test_what_was_said_before_we_connected_is_delivered():
    """The flow's greeting, said before there was a socket, comes first and once."""
    async with running() as rig:
        await rig.emulator.say(rig.contact_id, "Welcome")
        agent = await rig.agent()
        await agent.say("Hello")
        async with rig.session() as chat:
            await agent.say("Are you there?")
            assert await texts(chat, 3) == ["Welcome", "Hello", "Are you there?"]
            assert chat.stats["late"] == 0


async def test_from_start_can_be_declined():
    """With ``from_start=False`` the chat begins where we connect."""
    async with running() as rig:
        await rig.emulator.say(rig.contact_id, "Welcome")
        async with rig.session(from_start=False) as chat:
            await rig.emulator.say(rig.contact_id, "Now")
            assert await texts(chat, 1) == ["Now"]


async def test_receive_gives_up_in_time_and_loses_nothing():
    """After a TimeoutError the next item is still there."""
    async with running() as rig, rig.session(from_start=False) as chat:
        agent = await rig.agent()
        assert isinstance(await chat.receive(PATIENCE), ParticipantJoined)  # our own
        assert isinstance(await chat.receive(PATIENCE), ParticipantJoined)
        with pytest.raises(TimeoutError):
            await chat.receive(timeout=0.01)
        await agent.say("Hello")
        assert await texts(chat, 1) == ["Hello"]


async def test_ask_returns_the_answer():
    """The answer is taken out of the iteration; what was said before stays in it."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        await agent.say("before")
        asking = asyncio.create_task(chat.ask("How are you?", timeout=PATIENCE))
        await until(lambda: "How are you?" in rig.said())
        await agent.type()
        await agent.say("Fine")
        await agent.say("after")
        assert (await asking).text == "Fine"
        assert await texts(chat, 2) == ["before", "after"]


async def test_ask_gives_up_in_time():
    """Nobody answers: TimeoutError, though the question has been asked."""
    async with running() as rig, rig.session() as chat:
        with pytest.raises(TimeoutError):
            await chat.ask("Anybody?", timeout=0.05)
        assert rig.said() == ["Anybody?"]


async def test_wait_for_leaves_the_rest_to_be_received():
    """A type, or a predicate, picks its item; everything before it stays in order."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        for text in ("one", "two", "three"):
            await agent.say(text)
        third = await chat.wait_for(
            lambda item: isinstance(item, Message) and item.text == "three", PATIENCE
        )
        assert third.content == "three"
        assert (await chat.wait_for(Message, PATIENCE)).text == "one"
        assert await texts(chat, 1) == ["two"]
        with pytest.raises(TimeoutError):
            await chat.wait_for(Message, timeout=0.01)
        rig.emulator.end_chat(rig.contact_id)
        assert isinstance(await chat.wait_for((Typing, ChatEnded), PATIENCE), ChatEnded)
        with pytest.raises(ChatEndedError):
            await chat.wait_for(Typing, PATIENCE)


async def test_subscribed_readers_are_independent():
    """Each reader gets everything from when it was opened on, at its own pace."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        await agent.say("before")
        assert await texts(chat, 1) == ["before"]
        async with chat.subscribe() as early, chat.subscribe() as late:
            await agent.say("one")
            assert await texts(early, 1) == ["one"]
            await agent.say("two")
            assert await texts(early, 1) == ["two"]
            assert await texts(chat, 2) == ["one", "two"]
            assert await texts(late, 2) == ["one", "two"]
        await agent.say("three")
        assert await texts(chat, 1) == ["three"]


async def test_a_reader_that_falls_behind_loses_nothing():
    """Far beyond its buffer it is caught up from the transcript, while another one keeps pace."""
    async with running() as rig, rig.session(options=quick(buffer=10)) as chat:
        agent = await rig.agent()
        said = numbered(50)
        async with chat.subscribe() as other:
            for text in said:
                await agent.say(text)
                assert await texts(other, 1) == [text]
        assert await texts(chat, 50) == said
        assert chat.stats["catchups"] >= 1


async def test_typing_is_throttled():
    """However often it is called, the others see it once in ten seconds."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        async with rig.session(await rig.participant_token("CUSTOM_BOT")) as bot:
            for _ in range(5):
                await chat.typing()
            await agent.say("done")
            heard = []
            while not messages(heard):
                heard.append(await bot.receive(PATIENCE))
        assert sum(isinstance(item, Typing) for item in heard) == 1
        assert rig.client.stats.calls["SendEvent"] == 1


@pytest.mark.parametrize("trouble", [503, "ThrottlingException"])
async def test_typing_does_not_raise_for_a_passing_trouble(trouble):
    """A service that is throttled or out of reach is no reason for a bot to fall over."""
    async with (
        running() as rig,
        ParticipantClient(endpoint_url=rig.proxy.url, quota=None, max_attempts=1) as client,
        rig.session(client=client) as chat,
    ):
        rig.emulator.fail_next("SendEvent", trouble)
        await chat.typing()
        assert client.stats.calls["SendEvent"] == 1


async def test_sends_of_many_tasks_are_all_said_in_their_order():
    """Twenty tasks send at once: everything is said, in the order of the calls."""
    async with running() as rig, rig.session() as chat:
        async with asyncio.TaskGroup() as group:
            for text in numbered(20):
                group.create_task(chat.send(text))
        assert rig.said() == numbered(20)


async def test_a_message_with_the_same_client_token_is_said_once():
    """The caller's own token makes a repetition harmless."""
    async with running() as rig, rig.session() as chat:
        first = await chat.send("Hello", client_token="once")
        again = await chat.send("Hello", client_token="once")
        assert first.id == again.id
        assert rig.said() == ["Hello"]


async def test_a_content_beyond_the_limits_is_refused_before_it_is_sent():
    """The error names the limit, and the chat goes on."""
    async with running() as rig, rig.session() as chat:
        with pytest.raises(InvalidContentError, match="1,024"):
            await chat.send("x" * 1025)
        await chat.send("short")
        assert rig.said() == ["short"]


async def test_a_session_is_used_inside_async_with_only():
    """Before, after and a second time: an error that says so."""
    async with running() as rig:
        chat = rig.session()
        with pytest.raises(NotConnectedError, match="async with"):
            await chat.send("too early")
        async with chat:
            pass
        with pytest.raises(NotConnectedError, match="not open"):
            await chat.send("too late")
        with pytest.raises(NotConnectedError, match="closed"):
            await chat.receive(PATIENCE)
        with pytest.raises(NotConnectedError, match="once"):
            async with chat:
                pass
        await chat.aclose()
        assert chat.state == "closed"
        assert rig.said() == []


async def test_leaving_the_block_leaves_the_participant_in_the_chat():
    """Our end closes; the chat runs on."""
    async with running() as rig:
        async with rig.session() as chat:
            await chat.send("Hello")
        await rig.disconnected()
        await rig.emulator.say(rig.contact_id, "still here")
        assert rig.said() == ["Hello", "still here"]
