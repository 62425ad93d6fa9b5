"""Back through the transcript, and through past contacts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from connect_chat import (
    ChatEndedError,
    ChatSession,
    InvalidRequestError,
    Item,
    Message,
    ParticipantClient,
    ValidationException,
)
from connect_chat.emulator import Emulator, EmulatorSettings, StartedChat


@dataclass
class Rig:
    emulator: Emulator
    client: ParticipantClient
    started: StartedChat
    chat: ChatSession

    async def say(self, *contents: str) -> None:
        for content in contents:
            await self.emulator.say(self.started.contact_id, content)

    @property
    def reads(self) -> int:
        """How many pages have been read, by whomever."""
        return self.client.stats.calls.get("GetTranscript", 0)


@asynccontextmanager
async def running(past: list[list[str]] | None = None, **settings: Any) -> AsyncIterator[Rig]:
    """Hold a chat that goes on from past ones in which this was said."""
    async with Emulator(settings=EmulatorSettings(**settings)) as emulator:
        before: str | None = None
        for contents in past or ():
            contact = await emulator.start_chat("Ana", rehydrate_from=before)
            for content in contents:
                await emulator.say(contact.contact_id, content)
            emulator.end_chat(contact.contact_id)
            before = contact.contact_id
        started = await emulator.start_chat("Ana", rehydrate_from=before)
        async with (
            ParticipantClient(endpoint_url=emulator.url, quota=None) as client,
            ChatSession(started.participant_token, client=client) as chat,
        ):
            await chat.receive(5)  # by now what was there before has been read
            yield Rig(emulator, client, started, chat)


async def told(chat: ChatSession, **arguments: Any) -> str:
    """Return the messages of a history."""
    return said([item async for item in chat.history(**arguments)])


def said(items: list[Item]) -> str:
    return "".join(item.text for item in items if isinstance(item, Message))


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
@pytest.mark.parametrize(("order", "expected"), [("newest", "edcba"), ("oldest", "abcde")])
async def test_everything_is_told_once(page_size: int, order: str, expected: str) -> None:
    """In either order, whatever the pages; what the session delivers is not touched."""
    async with running() as rig:
        await rig.say(*"abcde")
        assert await told(rig.chat, order=order, page_size=page_size) == expected
        got = [await rig.chat.wait_for(Message, 5) for _ in range(5)]
        assert said(list(got)) == "abcde"


@pytest.mark.parametrize(("order", "expected"), [("newest", "edcba"), ("oldest", "abcde")])
async def test_past_contacts_are_told(order: str, expected: str) -> None:
    """In a persistent chat the walk goes on through them; their items say whose they are."""
    async with running([["a", "b"], ["c"]]) as rig:
        await rig.say("d", "e")
        items = [item async for item in rig.chat.history(order=order, page_size=2)]  # type: ignore[arg-type]
        assert said(items) == expected
        related = {item.content: item.related_contact_id for item in items if item.content}
        assert related["d"] is related["e"] is None
        assert related["a"] == related["b"] != related["c"] is not None
        assert rig.chat.contact_id == rig.started.contact_id


async def test_our_own_items_are_told_and_marked() -> None:
    """History is of all that was said, unlike what the session delivers."""
    async with running() as rig:
        sent = await rig.chat.send("mine")
        await rig.say("theirs")
        await rig.chat.wait_for(Message, 5)
        for order in ("newest", "oldest"):
            items = [item async for item in rig.chat.history(order=order)]
            mine = {item.id: item.from_me for item in items if isinstance(item, Message)}
            assert mine.pop(sent.id or "") is True
            assert list(mine.values()) == [False]


async def test_pages_are_read_when_they_are_needed() -> None:
    """Who stops reads no more, and leaves nothing behind."""
    async with running() as rig:
        await rig.say(*"abcdefgh")
        before = rig.reads
        async with aclosing(rig.chat.history(page_size=2)) as items:
            assert rig.reads == before
            async for item in items:
                if item.content == "f":
                    break
        assert rig.reads == before + 2


async def test_a_page_token_that_has_expired_is_got_over() -> None:
    """The walk begins anew and passes over what it has told, also deep in past contacts."""
    async with running([["a", "b", "c"], ["d", "e"]]) as rig:
        await rig.say("f", "g")
        items: list[Item] = []
        async for item in rig.chat.history(page_size=2):
            items.append(item)
            if item.content in ("f", "b"):
                rig.emulator.fail_next("GetTranscript", "ValidationException")
                await rig.say("new")
        assert said(items) == "gfedcba"
        assert len({item.id for item in items}) == len(items)


class NoSecondPage(httpx.AsyncHTTPTransport):
    """Connections to a service for which every NextToken has expired."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.ByteStream)
        if any([b"NextToken" in piece async for piece in request.stream]):
            return httpx.Response(400, json={"__type": "ValidationException"})
        return await super().handle_async_request(request)


async def test_a_page_that_is_refused_again_is_an_error() -> None:
    """The walk does not begin anew for ever."""
    async with running() as rig, NoSecondPage() as transport:
        await rig.say(*"abcdef")
        async with (
            ParticipantClient(endpoint_url=rig.emulator.url, http=transport) as client,
            ChatSession(rig.started.participant_token, client=client) as chat,
        ):
            history = chat.history(page_size=2)
            assert said([await anext(history), await anext(history)]) == "fe"
            with pytest.raises(ValidationException):
                await anext(history)


async def test_a_token_that_is_refused_is_renewed() -> None:
    """As for every other call of the session."""
    async with running() as rig:
        await rig.say("a")
        rig.emulator.fail_next("GetTranscript", "AccessDeniedException")
        assert await told(rig.chat) == "a"


async def test_what_does_not_fit_in_memory_is_told_oldest_first() -> None:
    """Beyond 4 MiB there is a file, which nobody notices."""
    async with running() as rig:
        for number in range(450):
            await rig.emulator.say(
                rig.started.contact_id,
                f"{number:03}" + "x" * 11_000,
                content_type="application/json",
            )
        items = [item async for item in rig.chat.history(order="oldest")]
        texts = [item.text[:3] for item in items if isinstance(item, Message)]
        assert texts == [f"{number:03}" for number in range(450)]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"order": "random"}, "order"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": 101}, "page_size"),
    ],
)
async def test_arguments_are_checked(arguments: dict[str, Any], field: str) -> None:
    """When the iteration begins."""
    async with running() as rig:
        with pytest.raises(InvalidRequestError) as caught:
            await told(rig.chat, **arguments)
        assert caught.value.field == field


async def test_a_chat_that_is_over_tells_nothing() -> None:
    """The service lets nobody read it any more."""
    async with running() as rig:
        rig.emulator.end_chat(rig.started.contact_id)
        async with asyncio.timeout(5):
            async for _ in rig.chat:
                pass
        with pytest.raises(ChatEndedError):
            await told(rig.chat)
