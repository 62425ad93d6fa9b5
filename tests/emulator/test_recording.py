"""What the emulator remembers of what clients did."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest

from connect_chat import ChatSession, Message, ParticipantClient
from connect_chat.emulator import EmulatedParticipant, Emulator, Record, StartedChat, faults

pytestmark = pytest.mark.connect_time("virtual")

SECRET = "my card is 4111 1111 1111 1111"


async def test_a_client_s_calls_can_be_counted(
    connect_emulator: Emulator, chat_session: ChatSession
) -> None:
    """Three hours: one connection at first, and one for each rotation."""
    await asyncio.sleep(3 * 3600)
    asked = connect_emulator.records("request", operation="CreateParticipantConnection")
    assert len(asked) == 1 + chat_session.stats["rotations"] == 4
    times = [record.time for record in asked]
    assert all(3000 < later - earlier < 3600 for earlier, later in pairwise(times))


async def test_a_retry_can_be_told_from_a_second_message(
    connect_emulator: Emulator, chat_session: ChatSession
) -> None:
    """The same ClientToken twice, then another one; and what was answered to each."""
    connect_emulator.fail_next("SendMessage", after_work=True)
    await chat_session.send("Hello")
    await chat_session.send("Hello")
    sent = connect_emulator.records("request", operation="SendMessage")
    tokens = [record.body["ClientToken"] for record in sent if record.body]
    assert tokens[0] == tokens[1] != tokens[2]
    answers = connect_emulator.records("answer", operation="SendMessage")
    assert [answer.status for answer in answers] == [None, 200, 200]
    assert answers[0].body is None
    assert answers[1].body is not None
    assert answers[1].body["Id"]


async def test_a_websocket_s_life_is_recorded(
    connect_emulator: Emulator,
    connect_client: ParticipantClient,
    started_chat: StartedChat,
    chat_agent: EmulatedParticipant,
) -> None:
    """Its upgrade, its frames both ways with their topics, and its end."""
    connect_emulator.inject(faults.RejectUpgrade(503, count=1))
    async with ChatSession(started_chat.participant_token, client=connect_client) as chat:
        await chat_agent.say("Hello")
        await chat.wait_for(Message, 5)
        await asyncio.sleep(15)
    await asyncio.sleep(1)
    records = connect_emulator.records(participant="CUSTOMER")
    assert [(r.kind, r.status) for r in records if r.kind in ("upgrade", "closed")] == [
        ("upgrade", 503),
        ("upgrade", 101),
        ("closed", 1000),
    ]
    up = [record.operation for record in records if record.kind == "frame_in"]
    assert up == ["aws/subscribe", *["aws/heartbeat", "aws/ping"] * 2]
    down = connect_emulator.records("frame_out", operation="aws/chat")
    said = [r.body["content"].get("Content") for r in down if r.body]
    assert said == [None, "Hello"]  # we joined


async def test_records_are_selected_by_whom_they_concern(connect_emulator: Emulator) -> None:
    """By chat, by role and by participant."""
    chats = [await connect_emulator.start_chat() for _ in range(2)]
    async with ParticipantClient(endpoint_url=connect_emulator.url) as client:
        for chat in chats:
            await client.create_participant_connection(chat.participant_token)
    for chat in chats:
        for selection in (
            {"contact_id": chat.contact_id},
            {"participant": chat.participant_id},
            {"contact_id": chat.contact_id, "participant": "CUSTOMER"},
        ):
            records = connect_emulator.records(**selection)
            assert [record.kind for record in records] == ["request", "answer"]
            assert {record.participant_id for record in records} == {chat.participant_id}
        assert connect_emulator.records(contact_id=chat.contact_id, participant="AGENT") == []


@pytest.mark.connect_settings(max_records=5)
async def test_only_the_latest_are_kept(
    connect_emulator: Emulator, chat_session: ChatSession
) -> None:
    """So that memory is bounded."""
    for number in range(5):
        await chat_session.send(str(number))
    last = connect_emulator.records()
    assert len(last) == 5
    assert last[-1].kind == "answer"


@pytest.mark.connect_settings(max_records=0)
async def test_recording_can_be_switched_off(
    connect_emulator: Emulator, chat_session: ChatSession
) -> None:
    """Nothing is kept, and everything works."""
    await chat_session.send("Hello")
    assert connect_emulator.records() == []


async def talk(emulator: Emulator, chat: ChatSession, agent: EmulatedParticipant) -> set[str]:
    """Let both sides say and send secrets; return the strings that have to stay secret."""
    await chat.send(SECRET)
    await agent.say(SECRET)
    await chat.wait_for(Message, 5)
    await chat.send_attachment(SECRET.encode(), name="a secret.txt", content_type="text/plain")
    page = [item async for item in chat.history()]
    assert page
    secrets: set[str] = set()
    for record in emulator.records():
        if record.token:
            secrets.add(record.token)
        secrets |= set(urls(record.body))
    assert len(secrets) > 3
    return secrets


def urls(value: Any) -> list[str]:
    """Return the queries of all URLs in something, since it is they that let somebody in."""
    if isinstance(value, dict):
        return [found for member in value.values() for found in urls(member)]
    return [value.partition("?")[2]] if isinstance(value, str) and "://" in value else []


async def test_exports_have_no_secrets(
    connect_emulator: Emulator, chat_session: ChatSession, chat_agent: EmulatedParticipant
) -> None:
    """Neither tokens, nor what is behind a URL's question mark, nor what was said, nor names."""
    secrets = await talk(connect_emulator, chat_session, chat_agent)
    exported = connect_emulator.export_records()
    for secret in (*secrets, SECRET, SECRET[:12], "a secret.txt", '"Agent"', '"Customer"'):
        assert secret not in exported
    assert not any(secret in repr(connect_emulator.records()) for secret in (*secrets, SECRET))


async def test_exports_are_json_lines(
    connect_emulator: Emulator, chat_session: ChatSession, chat_agent: EmulatedParticipant
) -> None:
    """One record a line, with a time; a token is recognizable, and a content has its length."""
    secrets = await talk(connect_emulator, chat_session, chat_agent)
    lines = [json.loads(line) for line in connect_emulator.export_records().splitlines()]
    assert len(lines) == len(connect_emulator.records())
    assert lines[0]["kind"] == "request"
    assert datetime.fromisoformat(lines[0]["time"]).tzinfo is not None
    sent = [r for r in lines if r["kind"] == "request" and r["operation"] == "SendMessage"]
    assert sent[0]["body"]["Content"] == f"({len(SECRET)} characters)"
    assert sent[0]["body"]["ClientToken"]
    granted = next(r for r in lines if r["kind"] == "answer")["body"]
    assert sent[0]["token"] == granted["ConnectionCredentials"]["ConnectionToken"]
    assert granted["Websocket"]["Url"] == connect_emulator.url.replace("http", "ws") + "/chat"
    pushed = [r["body"]["content"] for r in lines if r.get("operation") == "aws/chat"]
    assert {item["Content"] for item in pushed if "Content" in item} == {
        f"({len(SECRET)} characters)"
    }
    assert not secrets & {line["token"] for line in lines if "token" in line}


async def test_contents_may_be_exported(
    connect_emulator: Emulator, chat_session: ChatSession, chat_agent: EmulatedParticipant
) -> None:
    """Then what was said is there; tokens are not."""
    secrets = await talk(connect_emulator, chat_session, chat_agent)
    exported = connect_emulator.export_records(contents=True)
    assert SECRET in exported
    assert not any(secret in exported for secret in secrets)


async def test_what_is_no_json_is_recorded_all_the_same(
    connect_emulator: Emulator, chat_session: ChatSession
) -> None:
    """A broken body and a broken frame have no body; they are not forgotten."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as http:
        await http.post(f"{connect_emulator.url}/participant/message", content=b"{")
        await http.post(f"{connect_emulator.url}/participant/message", content=b"x" * 2**21)
    assert [r.body for r in connect_emulator.records("request")[-2:]] == [None, None]
    connect_emulator.inject(faults.Truncate(count=1))
    await connect_emulator.say(chat_session.contact_id or "", "Hello")
    broken: Record = connect_emulator.records("frame_out")[-1]
    assert (broken.body, broken.operation) == (None, None)
