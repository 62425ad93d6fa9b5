"""Tests of a bot, to be copied: run them with ``pytest``, which is all that they need.

The bot is a few lines here, so that the file runs by itself; import yours instead. The fixtures and
markers come with connect-chat, see `connect_chat.testing`.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from connect_chat import ChatSession, Message
from connect_chat.emulator import EmulatedParticipant, Emulator, StartedChat


async def my_bot(participant_token: str) -> None:
    """Say back what an agent says."""
    async with ChatSession(participant_token) as chat:
        async for item in chat:
            match item:
                case Message(text=text, participant_role="AGENT"):
                    await chat.send(f"You said: {text}")


@pytest.fixture
async def bot(started_chat: StartedChat) -> AsyncIterator[None]:
    """The bot, in a chat on the emulator, where it calls without being told."""
    running = asyncio.create_task(my_bot(started_chat.participant_token))
    yield
    running.cancel()
    await asyncio.wait([running])


async def heard(agent: EmulatedParticipant) -> str:
    """Return what the bot says next."""
    item = await agent.receive()
    assert isinstance(item, Message)
    return item.text


@pytest.mark.usefixtures("bot")
async def test_it_answers(chat_agent: EmulatedParticipant) -> None:
    """What the agent says comes back."""
    await chat_agent.say("Hello")
    assert await heard(chat_agent) == "You said: Hello"


@pytest.mark.usefixtures("bot")
@pytest.mark.connect_time("virtual")
async def test_it_still_answers_after_three_hours(chat_agent: EmulatedParticipant) -> None:
    """In virtual time they are over at once, with the three rotations of the connection."""
    await asyncio.sleep(3 * 3600)
    await chat_agent.say("Hello")
    assert await heard(chat_agent) == "You said: Hello"


@pytest.mark.usefixtures("bot")
@pytest.mark.connect_time("virtual")
@pytest.mark.connect_fault("cut", after=3)
@pytest.mark.connect_fault("reject_upgrade", status=503, after=3, lasts=20)
async def test_it_survives_last_monday(chat_agent: EmulatedParticipant) -> None:
    """A failure, replayed: the websocket broke, and for 20 s there was no other one."""
    for number in range(10):
        await chat_agent.say(f"line {number}")
        await asyncio.sleep(1)
    assert [await heard(chat_agent) for _ in range(10)] == [
        f"You said: line {number}" for number in range(10)
    ]


@pytest.mark.usefixtures("bot")
@pytest.mark.connect_fault("lose_answer", operation="SendMessage", count=1)
async def test_it_says_nothing_twice(
    chat_agent: EmulatedParticipant, connect_emulator: Emulator
) -> None:
    """The answer to SendMessage is lost; the call is repeated with the same ClientToken."""
    await chat_agent.say("Hello")
    await chat_agent.say("Are you there?")
    assert await heard(chat_agent) == "You said: Hello"
    assert await heard(chat_agent) == "You said: Are you there?"
    calls = connect_emulator.records("request", operation="SendMessage")
    tokens = [call.body["ClientToken"] for call in calls if call.body]
    assert tokens[0] == tokens[1] != tokens[2]


@pytest.mark.usefixtures("bot")
@pytest.mark.connect_time("virtual")
@pytest.mark.connect_scenario("transfer")
async def test_it_gets_along_with_two_agents(
    connect_emulator: Emulator, started_chat: StartedChat
) -> None:
    """One of the scenarios that come with connect-chat; write yours in YAML or Python."""
    await asyncio.sleep(60)
    said = [item.get("Content") for item in connect_emulator.transcript(started_chat.contact_id)]
    assert "You said: Hello, this is Jane. What can I do for you?" in said
    assert "You said: Hello, this is John. Jane told me" in " ".join(filter(None, said))
