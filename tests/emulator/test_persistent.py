"""Persistent chats: what was said in past contacts, and how it is reached."""

from __future__ import annotations

from typing import Any

import pytest

from .support import Rig, kinds, running

START: dict[str, Any] = {
    "InstanceId": "11111111-2222-3333-4444-555555555555",
    "ContactFlowId": "flow",
    "ParticipantDetails": {"DisplayName": "Ana"},
}
INVALID = "InvalidRequestException"


async def chat_in_parts(rig: Rig) -> list[str]:
    """Hold a chat that is transferred twice, and end it; return the ids of its contacts."""
    chat = await rig.emulator.start_chat()
    agent = await rig.emulator.join(chat.contact_id)
    ids = [agent.contact_id]
    await agent.say("in the first")
    for part in ("in the second", "in the third"):
        agent = await agent.transfer()
        ids.append(agent.contact_id)
        await agent.say(part)
    rig.emulator.end_chat(chat.contact_id)
    return ids


async def rehydrated(rig: Rig, how: str, source: str) -> tuple[dict[str, Any], str]:
    """Start a chat that goes on from a contact; return the reply and its customer's token."""
    reply = await rig.call(
        "start_chat_contact",
        **START,
        PersistentChat={"RehydrationType": how, "SourceContactId": source},
    )
    return reply, await rig.token(reply["ParticipantToken"])


async def back(rig: Rig, token: str, **query: Any) -> list[list[dict[str, Any]]]:
    """Return the pages of a transcript, from the newest back."""
    pages = []
    while True:
        reply = await rig.call("get_transcript", ConnectionToken=token, **query)
        pages.append(reply["Transcript"])
        if "NextToken" not in reply:
            return pages
        query["NextToken"] = reply["NextToken"]


def said(items: list[dict[str, Any]]) -> list[str]:
    return [entry["Content"] for entry in items if "Content" in entry]


@pytest.mark.parametrize(
    ("how", "source", "last", "expected"),
    [
        ("ENTIRE_PAST_SESSION", 0, 2, ["in the third", "in the second", "in the first"]),
        ("FROM_SEGMENT", 2, 2, ["in the third", "in the second", "in the first"]),
        ("FROM_SEGMENT", 1, 1, ["in the second", "in the first"]),
    ],
)
async def test_the_past_is_reached_by_following_next_token(
    how: str, source: int, last: int, expected: list[str]
) -> None:
    """The first page is of this chat alone; past items name their contact as related."""
    async with running() as rig:
        ids = await chat_in_parts(rig)
        reply, token = await rehydrated(rig, how, ids[source])
        assert reply["ContinuedFromContactId"] == ids[last]
        assert reply["ContactId"] not in ids
        new, *past = await back(rig, token, MaxResults=100)
        assert kinds(new) == ["participant.joined", "chat.rehydrated"]
        assert {entry["ContactId"] for entry in new} == {reply["ContactId"]}
        (past_items,) = past
        assert said(past_items) == expected
        assert all("ContactId" not in entry for entry in past_items)
        related = list(dict.fromkeys(entry["RelatedContactId"] for entry in past_items))
        assert related == ids[: last + 1][::-1]
        everything = [entry["AbsoluteTime"] for entry in [*new, *past_items]]
        assert everything == sorted(everything, reverse=True)


async def test_the_past_comes_in_pages() -> None:
    """Every item once, however small the pages are."""
    async with running() as rig:
        ids = await chat_in_parts(rig)
        _, token = await rehydrated(rig, "ENTIRE_PAST_SESSION", ids[0])
        whole = [entry for page in await back(rig, token, MaxResults=100) for entry in page]
        for size in (1, 3):
            pages = await back(rig, token, MaxResults=size)
            assert max(map(len, pages)) == size
            assert [entry for page in pages for entry in page] == whole


async def test_the_past_of_the_past_is_past_too() -> None:
    """A chat that goes on from one that went on from another has both."""
    async with running() as rig:
        first = await rig.emulator.start_chat(initial_message="one")
        rig.emulator.end_chat(first.contact_id)
        second = await rig.emulator.start_chat(
            initial_message="two", rehydrate_from=first.contact_id
        )
        rig.emulator.end_chat(second.contact_id)
        third = await rig.emulator.start_chat(rehydrate_from=second.contact_id)
        token = await rig.token(third.participant_token)
        _, past = await back(rig, token, MaxResults=100)
        assert said(past) == ["two", "one"]


@pytest.mark.parametrize(
    "query",
    [
        {"ScanDirection": "FORWARD"},
        {"StartPosition": {"MostRecent": 5}, "ScanDirection": "BACKWARD"},
        {"ContactId": "itself"},
    ],
)
async def test_nothing_else_leads_to_the_past(query: dict[str, Any]) -> None:
    """Scanning forward, from a start or in one contact ends with the chat itself."""
    async with running() as rig:
        ids = await chat_in_parts(rig)
        reply, token = await rehydrated(rig, "ENTIRE_PAST_SESSION", ids[0])
        if "ContactId" in query:
            query = {"ContactId": reply["ContactId"]}
        (page,) = await back(rig, token, MaxResults=100, **query)
        assert set(kinds(page)) <= {"participant.joined", "chat.rehydrated"}


async def test_past_contacts_and_items_are_no_starts() -> None:
    """Neither a past ContactId nor the Id of a past item is taken."""
    async with running() as rig:
        ids = await chat_in_parts(rig)
        item_id = rig.emulator.transcript(ids[0])[0]["Id"]
        _, token = await rehydrated(rig, "ENTIRE_PAST_SESSION", ids[0])
        for query in ({"ContactId": ids[0]}, {"StartPosition": {"Id": item_id}}):
            await rig.refused(
                "ValidationException", "get_transcript", ConnectionToken=token, **query
            )


async def test_what_cannot_be_gone_on_from_is_refused() -> None:
    """A chat that runs, one that isn't there, and what contradicts itself."""
    async with running() as rig:
        ids = await chat_in_parts(rig)
        runs = (await rig.emulator.start_chat()).contact_id

        async def refused(code: str, how: str, source: str, **members: Any) -> None:
            persistent = {"RehydrationType": how, "SourceContactId": source}
            await rig.refused(
                code, "start_chat_contact", **START, PersistentChat=persistent, **members
            )

        await refused(INVALID, "FROM_SEGMENT", runs)
        await refused("ResourceNotFoundException", "FROM_SEGMENT", "unknown")
        await refused(INVALID, "ENTIRE_PAST_SESSION", ids[1])
        await refused(INVALID, "FROM_SEGMENT", ids[0], RelatedContactId=ids[0])
        half = {"RehydrationType": "FROM_SEGMENT"}
        await rig.refused(INVALID, "start_chat_contact", **START, PersistentChat=half)
