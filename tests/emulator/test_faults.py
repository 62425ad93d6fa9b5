"""Every fault, as it shows on the wire, and where and how often it happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from connect_chat import (
    AccessDeniedException,
    ParticipantClient,
    ServiceError,
    ServiceUnreachableError,
    ThrottlingException,
)
from connect_chat.emulator import EmulatedParticipant, Emulator, Refusal, StartedChat, faults
from connect_chat.emulator.faults import KINDS, Fault, describe, parse_fault
from connect_chat.errors import ConfigurationError

from .support import SUBSCRIBE, kinds, opened, subscribe

pytestmark = pytest.mark.connect_time("virtual")


@pytest.fixture
async def client(connect_emulator: Emulator) -> AsyncIterator[ParticipantClient]:
    """A client that tries once."""
    url = connect_emulator.url
    async with ParticipantClient(endpoint_url=url, quota=None, max_attempts=1) as client:
        yield client


@pytest.fixture
async def token(client: ParticipantClient, started_chat: StartedChat) -> str:
    """A connection token of the customer, who has joined."""
    return await connected(client, started_chat)


async def connected(client: ParticipantClient, chat: StartedChat) -> str:
    reply = await client.create_participant_connection(
        chat.participant_token, types=["CONNECTION_CREDENTIALS"], connect_participant=True
    )
    assert reply.connection_credentials is not None
    assert reply.connection_credentials.connection_token is not None
    return reply.connection_credentials.connection_token


async def url_of(client: ParticipantClient, chat: StartedChat) -> str:
    reply = await client.create_participant_connection(chat.participant_token)
    assert reply.websocket is not None
    assert reply.websocket.url is not None
    return reply.websocket.url


@asynccontextmanager
async def subscribed(
    client: ParticipantClient, chat: StartedChat
) -> AsyncIterator[ClientConnection]:
    async with opened(await url_of(client, chat)) as websocket:
        await subscribe(websocket)
        yield websocket


async def item(websocket: ClientConnection) -> Any:
    """Return the next Item that is pushed."""
    async with asyncio.timeout(1000):
        frame = json.loads(await websocket.recv())
    assert frame["topic"] == "aws/chat"
    return json.loads(frame["content"])


async def heard(websocket: ClientConnection, count: int) -> list[Any]:
    """Return the texts of the next messages."""
    texts: list[Any] = []
    while len(texts) < count:
        pushed = await item(websocket)
        if pushed["Type"] == "MESSAGE":
            texts.append(pushed["Content"])
    return texts


def now() -> float:
    return asyncio.get_running_loop().time()


# --- Requests ------------------------------------------------------------------------------------


async def test_as_many_calls_fail_as_asked_for(
    connect_emulator: Emulator, client: ParticipantClient, token: str, started_chat: StartedChat
) -> None:
    """Faults of an operation come in order, other operations do not have them."""
    connect_emulator.fail_next("SendMessage", "ThrottlingException", count=2)
    connect_emulator.fail_next("SendMessage")
    connect_emulator.fail_next("SendMessage", "InternalServerException")
    await client.get_transcript(token)
    for code in ("ThrottlingException", "ThrottlingException", None, "InternalServerException"):
        with pytest.raises((ServiceError, ServiceUnreachableError)) as caught:
            await client.send_message(token, "Hi")
        assert getattr(caught.value, "code", None) == code
    assert kinds(connect_emulator.transcript(started_chat.contact_id)) == ["participant.joined"]
    await client.send_message(token, "Hi")
    assert connect_emulator.injected == []


@pytest.mark.parametrize("status", [403, 500, 502, 503, 504])
async def test_a_gateway_in_between_may_fail(
    status: int, connect_emulator: Emulator, token: str
) -> None:
    """Its answer has the status, and nothing of the service."""
    connect_emulator.inject(faults.Fail("GetTranscript", status))
    async with httpx.AsyncClient(verify=False, trust_env=False) as http:
        url = f"{connect_emulator.url}/participant/transcript"
        answer = await http.post(url, headers={"X-Amz-Bearer": token}, json={})
    assert answer.status_code == status
    assert "x-amzn-requestid" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")


async def test_throttling_may_say_when_to_try_again(
    connect_emulator: Emulator, client: ParticipantClient, token: str
) -> None:
    """The answer has a Retry-After."""
    connect_emulator.inject(faults.Fail("SendMessage", "ThrottlingException", retry_after=7))
    with pytest.raises(ThrottlingException) as caught:
        await client.send_message(token, "Hi")
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(("after_work", "said"), [(False, []), (True, ["Hi"])])
async def test_an_answer_may_be_lost_before_or_after_the_work(
    after_work: bool,
    said: list[str],
    connect_emulator: Emulator,
    client: ParticipantClient,
    token: str,
    started_chat: StartedChat,
) -> None:
    """The connection breaks; only after_work the message was taken, once for its ClientToken."""
    connect_emulator.inject(faults.LoseAnswer("SendMessage", after_work=after_work, count=1))
    with pytest.raises(ServiceUnreachableError):
        await client.send_message(token, "Hi", client_token="once")
    assert kinds(connect_emulator.transcript(started_chat.contact_id))[1:] == said
    reply = await client.send_message(token, "Hi", client_token="once")
    assert connect_emulator.transcript(started_chat.contact_id)[-1]["Id"] == reply.id
    assert kinds(connect_emulator.transcript(started_chat.contact_id))[1:] == ["Hi"]


async def test_the_work_may_be_done_and_its_answer_be_an_error(
    connect_emulator: Emulator, client: ParticipantClient, token: str, started_chat: StartedChat
) -> None:
    """With after_work the error hides a success."""
    connect_emulator.inject(faults.Fail("SendMessage", 503, after_work=True))
    with pytest.raises(ServiceUnreachableError):
        await client.send_message(token, "Hi")
    assert kinds(connect_emulator.transcript(started_chat.contact_id))[-1] == "Hi"


async def test_an_answer_may_be_slow(
    connect_emulator: Emulator, client: ParticipantClient, token: str, started_chat: StartedChat
) -> None:
    """It comes after so many seconds and up to so many more; the work is done at once."""
    connect_emulator.inject(faults.SlowAnswer("SendMessage", 4, jitter=2))
    before = now()
    sending = asyncio.create_task(client.send_message(token, "Hi"))
    await asyncio.sleep(0.1)
    assert kinds(connect_emulator.transcript(started_chat.contact_id))[-1] == "Hi"
    await sending
    assert 4 < now() - before < 6


async def test_a_slow_answer_does_not_outlive_its_client_or_the_emulator() -> None:
    """Closing does not wait for it."""
    async with Emulator() as emulator:
        emulator.inject(faults.SlowAnswer(None, 1e5))
        chat = await emulator.start_chat()
        async with ParticipantClient(endpoint_url=emulator.url) as client:
            asking = asyncio.create_task(url_of(client, chat))
            await asyncio.sleep(1)
            assert emulator.records("request")
            await emulator.__aexit__(None, None, None)
            asking.cancel()
            await asyncio.wait([asking])
    assert now() < 100


async def test_s3_may_fail_and_be_slow(
    connect_emulator: Emulator, client: ParticipantClient, token: str
) -> None:
    """An upload gets S3's kind of error, then waits."""
    upload = await client.start_attachment_upload(
        token, attachment_name="a.txt", attachment_size_in_bytes=1, content_type="text/plain"
    )
    metadata = upload.upload_metadata
    assert metadata is not None
    assert metadata.url is not None
    connect_emulator.inject(faults.Fail("PutObject", 503, retry_after=1, count=1))
    connect_emulator.inject(faults.SlowAnswer("PutObject", 3))
    async with httpx.AsyncClient(verify=False, trust_env=False) as http:
        before = now()
        for status in (503, 200):
            answer = await http.put(
                metadata.url, content=b"a", headers=metadata.headers_to_include or {}
            )
            assert answer.status_code == status
            assert answer.headers.get("retry-after") == {503: "1"}.get(status)
    assert now() - before == pytest.approx(6)


async def test_the_scanner_may_reject(
    connect_emulator: Emulator, chat_agent: EmulatedParticipant, started_chat: StartedChat
) -> None:
    """One attachment is rejected, the next one isn't."""
    connect_emulator.reject_next_attachment()
    for _ in range(2):
        await chat_agent.send_file("a.txt", b"a", content_type="text/plain")
    files = [
        entry["Attachments"][0]["Status"]
        for entry in connect_emulator.transcript(started_chat.contact_id)
        if "Attachments" in entry
    ]
    assert files == ["REJECTED", "APPROVED"]


async def test_tokens_may_expire(
    connect_emulator: Emulator, client: ParticipantClient, token: str, started_chat: StartedChat
) -> None:
    """Those that were given out are refused; a new one is not."""
    assert connect_emulator.inject(faults.ExpireTokens(participant="CUSTOMER")).applied == 1
    with pytest.raises(AccessDeniedException):
        await client.send_message(token, "Hi")
    await client.send_message(await connected(client, started_chat), "Hi")


# --- Websockets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "again"),
    [
        (faults.RejectUpgrade(count=1), 403, True),
        (faults.RejectUpgrade(503, count=1), 503, True),
        (faults.ExpireUrls(count=1), 403, False),
    ],
)
async def test_an_upgrade_may_be_rejected(
    fault: Fault,
    status: int,
    again: bool,
    connect_emulator: Emulator,
    client: ParticipantClient,
    started_chat: StartedChat,
) -> None:
    """A URL that is merely rejected works afterwards; one that has expired never does."""
    url = await url_of(client, started_chat)
    connect_emulator.inject(fault)
    with pytest.raises(InvalidStatus) as caught:
        await opened(url)
    assert caught.value.response.status_code == status
    if again:
        async with opened(url) as websocket:
            await subscribe(websocket)
    else:
        with pytest.raises(InvalidStatus):
            await opened(url)


async def test_a_subscription_may_be_refused_or_ignored(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """A refusal has another status than success; silence is silence; then it works."""
    connect_emulator.inject(faults.RefuseSubscription(count=1))
    connect_emulator.inject(faults.IgnoreSubscription(count=1))
    async with opened(await url_of(client, started_chat)) as websocket:
        await websocket.send(json.dumps(SUBSCRIBE))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(websocket.recv(), 5)
        await websocket.send(json.dumps(SUBSCRIBE))
        answer = json.loads(await websocket.recv())
        assert (answer["topic"], answer["content"]["status"]) == ("aws/subscribe", "failure")
        await connect_emulator.say(started_chat.contact_id, "not for us")
        await subscribe(websocket)
        await connect_emulator.say(started_chat.contact_id, "for us")
        assert await heard(websocket, 1) == ["for us"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [(faults.Cut(), None), (faults.Cut(1011), 1011), (faults.ExpireSockets(), 1001)],
    ids=["reset", "code", "expired"],
)
async def test_a_websocket_may_be_cut(
    fault: Fault,
    code: int | None,
    connect_emulator: Emulator,
    client: ParticipantClient,
    started_chat: StartedChat,
) -> None:
    """At once, with or without a closing handshake; one that is opened later is left alone."""
    async with subscribed(client, started_chat) as websocket:
        assert connect_emulator.inject(fault).applied == 1
        with pytest.raises(ConnectionClosed) as caught:
            await heard(websocket, 1)
        assert (caught.value.rcvd and caught.value.rcvd.code) == code
    async with subscribed(client, started_chat) as websocket:
        await connect_emulator.say(started_chat.contact_id, "Hi")
        assert await heard(websocket, 1) == ["Hi"]


@pytest.mark.parametrize("direction", ["up", "down", "both"])
async def test_a_websocket_may_freeze_and_thaw(
    direction: Any, connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """Nothing gets through in that direction, not even a pong; in the end all of it does."""
    async with subscribed(client, started_chat) as websocket:
        await item(websocket)  # we have joined
        with connect_emulator.inject(faults.Freeze(direction)) as frozen:
            await connect_emulator.say(started_chat.contact_id, "Hi")
            await websocket.send('{"topic": "aws/heartbeat"}')
            pong = await websocket.ping()
            await asyncio.sleep(60)
            assert not pong.done()
            if direction == "up":
                assert await heard(websocket, 1) == ["Hi"]
            received = connect_emulator.records("frame_in", operation="aws/heartbeat")
            assert len(received) == (direction == "down")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(websocket.recv(), 60)
            assert frozen.applied == 1
        await pong
        if direction != "up":
            assert await heard(websocket, 1) == ["Hi"]
        assert json.loads(await websocket.recv()) == {"topic": "aws/heartbeat"}


async def test_two_freezes_are_over_when_both_are(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """The first to end does not thaw what the other one holds."""
    async with subscribed(client, started_chat) as websocket:
        await item(websocket)
        connect_emulator.inject(faults.Freeze("both", lasts=10))
        connect_emulator.inject(faults.Freeze("down", lasts=20))
        await connect_emulator.say(started_chat.contact_id, "Hi")
        before = now()
        assert await heard(websocket, 1) == ["Hi"]
        assert now() - before == pytest.approx(20)


async def test_a_frozen_websocket_may_end(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """The client's hanging up is noticed; the end of the chat is seen when it thaws."""
    frozen = connect_emulator.inject(faults.Freeze(after=1, lasts=100))
    async with subscribed(client, started_chat) as first:
        async with subscribed(client, started_chat) as second:
            await asyncio.sleep(2)
            assert frozen.applied == 2
            second.transport.abort()
        await asyncio.sleep(1)
        assert connect_emulator.open_connections() == 1
        connect_emulator.end_chat(started_chat.contact_id)
        await first.wait_closed()
        assert first.close_code == 1000
        assert now() == pytest.approx(101)


async def test_an_emulator_with_frozen_websockets_closes(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """Promptly, and they with it."""
    async with subscribed(client, started_chat) as websocket:
        connect_emulator.inject(faults.Freeze())
        await connect_emulator.__aexit__(None, None, None)
        await websocket.wait_closed()
    assert now() < 1


# --- Frames --------------------------------------------------------------------------------------


async def said(emulator: Emulator, chat: StartedChat, count: int) -> list[str]:
    texts = [f"message {number}" for number in range(count)]
    for text in texts:
        await emulator.say(chat.contact_id, text)
    return texts


async def test_frames_may_be_late_in_order(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """By so much and up to so much more; what was said earlier arrives earlier, also afterwards."""
    async with subscribed(client, started_chat) as websocket:
        await item(websocket)
        before = now()
        with connect_emulator.inject(faults.Delay(2, jitter=5)):
            texts = await said(connect_emulator, started_chat, 10)
        texts += await said(connect_emulator, started_chat, 1)
        assert await heard(websocket, 11) == texts
        assert 2 < now() - before < 7


@pytest.mark.parametrize("fault", [faults.Delay(5), faults.Reorder(within=5)])
async def test_the_end_waits_for_late_frames(
    fault: Fault,
    connect_emulator: Emulator,
    client: ParticipantClient,
    started_chat: StartedChat,
) -> None:
    """The websocket is not closed before them."""
    async with subscribed(client, started_chat) as websocket:
        connect_emulator.inject(fault)
        texts = await said(connect_emulator, started_chat, 10)
        connect_emulator.end_chat(started_chat.contact_id)
        assert sorted(await heard(websocket, 10)) == sorted(texts)
        await websocket.wait_closed()
        assert websocket.close_code == 1000


async def test_frames_may_be_dropped(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """Some at random, or just the first ones."""
    async with subscribed(client, started_chat) as websocket:
        connect_emulator.inject(faults.Drop(count=3))
        texts = await said(connect_emulator, started_chat, 5)
        assert await heard(websocket, 2) == texts[3:]
        with connect_emulator.inject(faults.Drop(probability=0.5)) as dropping:
            texts = await said(connect_emulator, started_chat, 100)
        await connect_emulator.say(started_chat.contact_id, "end")
        arrived = await heard(websocket, 101 - dropping.applied)
        assert arrived[-1] == "end"
        assert 30 < dropping.applied < 70
        assert [text for text in texts if text in arrived] == arrived[:-1]


async def test_frames_may_be_doubled(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """The same one twice."""
    async with subscribed(client, started_chat) as websocket:
        connect_emulator.inject(faults.Duplicate(count=1))
        first, second = await said(connect_emulator, started_chat, 2)
        assert await heard(websocket, 3) == [first, first, second]


async def test_frames_may_overtake_each_other(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """All of them arrive, in another order."""
    async with subscribed(client, started_chat) as websocket:
        connect_emulator.inject(faults.Reorder(within=3))
        before = now()
        texts = await said(connect_emulator, started_chat, 20)
        arrived = await heard(websocket, 20)
        assert arrived != texts
        assert sorted(arrived) == sorted(texts)
        assert now() - before <= 3


async def test_frames_may_be_truncated_or_corrupt(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """Half of the text is missing, or part of it is not even UTF-8; the next one is as it was."""
    async with subscribed(client, started_chat) as websocket:
        await item(websocket)
        connect_emulator.inject(faults.Truncate(count=1))
        await said(connect_emulator, started_chat, 1)
        text = await websocket.recv()
        assert text[:10] == '{"topic":"'
        with pytest.raises(ValueError):
            json.loads(text)
        assert await said(connect_emulator, started_chat, 1) == await heard(websocket, 1)
        connect_emulator.inject(faults.Corrupt(count=1))
        await said(connect_emulator, started_chat, 1)
        with pytest.raises(ConnectionClosed) as caught:
            await websocket.recv()
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1007  # this client does not put up with it


async def test_faults_of_frames_add_up(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """Doubled, late and out of order."""
    async with subscribed(client, started_chat) as websocket:
        await item(websocket)
        for fault in (faults.Duplicate(), faults.Delay(5), faults.Reorder(within=1)):
            connect_emulator.inject(fault)
        before = now()
        texts = await said(connect_emulator, started_chat, 5)
        assert sorted(await heard(websocket, 10)) == sorted(texts * 2)
        assert 5 < now() - before < 6


async def test_faults_of_frames_have_a_topic(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """By default it is that of items; heartbeats have one, too, and None is all of them."""
    async with subscribed(client, started_chat) as websocket:
        await item(websocket)
        heartbeat = {"topic": "aws/heartbeat"}
        connect_emulator.inject(faults.Drop(count=1))
        connect_emulator.inject(faults.Drop(topic="aws/ping"))
        await websocket.send(json.dumps({"topic": "aws/ping"}))
        await websocket.send(json.dumps(heartbeat))
        assert json.loads(await websocket.recv()) == heartbeat
        connect_emulator.inject(faults.Drop(topic=None))
        await websocket.send(json.dumps(heartbeat))
        await websocket.send("no frame of the protocol")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(websocket.recv(), 60)


# --- Where, when and how often -------------------------------------------------------------------


async def test_a_fault_may_be_about_one_chat(
    connect_emulator: Emulator, client: ParticipantClient
) -> None:
    """The other one is well."""
    one, other = [await connect_emulator.start_chat() for _ in range(2)]
    connect_emulator.inject(faults.Fail("SendMessage", 503, contact_id=one.contact_id))
    tokens = [await connected(client, chat) for chat in (one, other)]
    with pytest.raises(ServiceUnreachableError):
        await client.send_message(tokens[0], "Hi")
    await client.send_message(tokens[1], "Hi")
    async with subscribed(client, one) as first, subscribed(client, other) as second:
        assert connect_emulator.inject(faults.Cut(contact_id=one.contact_id)).applied == 1
        await first.wait_closed()
        await connect_emulator.say(other.contact_id, "Hi")
        assert await heard(second, 1) == ["Hi"]


async def test_a_fault_may_be_about_one_participant(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """By role or by id; of those who are not in the chat by token, there is nothing to befall."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as http:
        reply = await http.post(
            f"{connect_emulator.url}/contact/create-participant",
            json={
                "InstanceId": "11111111-1111-1111-1111-111111111111",
                "ContactId": started_chat.contact_id,
                "ParticipantDetails": {"ParticipantRole": "AGENT", "DisplayName": "Jane"},
            },
        )
    agent = StartedChat(
        started_chat.contact_id,
        reply.json()["ParticipantId"],
        reply.json()["ParticipantCredentials"]["ParticipantToken"],
    )
    async with subscribed(client, agent) as first, subscribed(client, started_chat) as second:
        connect_emulator.inject(faults.Drop(participant="AGENT"))
        connect_emulator.inject(faults.Duplicate(participant=started_chat.participant_id))
        await connect_emulator.say(started_chat.contact_id, "Hi")
        assert await heard(second, 2) == ["Hi", "Hi"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(heard(first, 1), 10)


async def test_a_fault_of_the_control_plane_knows_its_chat(
    connect_emulator: Emulator, started_chat: StartedChat
) -> None:
    """StopContact of one chat is refused, of another it isn't."""
    other = await connect_emulator.start_chat()
    connect_emulator.inject(
        faults.Fail("StopContact", "InternalServiceException", contact_id=started_chat.contact_id)
    )
    async with httpx.AsyncClient(verify=False, trust_env=False) as http:
        for chat, status in ((started_chat, 500), (other, 200)):
            members = {
                "InstanceId": "11111111-1111-1111-1111-111111111111",
                "ContactId": chat.contact_id,
            }
            reply = await http.post(f"{connect_emulator.url}/contact/stop", json=members)
            assert reply.status_code == status


async def test_the_same_seed_does_the_same(
    connect_emulator: Emulator, client: ParticipantClient, started_chat: StartedChat
) -> None:
    """What is at random happens at the same places again, and elsewhere with another seed."""
    patterns = []
    async with subscribed(client, started_chat) as websocket:
        for seed in (1, 1, 2):
            with connect_emulator.inject(faults.Drop(probability=0.5, seed=seed)) as dropping:
                texts = await said(connect_emulator, started_chat, 30)
            arrived = await heard(websocket, 30 - dropping.applied)
            patterns.append([text in arrived for text in texts])
    assert patterns[0] == patterns[1] != patterns[2]


async def test_a_fault_may_begin_later_and_end_by_itself(
    connect_emulator: Emulator, client: ParticipantClient, token: str
) -> None:
    """It happens from ``after`` on for as long as it ``lasts``."""
    fault = faults.Fail("SendEvent", 503, after=10, lasts=20)
    injection = connect_emulator.inject(fault)
    refused = []
    for _ in range(40):
        try:
            await client.send_event(token, "application/vnd.amazonaws.connect.event.typing")
        except ServiceUnreachableError:
            refused.append(round(now()))
        await asyncio.sleep(1)
    assert refused == list(range(10, 30))
    assert injection.applied == 20
    assert connect_emulator.injected == []


async def test_a_fault_that_is_removed_does_not_happen(
    connect_emulator: Emulator, client: ParticipantClient, token: str
) -> None:
    """Neither one that has begun nor one that has not; removing it again does nothing."""
    first = connect_emulator.inject(faults.Fail("SendMessage", 503))
    later = connect_emulator.inject(faults.Cut(after=10))
    assert connect_emulator.injected == [first, later]
    for injection in (first, later, first):
        injection.remove()
    assert connect_emulator.injected == []
    await client.send_message(token, "Hi")
    await asyncio.sleep(20)
    assert (first.applied, later.applied) == (0, 0)


async def test_a_fault_of_an_unknown_chat_is_refused(connect_emulator: Emulator) -> None:
    """There it can never happen."""
    with pytest.raises(Refusal, match="ResourceNotFound"):
        connect_emulator.inject(faults.Cut(contact_id="nowhere"))


async def test_each_time_is_recorded(
    connect_emulator: Emulator, client: ParticipantClient, token: str, started_chat: StartedChat
) -> None:
    """With what happened, to whom and when."""
    await asyncio.sleep(5)
    connect_emulator.inject(faults.Fail("SendMessage", 503, count=1))
    with pytest.raises(ServiceUnreachableError):
        await client.send_message(token, "Hi")
    [record] = connect_emulator.records("fault")
    assert record.body == {"kind": "fail", "operation": "SendMessage", "error": 503, "count": 1}
    assert (record.contact_id, record.participant_id, record.operation) == (
        started_chat.contact_id,
        started_chat.participant_id,
        "SendMessage",
    )
    loop: Any = asyncio.get_running_loop()
    assert record.time == pytest.approx(loop.wall_time(), abs=0.1)


# --- As data -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_written_down(kind: str) -> None:
    """What describes a fault makes the same fault."""
    fault = parse_fault({"kind": kind, "count": 2, "probability": 0.5, "participant": "AGENT"})
    assert type(fault) is KINDS[kind]
    assert parse_fault(json.loads(json.dumps(describe(fault)))) == fault


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({}, "kind must be one of fail, "),
        ({"kind": ["cut"]}, "kind must be one of fail, "),
        ({"kind": "drop", "often": 1}, "^drop: often: Unexpected"),
        ({"kind": "drop", "probability": "1"}, "^drop: probability: .* valid number"),
        ({"kind": "drop", "count": True}, "^drop: count: .* valid integer"),
        ({"kind": "drop", "count": 0}, "^drop: count must be 1 or more; got 0"),
        ({"kind": "drop", "probability": 0}, "probability must be more than 0 and at most 1"),
        ({"kind": "delay", "seconds": -1}, "seconds must be 0 or more; got -1"),
        ({"kind": "cut", "lasts": -1}, "lasts must be 0 or more"),
        ({"kind": "cut", "code": 200}, "close code is 1000 to 4999; got 200"),
        ({"kind": "reject_upgrade", "status": 200}, "400 to 599; got 200"),
        ({"kind": "freeze", "direction": "left"}, "direction: .*'up', 'down' or 'both'"),
        ({"kind": "fail", "operation": "Dance"}, "no operation 'Dance'; there are CreatePart"),
        ({"kind": "fail", "error": 200}, "400 to 599; got 200"),
        (
            {"kind": "fail", "operation": "SendMessage", "error": "ConflictException"},
            "SendMessage answers with AccessDenied.*; got 'ConflictException'",
        ),
        ({"kind": "fail", "error": "Nonsense"}, "the service answers with .*; got 'Nonsense'"),
        (
            {"kind": "fail", "operation": "PutObject", "error": "SlowDown"},
            "PutObject answers with a status; got 'SlowDown'",
        ),
    ],
)
def test_what_cannot_happen_cannot_be_asked_for(members: dict[str, Any], problem: str) -> None:
    """The error says what is wrong and what there is."""
    with pytest.raises(ConfigurationError, match=problem):
        parse_fault(members)
