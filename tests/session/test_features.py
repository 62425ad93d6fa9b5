"""What a session does beside messages: streamed answers, receipts, typing, sign-in, polling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connect_chat import (
    AuthenticationInitiated,
    ChatEnded,
    ChatSession,
    InvalidRequestError,
    Message,
    MessageUpdate,
    ParticipantClient,
    SessionOptions,
    Typing,
)
from connect_chat.emulator import EmulatedParticipant, Emulator, EmulatorSettings

QUICK = {"reorder_window": 0.0, "backoff_base": 0.01, "relooks": (0.05,)}
PIECES = ("Your order ", "has left ", "the warehouse.")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what tells nobody when it comes true: traces and records."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.002)


class Chat:
    """A customer's session, the agent, and the emulator between them."""

    def __init__(
        self, emulator: Emulator, contact_id: str, session: ChatSession, agent: EmulatedParticipant
    ) -> None:
        self.emulator = emulator
        self.contact_id = contact_id
        self.session = session
        self.agent = agent

    def events(self) -> list[tuple[str, str]]:
        """Return the events that the session has sent: the end of the type, and the message."""
        bodies = [
            record.body
            for record in self.emulator.records("request", operation="SendEvent")
            if isinstance(record.body, dict)
        ]
        return [
            (body["ContentType"].split("event.")[1], body.get("Content", "")) for body in bodies
        ]

    async def until_sent(self, count: int) -> list[tuple[str, str]]:
        """Wait until the session has sent so many events, and return them."""
        await until(lambda: len(self.events()) >= count)
        return self.events()


@asynccontextmanager
async def chatting(
    settings: EmulatorSettings | None = None, options: dict[str, Any] | None = None, **session: Any
) -> AsyncIterator[Chat]:
    async with (
        Emulator(settings=settings) as emulator,
        ParticipantClient(endpoint_url=emulator.url, quota=None) as client,
    ):
        started = await emulator.start_chat(display_name="Ana")
        agent = await emulator.join(started.contact_id, display_name="Jane")
        async with ChatSession(
            started.participant_token,
            client=client,
            options=SessionOptions(**{**QUICK, **(options or {})}),
            **session,
        ) as chat:
            yield Chat(emulator, started.contact_id, chat, agent)


async def test_a_streamed_answer_is_one_message_by_default() -> None:
    async with chatting() as chat:
        await chat.emulator.stream(chat.contact_id, PIECES)
        await chat.agent.say("that's all")
        told = [await chat.session.wait_for(Message, 5) for _ in range(2)]
        assert [message.text for message in told] == ["".join(PIECES), "that's all"]
        assert not told[0].incomplete


async def test_a_streamed_answer_is_seen_growing_by_who_asked_for_it() -> None:
    async with chatting(updates=True) as chat:
        await chat.emulator.stream(chat.contact_id, PIECES)
        grown = []
        while not isinstance(item := await chat.session.receive(5), Message):
            if isinstance(item, MessageUpdate):
                grown.append((item.piece, item.text))
        assert grown == [
            (PIECES[0], PIECES[0]),
            (PIECES[1], PIECES[0] + PIECES[1]),
            (PIECES[2], "".join(PIECES)),
        ]
        assert item.text == "".join(PIECES)


async def test_a_streamed_answer_survives_a_cut_in_its_middle() -> None:
    async with chatting(updates=True) as chat:
        streaming = asyncio.create_task(
            chat.emulator.stream(chat.contact_id, PIECES * 4, interval=0.05)
        )
        await chat.session.wait_for(MessageUpdate, 5)
        chat.emulator.drop_connections()
        await streaming
        await chat.agent.say("that's all")
        told = [await chat.session.wait_for(Message, 10) for _ in range(2)]
        assert sorted(message.text for message in told) == sorted(
            ["".join(PIECES * 4), "that's all"]
        )
        assert not any(message.incomplete for message in told)


async def test_receipts_tell_what_has_become_of_our_messages() -> None:
    async with chatting() as chat:
        first, second = [await chat.session.send(text) for text in ("one", "two")]
        assert (first.status, second.status) == ("sent", "sent")
        await chat.agent.mark_delivered(first.id)
        await first.wait_for("delivered", 5)
        assert (first.status, second.status) == ("delivered", "sent")
        await chat.agent.mark_read(second.id)
        await first.wait_for("read", 5)  # the newest message's receipt stands for the others
        assert (first.status, second.status) == ("read", "read")
        with pytest.raises(TimeoutError):
            await (await chat.session.send("three")).wait_for("read", 0.01)


async def test_automatic_receipts_are_sent_once_for_what_was_received() -> None:
    async with chatting(receipts="auto", options={"receipt_interval": 0.0}) as chat:
        said = await chat.agent.say("Hello")
        await chat.session.wait_for(Message, 5)
        assert await chat.until_sent(1) == [("message.read", f'{{"messageId":"{said.id}"}}')]


async def test_receipts_by_hand_are_coalesced_for_the_newest_message() -> None:
    async with chatting(options={"receipt_hold": 0.05}) as chat:
        for text in ("one", "two", "three"):
            await chat.agent.say(text)
        messages = [await chat.session.wait_for(Message, 5) for _ in range(3)]
        for message in messages:
            await chat.session.mark_delivered(message)
        newest = f'{{"messageId":"{messages[-1].id}"}}'
        assert await chat.until_sent(1) == [("message.delivered", newest)]


async def test_a_supervisor_who_barges_in_switches_receipts_off() -> None:
    told: list[str] = []
    async with chatting(on_trace=lambda trace: told.append(trace.event)) as chat:
        await chat.agent.say("Hello")
        message = await chat.session.wait_for(Message, 5)
        await chat.emulator.join(chat.contact_id, display_name="Sue", role="SUPERVISOR")
        await chat.session.mark_read(message)
        await until(lambda: "receipts.off" in told)
        await chat.agent.say("Still there?")
        await chat.session.mark_read(await chat.session.wait_for(Message, 5))
        assert len(chat.events()) == 1
        assert told.count("receipts.off") == 1


async def test_typing_is_shown_while_an_answer_is_thought_of() -> None:
    async with chatting() as chat:
        async with chat.session.typing_while():
            assert await chat.until_sent(1) == [("typing", "")]
        with pytest.raises(ValueError, match="thinking"):
            async with chat.session.typing_while():
                raise ValueError("thinking")


async def test_who_is_typing_is_known_until_they_say_something() -> None:
    async with chatting() as chat:
        await chat.agent.type()
        await chat.session.wait_for(Typing, 5)
        assert [one.display_name for one in chat.session.who_is_typing] == ["Jane"]
        await chat.agent.say("Hello")
        await chat.session.wait_for(Message, 5)
        assert chat.session.who_is_typing == ()


async def test_a_sign_in_is_answered_with_a_url() -> None:
    async with chatting() as chat:
        with pytest.raises(InvalidRequestError):
            await chat.session.get_authentication_url(redirect_uri="https://example.com/back")
        chat.emulator.request_authentication(chat.contact_id)
        await chat.session.wait_for(AuthenticationInitiated, 5)
        answer = await chat.session.get_authentication_url(redirect_uri="https://example.com/back")
        assert answer.authentication_url
        await chat.session.cancel_authentication()


async def test_without_a_websocket_the_transcript_is_polled() -> None:
    async with chatting(transport="polling", options={"poll_fastest": 0.02}) as chat:
        assert chat.emulator.open_connections() == 0
        for text in ("one", "two"):
            await chat.agent.say(text)
        sent = await chat.session.send("Hello")
        assert sent.id
        told = [await chat.session.wait_for(Message, 5) for _ in range(2)]
        assert [message.text for message in told] == ["one", "two"]
        await chat.session.disconnect()
        assert isinstance(await chat.session.wait_for(ChatEnded, 5), ChatEnded)
