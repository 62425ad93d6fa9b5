"""How a session begins, or is refused, and how a chat ends."""

from __future__ import annotations

import asyncio

import pytest

from connect_chat import (
    AccessDeniedException,
    ChatEnded,
    ChatEndedError,
    ChatSession,
    Message,
    ParticipantJoined,
    ParticipantLeft,
    ServiceUnreachableError,
    TransferSucceeded,
    ValidationException,
)

from .support import PATIENCE, messages, numbered, quick, rest, running, texts, until


@pytest.mark.parametrize("spent", [False, True], ids=["unknown", "spent"])
async def test_a_token_that_is_no_good_raises_on_entry(spent):
    """The service's own error, with what to check in its text and nothing of the token."""
    async with running() as rig:
        token = "no-such-token"
        if spent:
            token = rig.chat.participant_token
            async with rig.session() as chat:
                await chat.disconnect()
                await rest(chat)
        session = rig.session(token)
        with pytest.raises(AccessDeniedException, match=r"token.*(spent|ended)") as caught:
            async with session:
                pytest.fail("it connected")
        assert token not in str(caught.value)
        assert session.state == "closed"
        assert rig.client.stats.attempts["CreateParticipantConnection"] == 1 + spent
        await rig.disconnected()


async def test_a_token_of_the_wrong_shape_raises_before_anything_is_called():
    """An empty token is a mistake of the caller's."""
    async with running() as rig:
        with pytest.raises(ValueError, match="participant_token"):
            ChatSession("", client=rig.client)
        assert not rig.client.stats.calls


async def test_any_other_refusal_raises_on_entry_too():
    """What will not go away by itself is not tried again."""
    async with running() as rig:
        rig.emulator.fail_next("CreateParticipantConnection", "ValidationException")
        with pytest.raises(ValidationException):
            async with rig.session():
                pytest.fail("it connected")


async def test_a_passing_trouble_on_entry_is_outlasted():
    """Throttled, out of order and cut off: entering takes longer, and works."""
    async with running() as rig:
        for error in ("InternalServerException", 503, None):
            rig.emulator.fail_next("CreateParticipantConnection", error)
        async with rig.session() as chat:
            await chat.send("Hello")
        assert rig.said() == ["Hello"]


async def test_a_session_with_a_client_of_its_own():
    """Given an endpoint rather than a client, it makes one and closes it."""
    async with running() as rig:
        async with ChatSession(
            rig.chat.participant_token, endpoint_url=rig.proxy.url, options=quick()
        ) as chat:
            await chat.send("Hello")
        await until(lambda: not rig.proxy.connections)
        assert rig.said() == ["Hello"]


async def test_disconnect_delivers_until_the_chat_has_ended():
    """What the disconnect flow says after we have left still comes, and then the end."""
    async with running(disconnect_flow_seconds=0.2) as rig, rig.session() as chat:
        await chat.send("That is all")
        await chat.disconnect()
        await rig.emulator.say(rig.contact_id, "How did we do?")
        items = await rest(chat)
        assert messages(items) == ["How did we do?"]
        assert any(isinstance(item, ParticipantLeft) for item in items)
        assert items[-1].inferred is False
        assert chat.state == "ended"
        with pytest.raises(ChatEndedError):
            await chat.send("One more thing")
        with pytest.raises(ChatEndedError):
            await chat.typing()
        await chat.disconnect()


async def test_disconnect_comes_after_everything_that_was_sent():
    """Sends that wait go out before we leave."""
    async with running() as rig, rig.session() as chat:
        sending = [asyncio.create_task(chat.send(text)) for text in numbered(10)]
        await asyncio.sleep(0)
        await chat.disconnect()
        await asyncio.gather(*sending)
        await rest(chat)
        assert rig.said() == numbered(10)


async def test_disconnect_when_the_service_does_not_say_that_it_is_over():
    """Nothing more comes after we have left: the end is inferred after a while."""
    async with (
        running(disconnect_flow_seconds=60) as rig,
        rig.session(options=quick(disconnect_timeout=0.2)) as chat,
    ):
        await chat.disconnect()
        assert (await rest(chat))[-1].inferred is True


async def test_disconnect_tells_of_a_refusal():
    """A service that refuses is no end: the error surfaces, and the chat goes on."""
    async with running() as rig, rig.session() as chat:
        rig.emulator.fail_next("DisconnectParticipant", "ValidationException")
        with pytest.raises(ValidationException):
            await chat.disconnect()
        await chat.send("Still here")
        assert rig.said() == ["Still here"]


async def test_disconnect_whose_answer_is_lost_is_done_once():
    """The repetition carries the same ClientToken, so that we leave once."""
    async with running() as rig, rig.session() as chat:
        rig.emulator.fail_next("DisconnectParticipant", None, after_work=True)
        await chat.disconnect()
        items = await rest(chat)
        assert sum(isinstance(item, ParticipantLeft) for item in items) == 1


async def test_the_end_is_delivered_last_and_once():
    """The flow ends the chat: everything said comes first, then the end, then nothing."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        for text in numbered(20):
            await agent.say(text)
        await agent.leave()
        rig.emulator.end_chat(rig.contact_id)
        items = await rest(chat)
        assert messages(items) == numbered(20)
        assert [isinstance(item, ChatEnded) for item in items].count(True) == 1
        assert [item async for item in chat] == []
        with pytest.raises(ChatEndedError):
            await chat.receive(PATIENCE)
        await rig.disconnected()


async def test_stop_contact_ends_the_chat():
    """The control plane stops the contact: the same as any other end."""
    async with running() as rig, rig.session() as chat:
        await rig.control("/contact/stop")
        assert (await rest(chat))[-1].inferred is False


async def test_a_chat_that_ended_while_we_were_away():
    """Refused (403) when we come back: what can be read is delivered, and an inferred end."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        await agent.say("before")
        assert await texts(chat, 1) == ["before"]
        rig.proxy.refusing = True
        rig.proxy.cut()
        rig.emulator.end_chat(rig.contact_id)
        rig.proxy.refusing = False
        items = await rest(chat)
        assert items[-1].inferred is True
        assert chat.state == "ended"
        with pytest.raises(ChatEndedError):
            await chat.send("too late")
        with pytest.raises(ChatEndedError):
            await chat.ask("too late")


async def test_waiting_for_an_answer_ends_with_the_chat():
    """Whoever asks, receives or sends when the chat ends is told so."""
    async with running() as rig, rig.session() as chat:
        asking = asyncio.create_task(chat.ask("Anybody?"))
        await until(lambda: rig.said() == ["Anybody?"])
        rig.emulator.end_chat(rig.contact_id)
        with pytest.raises(ChatEndedError):
            await asking
        assert isinstance((await rest(chat))[-1], ChatEnded)


async def test_an_agents_part_ends_with_a_transfer():
    """For an agent ``transfer.succeeded`` is the end; for the customer the chat goes on."""
    async with running() as rig, rig.session() as customer:
        token = await rig.participant_token("AGENT")
        async with rig.session(token, participant_role="AGENT") as agent:
            await agent.wait_for(ParticipantJoined, PATIENCE)
            service = rig.emulator._service
            service.contact(rig.contact_id).post_event("transfer.succeeded")
            items = await rest(agent)
            assert any(isinstance(item, TransferSucceeded) for item in items)
            assert items[-1].inferred is True
        await customer.wait_for(TransferSucceeded, PATIENCE)
        other = await rig.agent("Joe")
        await other.say("Hello, I am Joe")
        assert (await customer.wait_for(Message, PATIENCE)).text == "Hello, I am Joe"


async def test_an_answer_lost_for_good_is_told_to_the_sender():
    """No attempt gets an answer: the send raises, and the chat goes on."""
    async with running() as rig, rig.session() as chat:
        rig.emulator.fail_next("SendMessage", None, count=3)
        with pytest.raises(ServiceUnreachableError):
            await chat.send("lost")
        await chat.send("found")
        assert rig.said() == ["found"]
