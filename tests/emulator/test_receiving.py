"""What participants in this process hear."""

from __future__ import annotations

import asyncio

import pytest

from connect_chat import AttachmentMessage, ChatEndedError, ChatSession, Message
from connect_chat.emulator import EmulatedParticipant, Emulator, StartedChat

pytestmark = pytest.mark.connect_time("virtual")


@pytest.mark.connect_settings(scan_seconds=5)
async def test_messages_and_files_of_others_are_received_in_order(
    connect_emulator: Emulator, chat_session: ChatSession, chat_agent: EmulatedParticipant
) -> None:
    """The flow's, too; streamed ones once and whole, files once their scan is over."""
    contact_id = chat_agent.contact_id
    await chat_agent.say("not mine")
    await connect_emulator.say(contact_id, "one")
    await chat_session.typing()
    await chat_session.send_attachment(b"x", name="a.txt")
    await connect_emulator.stream(contact_id, ["t", "w", "o"])
    received = [await chat_agent.receive() for _ in range(3)]
    assert [item.text for item in received if isinstance(item, Message)] == ["one", "two"]
    assert isinstance(received[2], AttachmentMessage)
    assert received[2].attachments[0].status == "APPROVED"


async def test_silence_is_an_error_in_the_end(chat_agent: EmulatedParticipant) -> None:
    """That says for how long it was silent; what comes later is not lost."""
    with pytest.raises(TimeoutError, match="nobody said anything within 7 s"):
        await chat_agent.receive(timeout=7)


async def test_who_waits_when_the_chat_ends_is_told(
    connect_emulator: Emulator, started_chat: StartedChat, chat_agent: EmulatedParticipant
) -> None:
    """After what was said before."""
    await connect_emulator.say(started_chat.contact_id, "bye")
    receiving = asyncio.create_task(chat_agent.receive(timeout=None))
    assert isinstance(await receiving, Message)
    receiving = asyncio.create_task(chat_agent.receive(timeout=None))
    await asyncio.sleep(1)
    connect_emulator.end_chat(started_chat.contact_id)
    with pytest.raises(ChatEndedError):
        await receiving
