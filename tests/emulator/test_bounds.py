"""What one process keeps is bounded, whatever is asked of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from connect_chat.emulator import Refusal

from .support import http, item, kinds, opened, running, subscribe

START: dict[str, Any] = {
    "InstanceId": "instance",
    "ContactFlowId": "flow",
    "ParticipantDetails": {"DisplayName": "Ana"},
}


async def test_so_many_chats_and_no_more() -> None:
    """StartChatContact is refused with the service's error until a chat ends."""
    async with running(max_chats=2) as rig:
        first, _ = [await rig.emulator.start_chat() for _ in range(2)]
        await rig.refused("LimitExceededException", "start_chat_contact", **START)
        rig.emulator.end_chat(first.contact_id)
        await rig.call("start_chat_contact", **START)


async def test_the_chats_that_ended_first_are_forgotten_first() -> None:
    """Beyond the number that is kept there is nothing of them: chat, tokens, files."""
    async with running(ended_chats_kept=1) as rig:
        chats = []
        for _ in range(2):
            chat, token = await rig.started()
            agent = await rig.emulator.join(chat.contact_id)
            sent = await agent.send_file("a.txt", b"a", content_type="text/plain")
            file = await rig.call(
                "get_attachment",
                AttachmentId=sent.attachments[0].attachment_id,
                ConnectionToken=token,
            )
            chats.append((chat, token, file["Url"]))
            rig.emulator.end_chat(chat.contact_id)
        (old, old_token, old_url), (new, _, new_url) = chats
        with pytest.raises(Refusal, match="no such contact"):
            rig.emulator.transcript(old.contact_id)
        assert rig.emulator.transcript(new.contact_id)
        refusal = await rig.refused(
            "AccessDeniedException", "get_transcript", ConnectionToken=old_token
        )
        assert "not valid" in refusal
        async with http() as web:
            assert (await web.get(old_url)).status_code == 403
            assert (await web.get(new_url)).status_code == 200


async def test_so_many_items_and_no_more() -> None:
    """Ended chats make room for running ones; then the sender is throttled, and may leave."""
    async with running(max_items=10) as rig:
        old, _ = await rig.started()
        for _ in range(5):
            await rig.emulator.say(old.contact_id, "words")
        rig.emulator.end_chat(old.contact_id)
        chat, token = await rig.started()
        for _ in range(9):
            await rig.emulator.say(chat.contact_id, "words")
        with pytest.raises(Refusal, match="no such contact"):
            rig.emulator.transcript(old.contact_id)
        message = {"ContentType": "text/plain", "Content": "words", "ConnectionToken": token}
        refusal = await rig.refused("ThrottlingException", "send_message", **message)
        assert refusal == "The emulator is full: it keeps 10 items at most."
        await rig.refused("LimitExceededException", "start_chat_contact", **START)
        await rig.call("disconnect_participant", ConnectionToken=token)
        assert kinds(rig.emulator.transcript(chat.contact_id))[-1] == "chat.ended"
        await rig.call("start_chat_contact", **START)


async def test_so_many_bytes_of_attachments_and_no_more() -> None:
    """Announcing one too many is throttled, also of empty ones, until a chat is forgotten."""
    async with running(max_attachment_bytes=10_000, ended_chats_kept=5) as rig:
        chat, token = await rig.started()
        other, _ = await rig.started()
        agent = await rig.emulator.join(other.contact_id)
        await agent.send_file("a.txt", b"a" * 5000, content_type="text/plain")
        announced = {
            "AttachmentName": "b.txt",
            "AttachmentSizeInBytes": 4000,
            "ContentType": "text/plain",
            "ConnectionToken": token,
        }
        await rig.refused("ThrottlingException", "start_attachment_upload", **announced)
        rig.emulator.end_chat(other.contact_id)
        await rig.call("start_attachment_upload", **announced)
        small = {**announced, "AttachmentSizeInBytes": 1}
        for _ in range(4):
            await rig.call("start_attachment_upload", **small)
        await rig.refused("ThrottlingException", "start_attachment_upload", **small)
        assert rig.emulator.transcript(chat.contact_id)


async def test_so_many_connections_and_no_more() -> None:
    """One too many is hung up on; when one closes there is room again."""
    async with running(max_connections=1) as rig:
        address = httpx.URL(rig.emulator.url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"404" in await reader.readline()
        with pytest.raises(ConnectionError):
            await ask(address)
        writer.close()
        await writer.wait_closed()
        while True:  # until the emulator has noticed
            try:
                assert b"404" in await ask(address)
                break
            except ConnectionError:
                await asyncio.sleep(0.001)


async def ask(address: httpx.URL) -> bytes:
    """Return the first line of an answer on a new connection."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        line = await reader.readline()
        if not line:
            raise ConnectionResetError
        return line
    finally:
        writer.close()


async def test_a_websocket_message_has_128_kb_at_most() -> None:
    """A larger one closes the websocket, as the protocol says."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        url = (await rig.connection(chat.participant_token))["Websocket"]["Url"]
        async with opened(url) as websocket:
            await subscribe(websocket)
            await websocket.send(json.dumps({"topic": "x" * 128 * 1024}))
            await item(websocket)
            with pytest.raises(ConnectionClosed):
                await websocket.recv()
            assert websocket.close_code == 1009


async def test_an_upload_that_is_refused_is_not_kept_in_memory() -> None:
    """It is answered, however large it is, up to the size of the largest attachment."""
    async with running(attachment_max_bytes=1_000_000) as rig, http() as web:
        url = f"{rig.emulator.url}/storage/unknown"
        for size, status in ((1_000_000, 403), (1_000_001, 400)):
            answer = await web.put(url, content=b"x" * size)
            assert answer.status_code == status


async def test_a_participant_s_older_tokens_are_forgotten() -> None:
    """After a hundred more the first does not work any more."""
    async with running() as rig, http(rig.emulator.url) as web:
        chat, first = await rig.started()
        for _ in range(100):
            answer = await web.post(
                "/participant/connection",
                headers={"X-Amz-Bearer": chat.participant_token},
                json={"Type": ["CONNECTION_CREDENTIALS", "WEBSOCKET"]},
            )
        newest = answer.json()["ConnectionCredentials"]["ConnectionToken"]
        await rig.refused("AccessDeniedException", "get_transcript", ConnectionToken=first)
        await rig.call("get_transcript", ConnectionToken=newest)
