"""Answers that come piece by piece."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connect_chat.emulator import Refusal

from .support import item, running

PIECES = ["Your order ", "has left ", "the warehouse."]
IDENTITY = ("Id", "AbsoluteTime", "ContactId", "InitialContactId")
WHOLE = "Your order has left the warehouse."


async def test_an_answer_streams_as_published(sample_items: dict[str, dict[str, Any]]) -> None:
    """Pieces of one Id and time, numbered from 1, then the whole; as in the published samples."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token) as websocket:
            await item(websocket)
            await rig.emulator.say(chat.contact_id, "before")
            whole = await rig.emulator.stream(chat.contact_id, PIECES)
            await item(websocket)
            pushed = [await item(websocket) for _ in range(4)]
    names = ["piece 1", "piece 2", "piece 3", "complete"]
    for ours, name in zip(pushed, names, strict=True):
        theirs = sample_items[f"streamed answer, {name}"]
        assert {**ours, **{key: theirs[key] for key in IDENTITY}} == {
            **theirs,
            "MessageMetadata": {**theirs["MessageMetadata"], "MessageId": ours["Id"]},
        }
    assert len({(entry["Id"], entry["AbsoluteTime"]) for entry in pushed}) == 1
    assert whole.id == pushed[0]["Id"]


async def test_the_transcript_has_the_whole_at_the_time_of_the_first_piece() -> None:
    """What was said between the pieces comes after it, in every page."""
    async with running() as rig:
        chat, token = await rig.started()
        async with rig.subscribed(chat.participant_token) as websocket:
            answer = asyncio.create_task(
                rig.emulator.stream(chat.contact_id, PIECES, interval=0.02)
            )
            first = await item(websocket)
            said = await rig.emulator.say(chat.contact_id, "meanwhile")
            page = await rig.call("get_transcript", ConnectionToken=token)
            assert [entry.get("Content") for entry in page["Transcript"]] == ["meanwhile", None]
            whole = await answer
        assert first["Id"] == whole.id
        page = await rig.call("get_transcript", SortOrder="ASCENDING", ConnectionToken=token)
        _, kept, later = page["Transcript"]
        assert (kept["Content"], later["Id"]) == (WHOLE, said.id)
        start = {"StartPosition": {"Id": said.id}, "ScanDirection": "BACKWARD"}
        back = await rig.call("get_transcript", ConnectionToken=token, **start)
        assert [entry["Id"] for entry in back["Transcript"][:2]] == [said.id, whole.id]


async def test_a_page_token_outlives_what_is_put_before_it() -> None:
    """An answer that is completed between two pages repeats nothing and hides nothing."""
    async with running() as rig:
        chat, token = await rig.started()
        async with rig.subscribed(chat.participant_token) as websocket:
            answer = asyncio.create_task(
                rig.emulator.stream(chat.contact_id, PIECES, interval=0.02)
            )
            await item(websocket)
            said = [(await rig.emulator.say(chat.contact_id, str(n))).id for n in range(4)]
            query: dict[str, Any] = {"ConnectionToken": token, "MaxResults": 2}
            newest = await rig.call("get_transcript", **query)
            await answer
        older = await rig.call("get_transcript", NextToken=newest["NextToken"], **query)
        found = [entry["Id"] for entry in [*newest["Transcript"], *older["Transcript"]]]
        assert found == said[::-1]


async def test_a_chat_may_want_whole_answers_only() -> None:
    """With ResponseMode COMPLETE an answer is an ordinary message."""
    async with running() as rig:
        reply = await rig.call(
            "start_chat_contact",
            InstanceId="instance",
            ContactFlowId="flow",
            ParticipantDetails={"DisplayName": "Ana"},
            ParticipantConfiguration={"ResponseMode": "COMPLETE"},
        )
        async with rig.subscribed(reply["ParticipantToken"]) as websocket:
            await item(websocket)
            await rig.emulator.stream(reply["ContactId"], PIECES)
            whole = await item(websocket)
        assert whole["Content"] == WHOLE
        assert "MessageMetadata" not in whole


async def test_a_chat_may_end_in_mid_answer() -> None:
    """The rest is refused, and the transcript has nothing of it."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token) as websocket:
            await item(websocket)
            answer = asyncio.create_task(
                rig.emulator.stream(chat.contact_id, PIECES, interval=0.001)
            )
            await item(websocket)
            rig.emulator.end_chat(chat.contact_id)
            with pytest.raises(Refusal, match="has ended"):
                await answer
        kept = rig.emulator.transcript(chat.contact_id)
        assert not [entry for entry in kept if "Content" in entry]


async def test_others_may_stream_too() -> None:
    """A CUSTOM_BOT's pieces are its own."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        bot = await rig.emulator.join(chat.contact_id, role="CUSTOM_BOT")
        whole = await bot.stream(PIECES)
        assert (whole.participant_role, whole.content) == ("CUSTOM_BOT", WHOLE)
