"""Frames that make no sense are counted and passed over, and the chat goes on."""

from __future__ import annotations

import json
import logging

import pytest
from websockets.frames import Frame, Opcode

from .support import PATIENCE, running, texts

SECRET = "the content of a frame"


def text_frame(text: str | bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return Frame(opcode, data).serialize(mask=False)


def chat_frame(content: object) -> bytes:
    return text_frame(json.dumps({"topic": "aws/chat", "content": content}))


NONSENSE = {
    "not JSON": text_frame(SECRET),
    "not UTF-8": text_frame(b'{"topic": "\xff'),
    "empty": text_frame(""),
    "no object": text_frame(json.dumps([SECRET])),
    "no topic": text_frame(json.dumps({"content": SECRET})),
    "a refusal of the gateway": text_frame(
        json.dumps({"message": "Forbidden", "connectionId": SECRET, "requestId": SECRET})
    ),
    "an unknown topic": text_frame(json.dumps({"topic": "aws/news", "content": SECRET})),
    "a topic that is no text": text_frame(json.dumps({"topic": {"a": 1}, "content": SECRET})),
    "no content": chat_frame(None),
    "content that is no JSON": chat_frame(SECRET),
    "content that is no object": chat_frame(json.dumps([SECRET])),
    "an item without a Type": chat_frame(json.dumps({"Content": SECRET})),
}


@pytest.mark.parametrize("frame", NONSENSE.values(), ids=NONSENSE)
async def test_a_frame_that_makes_no_sense(frame, caplog):
    """It is counted and logged without its content; what comes after it is delivered."""
    caplog.set_level(logging.DEBUG, "connect_chat")
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        rig.proxy.push(frame)
        await agent.say("after")
        assert await texts(chat, 1) == ["after"]
        assert chat.stats["bad_frames"] == 1
        assert chat.state == "connected"
        assert chat.stats["connections"] == 1
    assert "frame.ignored" in caplog.text
    assert SECRET not in caplog.text


async def test_an_item_damaged_on_its_way_is_read_from_the_transcript():
    """A frame that could have held an item makes the session look for what is missing."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        await agent.say("before")
        assert await texts(chat, 1) == ["before"]
        reads = rig.client.stats.calls["GetTranscript"]
        rig.proxy.push(text_frame("half an it"))
        await rig.traces.wait("frame.ignored")
        await rig.traces.wait("gap.closed", 2)
        assert rig.client.stats.calls["GetTranscript"] > reads


async def test_items_that_are_new_to_us_are_delivered():
    """A Type, an event or a member of the future does not hide an item."""
    async with running() as rig, rig.session() as chat:
        item = {"Id": "i-1", "Type": "HOLOGRAM", "ContentType": "x/y", "Content": "wave", "New": 1}
        rig.proxy.push(chat_frame(json.dumps(item)))
        found = await chat.wait_for(lambda item: item.type == "HOLOGRAM", PATIENCE)
        assert found.raw["New"] == 1
        assert chat.stats["bad_frames"] == 0


async def test_a_repeated_item_is_delivered_once():
    """The same Id again, pushed or read, changes nothing."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        item = dict((await agent.say("once")).raw)
        for _ in range(3):
            rig.proxy.push(chat_frame(json.dumps(item)))
        await agent.say("after")
        assert await texts(chat, 2) == ["once", "after"]
        assert chat.stats["duplicates"] >= 3


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Opcode.BINARY, SECRET.encode()).serialize(mask=False),
        Frame(Opcode.PING, b"ping").serialize(mask=False),
        Frame(Opcode.PONG, b"pong").serialize(mask=False),
    ],
    ids=["binary", "ping", "pong"],
)
async def test_frames_that_the_service_does_not_send_but_websockets_may(frame):
    """Binary frames and the protocol's own pings do no harm."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        rig.proxy.push(frame)
        await agent.say("after")
        assert await texts(chat, 1) == ["after"]
        assert chat.stats["connections"] == 1


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xff\xff\xff",
        Frame(Opcode.TEXT, b"x" * (2 * 1024 * 1024)).serialize(mask=False),
        Frame(Opcode.CLOSE, b"\x03\xe9bye").serialize(mask=False),
    ],
    ids=["no frame", "too large", "close"],
)
async def test_a_connection_that_breaks_the_protocol_is_replaced(frame):
    """What cannot be read any further is closed; nothing is lost over it."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        rig.proxy.push(frame)
        await agent.say("after")
        assert await texts(chat, 1) == ["after"]
        await rig.traces.wait("link.live", 2)


async def test_a_message_in_pieces_is_put_together():
    """A text frame may be continued in further frames."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        item = {"Id": "i-2", "Type": "MESSAGE", "ContentType": "text/plain", "Content": "whole"}
        text = json.dumps({"topic": "aws/chat", "content": json.dumps(item)}).encode()
        rig.proxy.push(
            Frame(Opcode.TEXT, text[:20], fin=False).serialize(mask=False)
            + Frame(Opcode.CONT, text[20:40], fin=False).serialize(mask=False)
            + Frame(Opcode.CONT, text[40:]).serialize(mask=False)
        )
        assert await texts(chat, 1) == ["whole"]
        await agent.say("after")
        assert await texts(chat, 1) == ["after"]
        assert chat.stats["bad_frames"] == 0
