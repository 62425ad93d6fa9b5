"""The gateway: URLs, subscriptions, heartbeats, and how sockets end."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from unittest.mock import ANY

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .support import SUBSCRIBE, FakeClock, Rig, item, kinds, opened, running, subscribe

REFUSAL = {"message": "Forbidden", "connectionId": ANY, "requestId": ANY}


async def url_of(rig: Rig, participant_token: str) -> str:
    return (await rig.connection(participant_token))["Websocket"]["Url"]


async def assert_refused(url: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with opened(url):
            pass
    assert caught.value.response.status_code == 403
    assert json.loads(caught.value.response.body) == REFUSAL


async def answer(websocket: ClientConnection, frame: Any) -> Any:
    await websocket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))
    return json.loads(await websocket.recv())


async def test_a_url_opens_one_websocket() -> None:
    """The second upgrade with it is refused, and so is a URL that was made up."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        url = await url_of(rig, chat.participant_token)
        async with opened(url) as websocket:
            await subscribe(websocket)
            await assert_refused(url)
        await assert_refused(url)
        await assert_refused(rig.emulator.url.replace("http", "ws") + "/chat")


async def test_a_url_must_be_opened_within_100_seconds() -> None:
    """At 100 s it opens; later it is refused."""
    clock = FakeClock()
    async with running(clock) as rig:
        chat = await rig.emulator.start_chat()
        used, unused = [await url_of(rig, chat.participant_token) for _ in range(2)]
        clock.now += 100
        async with opened(used) as websocket:
            await subscribe(websocket)
        clock.now += 0.1
        await assert_refused(unused)


async def test_a_websocket_closes_at_its_connection_expiry() -> None:
    """The server closes it then; its participant may connect again."""
    clock = FakeClock()
    async with running(clock, url_lifetime=3600) as rig:
        chat = await rig.emulator.start_chat()
        await rig.token(chat.participant_token)
        url = await url_of(rig, chat.participant_token)
        clock.now += 3599.99
        async with opened(url) as websocket:
            with pytest.raises(ConnectionClosed):
                await websocket.recv()
            assert websocket.close_code == 1001
        assert rig.emulator.open_connections() == 0
        async with rig.subscribed(chat.participant_token):
            pass


async def test_the_expiry_is_an_hour_after_the_issue() -> None:
    """ConnectionExpiry and Expiry are what the documentation says."""
    clock = FakeClock()
    clock.now = 0
    async with running(clock) as rig:
        chat = await rig.emulator.start_chat()
        reply = await rig.connection(chat.participant_token)
        assert reply["Websocket"]["ConnectionExpiry"] == "1970-01-01T01:00:00.000Z"
        assert reply["ConnectionCredentials"]["Expiry"] == "1970-01-02T00:00:00.000Z"


async def test_a_sixth_websocket_is_refused() -> None:
    """A participant has five at most; when one closes there is room for another."""
    async with running(max_websockets=1) as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token):
            await assert_refused(await url_of(rig, chat.participant_token))
            assert rig.emulator.open_connections(chat.contact_id) == 1
        async with rig.subscribed(chat.participant_token):
            pass


async def test_only_a_subscribed_websocket_gets_items() -> None:
    """What is said before the subscription is not pushed, then everything is."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        async with opened(await url_of(rig, chat.participant_token)) as websocket:
            await rig.emulator.say(chat.contact_id, "unheard")
            await subscribe(websocket)
            await rig.emulator.say(chat.contact_id, "heard")
            pushed = [await item(websocket), await item(websocket)]
            assert kinds(pushed) == ["participant.joined", "heard"]
            assert rig.emulator.transcript(chat.contact_id)[1:] == pushed


async def test_a_participant_joins_once() -> None:
    """Further websockets and ConnectParticipant add no participant.joined."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token) as websocket:
            async with rig.subscribed(chat.participant_token):
                await rig.token(chat.participant_token)
            await websocket.send(json.dumps(SUBSCRIBE))
        assert kinds(rig.emulator.transcript(chat.contact_id)) == ["participant.joined"]


async def test_heartbeats_are_answered() -> None:
    """Both of them, subscribed or not."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        async with opened(await url_of(rig, chat.participant_token)) as websocket:
            heartbeat = {"topic": "aws/heartbeat"}
            assert await answer(websocket, heartbeat) == heartbeat
            assert await answer(websocket, {"topic": "aws/ping"}) == {
                "topic": "aws/ping",
                "statusCode": 200,
                "statusContent": "OK",
            }


@pytest.mark.parametrize("frame", ["hello", "[]", "{}", '{"topic": 7}', b"\x00"])
async def test_what_is_not_a_topic_s_message_is_forbidden(frame: str | bytes) -> None:
    """The gateway answers without a topic, and the websocket stays open."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        async with opened(await url_of(rig, chat.participant_token)) as websocket:
            assert await answer(websocket, frame) == REFUSAL
            await subscribe(websocket)


async def test_unknown_topics_are_ignored() -> None:
    """The next answer is that to the next message."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        async with opened(await url_of(rig, chat.participant_token)) as websocket:
            await websocket.send('{"topic": "aws/novelty"}')
            assert (await answer(websocket, {"topic": "aws/ping"}))["topic"] == "aws/ping"


@pytest.mark.parametrize("content", [None, "aws/chat", {}, {"topics": ["aws/other"]}])
async def test_a_subscription_to_something_else_fails(content: Any) -> None:
    """The answer says failure, and nothing is pushed."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        async with opened(await url_of(rig, chat.participant_token)) as websocket:
            said = await answer(websocket, {"topic": "aws/subscribe", "content": content})
            assert said["content"]["status"] == "failure"
            await rig.emulator.say(chat.contact_id, "unheard")
            await subscribe(websocket)


async def test_the_end_of_a_chat_closes_its_websockets() -> None:
    """chat.ended reaches everybody, then the websockets close normally."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        other = await rig.emulator.start_chat()
        unused = await url_of(rig, chat.participant_token)
        async with (
            rig.subscribed(chat.participant_token) as websocket,
            rig.subscribed(other.participant_token),
        ):
            rig.emulator.end_chat(chat.contact_id)
            pushed = [json.loads(json.loads(frame)["content"]) async for frame in websocket]
            assert kinds(pushed) == ["participant.joined", "chat.ended"]
            assert websocket.close_code == 1000
            await assert_refused(unused)
            assert rig.emulator.open_connections(chat.contact_id) == 0
            assert rig.emulator.open_connections() == 1


async def test_a_dropped_connection_ends_without_a_closing_handshake() -> None:
    """The clients of one chat see their connections break; the participant stays."""
    async with running() as rig:
        chat, other = [await rig.emulator.start_chat() for _ in range(2)]
        async with (
            rig.subscribed(chat.participant_token) as websocket,
            rig.subscribed(other.participant_token) as spared,
        ):
            await item(websocket)
            await item(spared)
            assert rig.emulator.drop_connections(chat.contact_id) == 1
            assert rig.emulator.open_connections(chat.contact_id) == 0
            with pytest.raises(ConnectionClosed) as caught:
                await websocket.recv()
            assert caught.value.rcvd is None
            await rig.emulator.say(other.contact_id, "still there")
            assert kinds([await item(spared)]) == ["still there"]
            assert rig.emulator.drop_connections() == 1
        assert kinds(rig.emulator.transcript(chat.contact_id)) == ["participant.joined"]
        async with rig.subscribed(chat.participant_token):
            pass


async def test_a_client_that_does_not_read_is_dropped() -> None:
    """What waits for a slow reader is bounded; the chat goes on without its websocket."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token):
            for _ in range(32):
                await rig.emulator.say(chat.contact_id, "x" * (1 << 20))
            for _ in range(10):  # turns of the loop until the gateway has seen it
                await asyncio.sleep(0)
            assert rig.emulator.open_connections() == 0


async def test_pushed_items_have_the_members_of_the_published_samples(
    samples: dict[str, dict[str, Any]],
) -> None:
    """For every kind of item that the emulator pushes, the members are those of the sample."""
    async with running(scan_seconds=0.001) as rig:
        emulator = rig.emulator
        chat = await emulator.start_chat(display_name="Ana")
        seen: dict[str, dict[str, Any]] = {}
        async with rig.subscribed(chat.participant_token) as websocket:
            seen["participant joined"] = await item(websocket)
            await emulator.say(chat.contact_id, "Welcome")
            seen["message from the flow"] = await item(websocket)
            agent = await emulator.join(chat.contact_id, display_name="Jane")
            await item(websocket)
            message = await agent.say("Hello")
            seen["message from an agent"] = await item(websocket)
            await agent.type()
            seen["typing"] = await item(websocket)
            await agent.mark_delivered(message.id)
            seen["delivered receipt"] = await item(websocket)
            await agent.mark_read(message.id)
            seen["read receipt"] = await item(websocket)
            await agent.send_file("a.png", b"png", content_type="image/png")
            seen["attachment in_progress"] = await item(websocket)
            seen["attachment approved"] = await item(websocket)
            emulator.request_authentication(chat.contact_id)
            seen["authentication.initiated"] = await item(websocket)
            await agent.leave()
            seen["participant left"] = await item(websocket)
            emulator.end_chat(chat.contact_id)
            seen["chat ended"] = await item(websocket)
        for name, pushed in seen.items():
            assert shape(pushed) == shape(json.loads(samples[name]["content"])), name


def shape(value: Any) -> Any:
    """Return a value with its leaves replaced by their types, and kinds kept."""
    if isinstance(value, dict):
        telling = ("Type", "ContentType", "Status")
        return {
            name: member if name in telling else shape(member) for name, member in value.items()
        }
    if isinstance(value, list):
        return [shape(member) for member in value]
    return type(value)
