"""The hub with real chats on the emulator."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import pytest

from connect_chat import (
    AccessDeniedException,
    ChatEnded,
    ChatHub,
    ChatNotFoundError,
    ChatSession,
    HubClosedError,
    HubFullError,
    Item,
    Message,
    NotConnectedError,
    ParticipantClient,
    SessionOptions,
)
from connect_chat.emulator import Emulator

from .support import QUICK, Texts, service


async def gone(hub: ChatHub) -> None:
    while len(hub):  # noqa: ASYNC110 - being empty is no event of the hub's
        await asyncio.sleep(0.005)


async def test_chats_are_handled_and_leave_when_they_have_ended() -> None:
    texts = Texts()
    async with service() as (emulator, client):
        async with ChatHub(client, on_item=texts, options=QUICK) as hub:
            chats = [await emulator.start_chat() for _ in range(20)]
            await asyncio.gather(*(hub.open(chat.participant_token) for chat in chats))
            assert hub.healthy
            assert hub.stats.states == {"connected": 20}
            for chat in chats:
                await emulator.say(chat.contact_id, "hello")
            await texts.until(20)
            for chat in chats:
                assert chat.contact_id in hub
                emulator.end_chat(chat.contact_id)
            await gone(hub)
            assert hub.stats.handled == hub.stats.counters["items"] + 20  # with each ChatEnded
        assert texts.of == {chat.contact_id: ["hello"] for chat in chats}


async def test_nothing_is_lost_or_repeated_when_every_socket_is_cut() -> None:
    texts = Texts()
    async with (
        service() as (emulator, client),
        ChatHub(client, on_item=texts, options=QUICK) as hub,
    ):
        chats = [await emulator.start_chat() for _ in range(50)]
        await asyncio.gather(*(hub.open(chat.participant_token) for chat in chats))
        for number in range(6):
            for chat in chats:
                await emulator.say(chat.contact_id, f"{number}")
            if number in (1, 3):
                emulator.drop_connections()
        await texts.until(6 * 50)
        assert set(map(tuple, texts.of.values())) == {tuple("012345")}
        assert hub.stats.counters["connections"] >= 100


async def test_one_participant_is_opened_once_by_whoever_opens_it() -> None:
    async with service() as (emulator, client), ChatHub(client, options=QUICK) as hub:
        chat = await emulator.start_chat()
        first, second = await asyncio.gather(
            hub.open(chat.participant_token), hub.open(chat.participant_token)
        )
        assert first is second is hub[chat.contact_id]
        assert hub.sessions == (first,)
        assert emulator.open_connections() == 1


async def test_a_cancelled_opener_harms_no_chat() -> None:
    async with service() as (emulator, client), ChatHub(client, options=QUICK) as hub:
        chat = await emulator.start_chat()
        request = asyncio.create_task(hub.open(chat.participant_token))
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        session = await hub.open(chat.participant_token)
        assert session.state == "connected"
        assert emulator.open_connections() == 1


async def test_a_cancelled_send_of_one_handler_leaves_the_chat_to_others() -> None:
    async with service() as (emulator, client), ChatHub(client, options=QUICK) as hub:
        chat = await emulator.start_chat()
        await hub.open(chat.participant_token)
        request = asyncio.create_task(hub[chat.contact_id].send("one"))
        await asyncio.sleep(0)
        request.cancel()
        await hub[chat.contact_id].send("two")
        said = [
            item["Content"] for item in emulator.transcript(chat.contact_id) if "Content" in item
        ]
        assert said in (["two"], ["one", "two"])


async def test_a_failing_handler_is_reported_and_harms_no_other_chat() -> None:
    texts = Texts()
    reported: list[tuple[Any, ...]] = []

    async def on_item(chat: ChatSession, item: Item) -> None:
        if isinstance(item, Message) and item.text == "bad":
            raise ValueError("handler")
        await texts(chat, item)

    async with (
        service() as (emulator, client),
        ChatHub(
            client,
            on_item=on_item,
            on_error=lambda chat, item, error: reported.append((chat.contact_id, item, error)),
            options=QUICK,
        ) as hub,
    ):
        one, two = await emulator.start_chat(), await emulator.start_chat()
        for chat in (one, two):
            await hub.open(chat.participant_token)
        await emulator.say(one.contact_id, "bad")
        await emulator.say(one.contact_id, "good")
        await emulator.say(two.contact_id, "fine")
        await texts.until(2)
        assert texts.of == {one.contact_id: ["good"], two.contact_id: ["fine"]}
        [(contact, item, error)] = reported
        assert (contact, item.text, type(error)) == (one.contact_id, "bad", ValueError)


async def test_a_chats_items_are_handled_one_by_one_and_chats_in_parallel() -> None:
    running: defaultdict[str | None, int] = defaultdict(int)
    most_in_one, most_in_all = 0, 0
    texts = Texts()

    async def on_item(chat: ChatSession, item: Item) -> None:
        nonlocal most_in_one, most_in_all
        running[chat.contact_id] += 1
        most_in_one = max(most_in_one, running[chat.contact_id])
        most_in_all = max(most_in_all, sum(running.values()))
        for _ in range(20):
            await asyncio.sleep(0)
        running[chat.contact_id] -= 1
        await texts(chat, item)

    async with (
        service() as (emulator, client),
        ChatHub(client, on_item=on_item, concurrency=3, options=QUICK) as hub,
    ):
        chats = [await emulator.start_chat() for _ in range(8)]
        await asyncio.gather(*(hub.open(chat.participant_token) for chat in chats))
        for number in range(5):
            for chat in chats:
                await emulator.say(chat.contact_id, f"{number}")
        await texts.until(40)
        assert set(map(tuple, texts.of.values())) == {tuple("01234")}
        assert (most_in_one, most_in_all) == (1, 3)


async def test_what_somebody_else_receives_keeps_no_handler_waiting() -> None:
    """With a single handler at a time, an answer to `ask` does not leave that one stuck."""
    texts = Texts()
    async with (
        service() as (emulator, client),
        ChatHub(client, on_item=texts, concurrency=1, options=QUICK) as hub,
    ):
        chat = await emulator.start_chat()
        session = await hub.open(chat.participant_token, contact_id=chat.contact_id)
        for number in range(3):
            asked = asyncio.create_task(session.wait_for(Message, 5))
            await asyncio.sleep(0)
            await emulator.say(chat.contact_id, f"answer {number}")
            assert (await asked).text == f"answer {number}"
        await emulator.say(chat.contact_id, "for the handler")
        async with asyncio.timeout(20):
            await texts.until(1)
        assert texts.of == {chat.contact_id: ["for the handler"]}


async def test_without_a_handler_the_hub_is_iterated_over() -> None:
    async with service() as (emulator, client), ChatHub(client, options=QUICK) as hub:
        chats = [await emulator.start_chat() for _ in range(3)]
        await asyncio.gather(*(hub.open(chat.participant_token) for chat in chats))
        for chat in chats:
            await emulator.say(chat.contact_id, chat.contact_id)
            emulator.end_chat(chat.contact_id)
        ended = 0
        async for chat, item in hub:
            if isinstance(item, Message):
                assert item.text == chat.contact_id
            ended += isinstance(item, ChatEnded)
            if ended == 3:
                break


async def test_limits_and_unknown_contacts_say_what_to_do() -> None:
    async with service() as (emulator, client), ChatHub(client, max_chats=1, options=QUICK) as hub:
        chat = await emulator.start_chat()
        await hub.open(chat.participant_token)
        with pytest.raises(HubFullError, match="1 chats already"):
            await hub.open((await emulator.start_chat()).participant_token)
        with pytest.raises(ChatNotFoundError, match="open it"):
            hub["elsewhere"]
        assert hub.get("elsewhere") is None
        await hub.close(chat.contact_id)
        assert len(hub) == 0
        assert emulator.open_connections() == 0


async def test_a_bad_token_raises_where_it_is_opened_and_leaves_nothing() -> None:
    async with service() as (_, client), ChatHub(client, options=QUICK) as hub:
        with pytest.raises(AccessDeniedException):
            await hub.open("not-a-token")
        assert len(hub) == 0


async def test_a_chat_that_fails_is_reported_and_leaves_the_hub() -> None:
    reported = asyncio.get_running_loop().create_future()
    options = SessionOptions(reorder_window=0, backoff_base=0.01, give_up_after=0.2)
    async with Emulator() as emulator:
        client = ParticipantClient(endpoint_url=emulator.url, quota=None, max_attempts=1)
        async with (
            client,
            ChatHub(
                client,
                on_item=Texts(),
                on_error=lambda chat, item, error: reported.set_result((item, error)),
                options=options,
            ) as hub,
        ):
            chat = await emulator.start_chat()
            await hub.open(chat.participant_token)
            emulator.fail_next("CreateParticipantConnection", 503, count=10_000)
            emulator.drop_connections()
            item, error = await reported
            assert item is None
            assert isinstance(error, NotConnectedError)
            await gone(hub)


async def test_a_closed_hub_takes_no_chats_and_leaves_nothing_behind() -> None:
    async with service() as (emulator, client):
        chat = await emulator.start_chat()
        hub = ChatHub(client, options=QUICK)
        with pytest.raises(HubClosedError):
            await hub.open(chat.participant_token)
        async with hub:
            await hub.open(chat.participant_token)
        with pytest.raises(HubClosedError):
            await hub.open(chat.participant_token)
        assert emulator.open_connections() == 0
        await hub.aclose()


async def test_draining_lets_handlers_finish_and_snapshots_the_rest() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    handled: list[str] = []

    async def on_item(chat: ChatSession, item: Item) -> None:
        if isinstance(item, Message):
            begun.set()
            await may_end.wait()
            handled.append(item.text)

    async with service() as (emulator, client):
        chat = await emulator.start_chat()
        async with ChatHub(client, on_item=on_item, options=QUICK) as hub:
            await hub.open(chat.participant_token)
            await emulator.say(chat.contact_id, "first")
            await emulator.say(chat.contact_id, "second")
            await begun.wait()
            draining = asyncio.create_task(hub.drain(10))
            await asyncio.sleep(0)
            with pytest.raises(HubClosedError):
                await hub.open(chat.participant_token)
            may_end.set()
            [snapshot] = await draining
            assert handled == ["first"]
        async with ChatSession.resume(snapshot, client=client, options=QUICK) as session:
            assert (await session.wait_for(Message, 5)).text == "second"


async def test_a_handler_that_takes_too_long_is_cancelled_and_its_item_comes_again() -> None:
    begun = asyncio.Event()

    async def on_item(chat: ChatSession, item: Item) -> None:
        if isinstance(item, Message):
            begun.set()
            await asyncio.Event().wait()

    async with service() as (emulator, client):
        chat = await emulator.start_chat()
        async with ChatHub(client, on_item=on_item, options=QUICK) as hub:
            await hub.open(chat.participant_token)
            await emulator.say(chat.contact_id, "only")
            await begun.wait()
            [snapshot] = await hub.drain(0.01)
        async with ChatSession.resume(snapshot, client=client, options=QUICK) as session:
            assert (await session.wait_for(Message, 5)).text == "only"
