"""What a hub's store holds at any moment, and what is made of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from connect_chat import (
    ChatHub,
    ChatSession,
    HubClosedError,
    Item,
    Message,
    ParticipantClient,
    Rate,
    SessionOptions,
    Snapshot,
)
from connect_chat.emulator import Emulator

from .support import QUICK, MemoryStore, Texts, service


async def test_a_chat_is_saved_before_open_returns() -> None:
    """A process that dies right after has lost no chat that it has promised to hold."""
    store, texts = MemoryStore(), Texts()
    async with service() as (emulator, client):
        chat = await emulator.start_chat()
        async with ChatHub(client, on_item=Texts(), store=store, options=QUICK) as hub:
            await hub.open(chat.participant_token, contact_id=chat.contact_id)
            left = store.copy()
        await emulator.say(chat.contact_id, "hello")
        async with ChatHub(client, on_item=texts, store=left, options=QUICK) as hub:
            assert await hub.restore() == 1
            await texts.until(1)
            assert texts.of == {chat.contact_id: ["hello"]}


async def test_a_chat_that_cannot_be_saved_is_not_opened() -> None:
    class FullDisk(MemoryStore):
        async def save(self, snapshot: Snapshot) -> None:
            raise OSError("no space left")

    async with (
        service() as (emulator, client),
        ChatHub(client, on_item=Texts(), store=FullDisk(), options=QUICK) as hub,
    ):
        chat = await emulator.start_chat()
        with pytest.raises(OSError, match="no space"):
            await hub.open(chat.participant_token)
        assert (len(hub), emulator.open_connections()) == (0, 0)


async def test_restored_chats_wait_for_their_turn_however_many_there_are() -> None:
    """Longer than a single chat may take to connect; what snapshots tell needs no option."""
    store, texts = MemoryStore(), Texts()
    options = SessionOptions(reorder_window=0, connect_timeout=0.3)
    async with Emulator() as emulator:
        chats = [await emulator.start_chat() for _ in range(4)]
        async with (
            ParticipantClient(endpoint_url=emulator.url, quota=None) as client,
            ChatHub(client, store=store, options=options) as hub,
        ):
            for chat in chats:
                await hub.open(chat.participant_token, contact_id=chat.contact_id)
        for chat in chats:
            await emulator.say(chat.contact_id, "hello")
        slow = {"CreateParticipantConnection": Rate(4, 1)}
        async with (
            ParticipantClient(endpoint_url=emulator.url, quota=slow) as client,
            ChatHub(
                client,
                on_item=texts,
                store=store,
                options=options,
                from_start=False,
                participant_role="CUSTOMER",
            ) as hub,
        ):
            assert await hub.restore() == 4
            await texts.until(4)
            assert texts.of == {chat.contact_id: ["hello"] for chat in chats}


async def test_a_chat_that_its_own_handler_closes_stays_forgotten() -> None:
    store = MemoryStore()
    closed = asyncio.Event()

    async def on_item(chat: ChatSession, item: Item) -> None:
        if isinstance(item, Message):
            await hub.close(chat.contact_id or "")
            closed.set()

    async with (
        service() as (emulator, client),
        ChatHub(client, on_item=on_item, store=store, options=QUICK) as hub,
    ):
        chat = await emulator.start_chat()
        await hub.open(chat.participant_token)
        await emulator.say(chat.contact_id, "bye")
        await closed.wait()
        await hub.drain()
    assert store.dumps == {}


async def texts_again(snapshot: Snapshot, client: ParticipantClient) -> AsyncIterator[str]:
    async with ChatSession.resume(snapshot, client=client, options=QUICK) as session:
        while True:
            yield (await session.wait_for(Message, 5)).text


async def test_what_is_being_handled_is_not_handled_in_any_snapshot() -> None:
    """Neither while a handler works on it, nor when the hub closes under an iteration's feet."""
    async with service() as (emulator, client):
        chat = await emulator.start_chat()
        async with ChatHub(client, options=QUICK) as hub:
            await hub.open(chat.participant_token)
            await emulator.say(chat.contact_id, "first")
            await emulator.say(chat.contact_id, "second")
            async with aclosing(aiter(hub)) as items:
                async for _, item in items:
                    if not isinstance(item, Message):
                        continue
                    [busy] = hub.snapshots()
                    [closed] = await hub.drain(0)
                    break
        for snapshot in (busy, closed):
            async with aclosing(texts_again(snapshot, client)) as texts:
                assert [await anext(texts), await anext(texts)] == ["first", "second"]


async def test_a_drain_that_is_given_up_can_be_finished() -> None:
    """The hub closes though the one who drained it was cancelled, and openers are told."""
    begun = asyncio.Event()

    async def on_item(chat: ChatSession, item: Item) -> None:
        if isinstance(item, Message):
            begun.set()
            await asyncio.Event().wait()

    async with service() as (emulator, client):
        chat, other = await emulator.start_chat(), await emulator.start_chat()
        async with ChatHub(client, on_item=on_item, options=QUICK) as hub:
            await hub.open(chat.participant_token)
            await emulator.say(chat.contact_id, "only")
            await begun.wait()
            emulator.fail_next("CreateParticipantConnection", 503, count=1000)
            late = asyncio.create_task(hub.open(other.participant_token))
            await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(hub.drain(), 0.01)
        with pytest.raises(HubClosedError):
            await late
        assert emulator.open_connections() == 0
