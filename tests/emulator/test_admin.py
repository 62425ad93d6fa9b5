"""The admin API: the emulator over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from connect_chat import ChatSession, Message, ParticipantClient, Typing
from connect_chat.emulator import Emulator, EmulatorSettings, StartedChat, faults

pytestmark = pytest.mark.connect_time("virtual")


class Admin:
    """Calls it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def __call__(self, method: str, path: str, status: int, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body)
        answer = await self._http.request(method, f"/_emulator{path}", content=content)
        assert answer.status_code == status, answer.text
        if answer.headers.get("content-type") == "application/json":
            return answer.json()
        return answer.text


@pytest.fixture
async def admin(connect_emulator: Emulator) -> AsyncIterator[Admin]:
    url = connect_emulator.url
    async with httpx.AsyncClient(base_url=url, verify=False, trust_env=False) as http:
        yield Admin(http)


async def test_faults_are_injected_listed_and_removed(
    connect_emulator: Emulator, admin: Admin
) -> None:
    """They are the same as in Python, and tell how often they have happened."""
    first = await admin("POST", "/faults", 201, {"kind": "drop", "probability": 0.5})
    connect_emulator.fail_next("SendMessage", 503)
    listed = await admin("GET", "/faults", 200)
    assert [entry["fault"]["kind"] for entry in listed] == ["drop", "fail"]
    assert listed[0] == first
    assert first["applied"] == 0
    assert connect_emulator.injected[0].fault == faults.Drop(probability=0.5)
    await admin("DELETE", f"/faults/{first['id']}", 204)
    await admin("DELETE", f"/faults/{first['id']}", 404)
    assert len(connect_emulator.injected) == 1
    await admin("DELETE", "/faults", 204)
    assert connect_emulator.injected == []


async def test_a_chat_is_held_from_outside(
    connect_emulator: Emulator, connect_client: ParticipantClient, admin: Admin
) -> None:
    """Started, talked in by flow and agent, looked at, and ended."""
    started = await admin(
        "POST",
        "/chats",
        201,
        {"display_name": "Ana", "attributes": {"order": "1"}, "initial_message": "Help"},
    )
    chat = f"/chats/{started['contact_id']}"
    assert connect_emulator.attributes(started["contact_id"]) == {"order": "1"}
    async with ChatSession(
        started["participant_token"],
        client=connect_client,
        participant_id=started["participant_id"],
    ) as session:
        await admin("POST", chat + "/say", 201, {"text": "Welcome"})
        jane = await admin("POST", chat + "/participants", 201, {"display_name": "Jane"})
        await admin("POST", chat + "/type", 204, jane)
        said = await admin("POST", chat + "/say", 201, {"text": "Hello", **jane})
        assert (await session.wait_for(Message, 5)).text == "Welcome"
        assert (await session.wait_for(Typing, 5)).display_name == "Jane"
        assert (await session.wait_for(Message, 5)).id == said["id"]
        await admin("POST", chat + "/leave", 204, jane)
        seen = await admin("GET", chat, 200)
        assert [(p["display_name"], p["present"]) for p in seen["participants"]] == [
            ("Ana", True),
            ("Jane", False),
        ]
        assert seen["participants"][0]["connections"] == 1
        contents = [item["Content"] for item in seen["transcript"] if "Content" in item]
        assert contents == ["Help", "Welcome", "Hello"]
        await admin("DELETE", chat, 204)
    [listed] = await admin("GET", "/chats", 200)
    assert (listed["contact_id"], listed["ended"]) == (started["contact_id"], True)


async def test_scenarios_are_played(
    connect_emulator: Emulator, admin: Admin, started_chat: StartedChat
) -> None:
    """By name; a file is none, since whoever may call this may not read files."""
    path = f"/chats/{started_chat.contact_id}/play"
    await admin("POST", path, 202, {"scenario": "greeting"})
    await asyncio.sleep(1)
    [item] = connect_emulator.transcript(started_chat.contact_id)
    assert item["Content"] == "Welcome to Example Corp."
    refused = await admin("POST", path, 400, {"scenario": "/etc/hosts"})
    assert refused["Message"].startswith("there is no scenario '/etc/hosts'; there are ")


async def test_records_are_read(
    connect_emulator: Emulator, admin: Admin, chat_session: ChatSession
) -> None:
    """As JSON Lines, selected and masked; what is done here is not among them."""
    await chat_session.send("Hello")
    everything = await admin("GET", "/records", 200)
    assert everything == connect_emulator.export_records()
    assert "_emulator" not in everything
    lines = await admin("GET", "/records?kind=request&operation=SendMessage", 200)
    [record] = [json.loads(line) for line in lines.splitlines()]
    assert record["body"]["Content"] == "(5 characters)"
    lines = await admin("GET", "/records?participant=CUSTOMER&contents=true", 200)
    assert "Hello" in lines
    assert await admin("GET", "/records?contact_id=nowhere", 200) == ""


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/faults", {"kind": "dance"}, 400, "kind must be one of"),
        ("POST", "/faults", {"kind": "cut", "contact_id": "x"}, 404, "no such contact"),
        ("POST", "/faults", [], 400, "the body is not a JSON object"),
        ("POST", "/chats", {"name": "Ana"}, 400, "name: Unexpected"),
        ("POST", "/chats", {"display_name": 1}, 400, "display_name: .* string"),
        ("POST", "/chats", {"initial_message": "x" * 2000}, 400, "1 to 1024 characters"),
        ("POST", "/chats", {"initial_message": "x" * 100_000}, 400, "not valid JSON, or too large"),
        ("GET", "/chats/nowhere", None, 404, "no such contact"),
        ("DELETE", "/chats/nowhere", None, 404, "no such contact"),
        ("POST", "/chats/{}/say", {}, 400, "text: Field required"),
        ("POST", "/chats/{}/say", {"text": "x", "participant_id": "x"}, 404, "has joined here"),
        ("POST", "/chats/{}/participants", {"role": "BOSS"}, 400, "role is AGENT, "),
        ("GET", "/records?kind=rumour", None, 400, "kind is one of request, answer"),
        ("GET", "/records?colour=red", None, 400, "records are not selected by colour"),
    ],
)
async def test_what_is_wrong_is_said(
    admin: Admin,
    started_chat: StartedChat,
    method: str,
    path: str,
    body: Any,
    status: int,
    message: str,
) -> None:
    """With a status 4xx and a message."""
    answer = await admin(method, path.format(started_chat.contact_id), status, body)
    assert re.search(message, answer["Message"])


async def test_broken_json_is_refused(connect_emulator: Emulator) -> None:
    """And not only what is no object."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as http:
        answer = await http.post(f"{connect_emulator.url}/_emulator/chats", content=b"{")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://stranger.example"}, {"Host": "stranger.example"}]
)
async def test_strangers_pages_may_not_use_it(
    connect_emulator: Emulator, headers: dict[str, str]
) -> None:
    """Neither by sending requests here nor by rebinding their name to this machine."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as http:
        answer = await http.get(f"{connect_emulator.url}/_emulator/chats", headers=headers)
    assert answer.status_code == 403


async def test_participants_are_forgotten_with_their_chat() -> None:
    """What joined here does not pile up."""
    async with (
        Emulator(settings=EmulatorSettings(ended_chats_kept=0)) as emulator,
        httpx.AsyncClient(base_url=emulator.url, verify=False, trust_env=False) as http,
    ):
        admin = Admin(http)
        chat = await emulator.start_chat()
        path = f"/chats/{chat.contact_id}"
        joined = await admin("POST", path + "/participants", 201, {})
        await admin("DELETE", path, 204)
        await admin("POST", path + "/say", 404, {"text": "x", **joined})
