"""Every kind of item that is published: produced here, read back typed, kept where it is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from connect_chat.emulator import EmulatedParticipant, Emulator, Refusal, StartedChat
from connect_chat.items import parse_item

from .support import CHAT, Rig, item, running

EVENT = CHAT + "event."
IDENTITY = {"AbsoluteTime", "Id", "InitialContactId", "ContactId", "RelatedContactId"}
SENDER = {"ParticipantId", "DisplayName"}


class Scene:
    """A chat of Ana with Jane."""

    def __init__(self, rig: Rig, chat: StartedChat, agent: EmulatedParticipant, token: str) -> None:
        self.rig = rig
        self.emulator: Emulator = rig.emulator
        self.chat = chat
        self.agent = agent
        self.token = token

    async def produce(self, sample: Mapping[str, Any]) -> None:
        """Let the emulator produce an item like a published one."""
        match sample["Type"], sample["ContentType"].removeprefix(EVENT):
            case "MESSAGE", content_type:
                await self._message(sample, content_type)
            case "ATTACHMENT", _:
                await self._attachment(sample["Attachments"][0]["Status"])
            case "MESSAGEMETADATA", _:
                said = self.emulator.transcript(self.chat.contact_id)[0]["Id"]
                await self.agent.mark_delivered(said)
                if "ReadTimestamp" in sample["MessageMetadata"]["Receipts"][0]:
                    await self.agent.mark_read(said)
            case "EVENT", "typing":
                await self.agent.type()
            case "EVENT", "authentication.initiated":
                self.emulator.request_authentication(self.chat.contact_id)
            case "EVENT", name:
                await self._event(sample, name)

    async def _message(self, sample: Mapping[str, Any], content_type: str) -> None:
        contact_id, content = self.chat.contact_id, sample["Content"]
        if sample["ParticipantRole"] == "AGENT":
            await self.agent.say(content, content_type=content_type)
        elif sample["ParticipantRole"] == "CUSTOMER":
            members = {"ContentType": content_type, "Content": content}
            await self.rig.call("send_message", ConnectionToken=self.token, **members)
        elif content_type == CHAT + "message.interactive":
            await self.emulator.send_interactive(contact_id, json.loads(content))
        elif "MessageMetadata" in sample:
            await self.emulator.stream(contact_id, [content])
        else:
            await self.emulator.say(contact_id, content, content_type=content_type)

    async def _attachment(self, status: str) -> None:
        if status == "REJECTED":
            self.emulator.reject_next_attachment()
        await self.agent.send_file("a.png", b"png", content_type="image/png")

    async def _event(self, sample: Mapping[str, Any], name: str) -> None:
        who = {"AGENT": self.agent.participant_id, "CUSTOMER": self.chat.participant_id}
        participant_id = who.get(sample.get("ParticipantRole", ""))
        if name == "participant.displayname.updated":
            await self.agent.rename("Jane B.")
        elif name == "participant.left":
            await self.agent.leave()
        elif name == "chat.ended":
            self.emulator.end_chat(self.chat.contact_id)
        else:
            await self.emulator.push_event(
                self.chat.contact_id, name, participant_id=participant_id
            )


def shape(value: Any) -> Any:
    """Return what a value looks like: which members it has, and of which types."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items() if name not in IDENTITY}
    if isinstance(value, list):
        return [shape(member) for member in value]
    return type(value)


async def next_such(websocket: ClientConnection, wanted: Callable[[Any], bool]) -> dict[str, Any]:
    """Return the next item like that."""
    while True:
        pushed = await item(websocket)
        if wanted(pushed):
            return pushed


async def test_every_kind_of_item_is_produced_as_published(
    sample_items: dict[str, dict[str, Any]],
) -> None:
    """Pushed with the members of its sample, typed like it, and kept if its type is kept."""
    assert len(sample_items) > 40
    for scan_seconds in (0, 0.01):
        async with running(scan_seconds=scan_seconds) as rig:
            for name, sample in sample_items.items():
                if ("in_progress" in name) == bool(scan_seconds):
                    await produce_and_read(rig, name, sample)


async def produce_and_read(rig: Rig, name: str, sample: Mapping[str, Any]) -> None:
    chat = await rig.emulator.start_chat("Ana", initial_message="Hello")
    token = await rig.token(chat.participant_token)
    agent = await rig.emulator.join(chat.contact_id, display_name="Jane")
    async with rig.subscribed(chat.participant_token) as websocket:
        await Scene(rig, chat, agent, token).produce(sample)
        pushed = await next_such(websocket, lambda entry: alike(entry, sample))
        kept = {entry["Id"] for entry in rig.emulator.transcript(chat.contact_id)}
    assert shape(pushed) == shape(sample), name
    ours, theirs = parse_item(pushed), parse_item(sample)
    assert type(ours) is type(theirs), name
    assert (pushed["Id"] in kept) == type(theirs).in_transcript, name


def alike(entry: Mapping[str, Any], sample: Mapping[str, Any]) -> bool:
    """Return whether an item is of the kind of a sample, down to the progress of what it shows."""
    if (entry["Type"], entry["ContentType"]) != (sample["Type"], sample["ContentType"]):
        return False
    if "Attachments" in sample:
        return bool(entry["Attachments"][0]["Status"] == sample["Attachments"][0]["Status"])
    if "MessageMetadata" in sample:
        ours, theirs = entry.get("MessageMetadata", {}), sample["MessageMetadata"]
        return ours.get("MessageCompleted") == theirs.get("MessageCompleted") and shape(
            ours
        ) == shape(theirs)
    return True


async def test_an_event_is_of_a_chat_that_runs_and_of_somebody_in_it() -> None:
    """Others are refused."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        with pytest.raises(Refusal, match="no such participant"):
            await rig.emulator.push_event(
                chat.contact_id, "participant.idle", participant_id="nobody"
            )
        rig.emulator.end_chat(chat.contact_id)
        with pytest.raises(Refusal, match="has ended"):
            await rig.emulator.push_event(chat.contact_id, "transfer.failed")


async def test_an_interactive_message_has_20_kb_at_most() -> None:
    """A larger one is refused as the service does."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        with pytest.raises(Refusal, match="20480 bytes"):
            await rig.emulator.send_interactive(chat.contact_id, {"data": "x" * 20480})
