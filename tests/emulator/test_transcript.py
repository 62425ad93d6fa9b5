"""GetTranscript: pages in every direction and order, from every start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from .support import FakeClock, Rig, running

NUMBERS = [str(number) for number in range(7)]
INVALID = "ValidationException"


async def chat_of_numbers(rig: Rig) -> tuple[str, str, list[dict[str, Any]]]:
    """Return the id and the customer's token of a chat of seven messages, and those."""
    chat, token = await rig.started()
    for number in NUMBERS:
        await rig.emulator.say(chat.contact_id, number)
    return chat.contact_id, token, rig.emulator.transcript(chat.contact_id)[1:]


def said(reply: Mapping[str, Any]) -> str:
    """Return the contents of a page, the customer's joining as a j."""
    return "".join(entry.get("Content", "j") for entry in reply["Transcript"])


async def pages(rig: Rig, **query: Any) -> list[str]:
    """Return all pages of a query."""
    found = []
    while True:
        reply = await rig.call("get_transcript", **query)
        found.append(said(reply))
        if "NextToken" not in reply:
            return found
        query["NextToken"] = reply["NextToken"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # By default back from the newest, newest first.
        ({}, ["6543", "210j"]),
        ({"SortOrder": "ASCENDING"}, ["3456", "j012"]),
        ({"ScanDirection": "FORWARD", "SortOrder": "ASCENDING"}, ["j012", "3456"]),
        ({"ScanDirection": "FORWARD"}, ["210j", "6543"]),
        # With a start, which is included, forward.
        ({"StartPosition": {"Id": 2}, "SortOrder": "ASCENDING"}, ["2345", "6"]),
        ({"StartPosition": {"Id": 2}, "ScanDirection": "BACKWARD"}, ["210j"]),
        ({"StartPosition": {"AbsoluteTime": 2}, "SortOrder": "ASCENDING"}, ["2345", "6"]),
        ({"StartPosition": {"AbsoluteTime": 2}, "ScanDirection": "BACKWARD"}, ["210j"]),
        ({"StartPosition": {"MostRecent": 2}, "SortOrder": "ASCENDING"}, ["56"]),
        ({"StartPosition": {"MostRecent": 3}, "ScanDirection": "BACKWARD"}, ["4321", "0j"]),
        ({"StartPosition": {"MostRecent": 100}, "SortOrder": "ASCENDING"}, ["j012", "3456"]),
        ({"StartPosition": {"MostRecent": 0}}, [""]),
    ],
)
async def test_pages(query: dict[str, Any], expected: list[str]) -> None:
    """Following NextToken gives every item once, each page in the order asked for."""
    async with running() as rig:
        _, token, numbers = await chat_of_numbers(rig)
        start = dict(query.get("StartPosition", {}))
        for name in {"Id", "AbsoluteTime"} & set(start):
            start[name] = numbers[start[name]][name]
        if start:
            query = {**query, "StartPosition": start}
        assert await pages(rig, MaxResults=4, ConnectionToken=token, **query) == expected


@pytest.mark.parametrize(
    ("time", "forward", "backward"),
    [
        ("1999-12-31T23:59:59.999Z", "j012", ""),
        ("2999-12-31T23:59:59+05:00", "", "6543"),
        ("2999-12-31", "", "6543"),
    ],
)
async def test_a_start_time_need_not_be_an_item_s(time: str, forward: str, backward: str) -> None:
    """A scan begins with the first item on its side of the time."""
    async with running() as rig:
        _, token, _ = await chat_of_numbers(rig)
        query = {"StartPosition": {"AbsoluteTime": time}, "ConnectionToken": token, "MaxResults": 4}
        ahead = await rig.call("get_transcript", SortOrder="ASCENDING", **query)
        back = await rig.call("get_transcript", ScanDirection="BACKWARD", **query)
        assert (said(ahead), said(back)) == (forward, backward)


async def test_a_start_time_between_two_items() -> None:
    """Half a millisecond after an item, forward begins after it and backward with it."""
    clock = FakeClock()
    async with running(clock) as rig:
        _, token, numbers = await chat_of_numbers(rig)
        time = numbers[2]["AbsoluteTime"].replace("Z", "500Z")
        query = {"StartPosition": {"AbsoluteTime": time}, "ConnectionToken": token}
        assert said(await rig.call("get_transcript", **query)) == "6543"
        back = await rig.call("get_transcript", ScanDirection="BACKWARD", **query)
        assert said(back) == "210j"


async def test_a_page_has_ten_items_unless_told_otherwise() -> None:
    """MaxResults is 10 by default; 0 gives a page of nothing."""
    async with running() as rig:
        chat, token = await rig.started()
        for number in range(12):
            await rig.emulator.say(chat.contact_id, str(number))
        reply = await rig.call("get_transcript", ConnectionToken=token)
        assert len(reply["Transcript"]) == 10
        assert reply["InitialContactId"] == chat.contact_id
        reply = await rig.call("get_transcript", MaxResults=0, ConnectionToken=token)
        assert reply["Transcript"] == []
        for direction in ("FORWARD", "BACKWARD"):
            reply = await rig.call(
                "get_transcript", MaxResults=0, ScanDirection=direction, ConnectionToken=token
            )
            assert reply["Transcript"] == []


async def test_what_contradicts_itself_is_refused() -> None:
    """Ambiguous, malformed and unknown starts, foreign contacts and tokens are all invalid."""
    async with running() as rig:
        _, token, numbers = await chat_of_numbers(rig)
        _, other_token, _ = await chat_of_numbers(rig)
        first = await rig.call("get_transcript", MaxResults=2, ConnectionToken=token)
        foreign = await rig.call("get_transcript", MaxResults=2, ConnectionToken=other_token)
        for query in (
            {"StartPosition": {"Id": numbers[0]["Id"], "MostRecent": 1}},
            {"StartPosition": {"Id": "unknown"}},
            {"StartPosition": {"AbsoluteTime": "yesterday"}},
            {"ContactId": "another"},
            {"NextToken": "made up"},
            {"NextToken": foreign["NextToken"]},
            {"NextToken": first["NextToken"][:-1]},
            {"NextToken": first["NextToken"], "ScanDirection": "FORWARD"},
            {"NextToken": first["NextToken"], "SortOrder": "ASCENDING"},
            {"NextToken": first["NextToken"], "StartPosition": {"MostRecent": 3}},
        ):
            await rig.refused(INVALID, "get_transcript", ConnectionToken=token, **query)


async def test_pages_stand_still_while_the_chat_goes_on() -> None:
    """Backward, NextToken goes on where the page ended, whatever was said since."""
    async with running() as rig:
        contact_id, token, _ = await chat_of_numbers(rig)
        query = {"ContactId": contact_id, "MaxResults": 4, "ConnectionToken": token}
        first = await rig.call("get_transcript", **query)
        await rig.emulator.say(contact_id, "new")
        second = await rig.call("get_transcript", NextToken=first["NextToken"], **query)
        assert (said(first), said(second)) == ("6543", "210j")


async def test_the_transcript_may_lag_behind_the_pushes() -> None:
    """An item is not shown, and not a start, before the lag is over."""
    clock = FakeClock()
    async with running(clock, transcript_lag=2) as rig:
        _, token, numbers = await chat_of_numbers(rig)
        query = {"ConnectionToken": token, "MaxResults": 100}
        assert said(await rig.call("get_transcript", **query)) == ""
        start = {"Id": numbers[3]["Id"]}
        await rig.refused(INVALID, "get_transcript", StartPosition=start, **query)
        clock.now += 2
        assert said(await rig.call("get_transcript", **query)) == "6543210j"


async def test_a_clock_set_back_does_not_hide_items() -> None:
    """Items keep their order and stay visible when the wall clock jumps."""
    clock = FakeClock()
    async with running(clock) as rig:
        contact_id, token, _ = await chat_of_numbers(rig)
        clock.now -= 3600
        await rig.emulator.say(contact_id, "7")
        assert said(await rig.call("get_transcript", ConnectionToken=token)) == "76543210j"
        times = [entry["AbsoluteTime"] for entry in rig.emulator.transcript(contact_id)]
        assert times == sorted(set(times))
