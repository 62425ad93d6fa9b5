"""What is refused here, before anything is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest

from connect_chat import (
    InvalidContentError,
    InvalidRequestError,
    ParticipantClient,
    StartPosition,
)

EVENT = "application/vnd.amazonaws.connect.event."
INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive.response"
SESSION = "s" * 36


async def sent(call) -> dict:
    """Return the body that a call sends."""
    bodies = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content or b"{}"))
        return httpx.Response(200, json={"AttachmentSizeInBytes": 1})

    transport = httpx.MockTransport(answer)
    async with ParticipantClient(endpoint_url="http://example.com", http=transport) as client:
        await call(client)
    return bodies[0]


async def refused(call) -> InvalidRequestError:
    """Return the error with which a call is refused without being sent."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError("it was sent")

    transport = httpx.MockTransport(answer)
    async with ParticipantClient(endpoint_url="http://example.com", http=transport) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await call(client)
    return caught.value


@pytest.mark.parametrize(
    ("content_type", "most"),
    [
        ("text/plain", 1024),
        ("text/markdown", 1024),
        ("application/json", 12000),
        (INTERACTIVE, 12288),
    ],
)
async def test_contents_have_a_limit_for_each_type(content_type, most):
    """Counted in characters, however many bytes they take; named with limit and size."""
    for good in ("x", "ü" * most, "😀" * most):
        body = await sent(lambda c: c.send_message("t", good, content_type=content_type))  # noqa: B023
        assert body["Content"] == good
    for bad in ("", "x" * (most + 1)):
        error = await refused(
            lambda c: c.send_message("t", bad, content_type=content_type)  # noqa: B023
        )
        assert isinstance(error, InvalidContentError)
        assert (error.field, error.size) == ("content", len(bad))
        assert f"{most:,} characters" in str(error)
        assert content_type in str(error)


@pytest.mark.parametrize("content_type", ["text/html", "", "TEXT/PLAIN", None])
async def test_other_message_types_are_refused_naming_the_allowed(content_type):
    error = await refused(lambda c: c.send_message("t", "hi", content_type=content_type))
    assert isinstance(error, InvalidContentError)
    assert error.field == "content_type"
    for allowed in ("text/plain", "text/markdown", "application/json", INTERACTIVE):
        assert allowed in str(error)


@pytest.mark.parametrize("content", [b"bytes", None, 7, "half a \ud83d character"])
async def test_contents_are_text(content):
    """Anything else, or what UTF-8 cannot spell, is refused without quoting it."""
    error = await refused(lambda c: c.send_message("t", content))
    assert error.field == "content"
    assert "half" not in str(error)


@pytest.mark.parametrize("name", ["typing", "connection.acknowledged"])
async def test_events_without_content(name):
    body = await sent(lambda c: c.send_event("t", EVENT + name, client_token="c"))
    assert body == {"ContentType": EVENT + name, "ClientToken": "c"}


@pytest.mark.parametrize("name", ["message.delivered", "message.read"])
@pytest.mark.parametrize(
    "content", [None, "", "m-1", "[]", "{}", '{"messageId": ""}', '{"messageId": 1}']
)
async def test_receipts_name_their_message(name, content):
    error = await refused(lambda c: c.send_event("t", EVENT + name, content=content))
    assert isinstance(error, InvalidContentError)
    assert error.field == "content"


async def test_receipts():
    content = '{"messageId": "m-1"}'
    body = await sent(lambda c: c.send_event("t", EVENT + "message.read", content=content))
    assert body["Content"] == content


@pytest.mark.parametrize("content_type", [EVENT + "chat.ended", "typing", None])
async def test_events_that_a_participant_may_not_send(content_type):
    error = await refused(lambda c: c.send_event("t", content_type))
    assert error.field == "content_type"
    assert EVENT + "typing" in str(error)


async def test_an_events_content_has_a_limit():
    error = await refused(lambda c: c.send_event("t", EVENT + "typing", content="x" * 16385))
    assert (error.field, error.size) == ("content", 16385)


@pytest.mark.parametrize(
    "token", ["", "x" * 1001, "a\nb", "a\r\nX-Evil: 1", "ü", "a b", None, b"t"]
)
async def test_tokens_that_no_header_can_carry(token):
    """Refused by the name of the parameter, never quoted."""
    error = await refused(lambda c: c.send_message(token, "hi"))
    assert error.field == "connection_token"
    assert "Evil" not in str(error)
    error = await refused(lambda c: c.create_participant_connection(token))
    assert error.field == "participant_token"


@pytest.mark.parametrize(
    ("types", "connect_participant"), [((), None), (None, None), ((), False), (None, False)]
)
async def test_a_connection_of_nothing(types, connect_participant):
    error = await refused(
        lambda c: c.create_participant_connection(
            "t", types=types, connect_participant=connect_participant
        )
    )
    assert error.field == "types"


@pytest.mark.parametrize("types", ["WEBSOCKET", ["websocket"], [None]])
async def test_types_that_there_are_not(types):
    error = await refused(lambda c: c.create_participant_connection("t", types=types))
    assert error.field == "types"
    assert "CONNECTION_CREDENTIALS" in str(error)


async def test_what_a_connection_asks_for():
    """By default a websocket and credentials; what is not said is not sent."""
    assert await sent(lambda c: c.create_participant_connection("t")) == {
        "Type": ["WEBSOCKET", "CONNECTION_CREDENTIALS"]
    }
    assert await sent(
        lambda c: c.create_participant_connection("t", types=None, connect_participant=True)
    ) == {"ConnectParticipant": True}


async def test_what_a_transcript_asks_for_by_default():
    """Nothing: the defaults are the service's."""
    assert await sent(lambda c: c.get_transcript("t")) == {}


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (StartPosition(id="i"), {"Id": "i"}),
        (StartPosition(most_recent=0), {"MostRecent": 0}),
        (StartPosition(absolute_time="2025"), {"AbsoluteTime": "2025"}),
        (
            StartPosition(
                absolute_time=datetime(
                    2025, 5, 24, 23, 40, 1, 137999, tzinfo=timezone(timedelta(hours=2))
                )
            ),
            {"AbsoluteTime": "2025-05-24T21:40:01.137Z"},
        ),
        (
            {"AbsoluteTime": datetime(2025, 5, 24, tzinfo=UTC)},
            {"AbsoluteTime": "2025-05-24T00:00:00.000Z"},
        ),
        ({"Id": "i", "MostRecent": None}, {"Id": "i"}),
    ],
)
async def test_start_positions(position, expected):
    """Typed or in the service's spelling; times in UTC, to the millisecond."""
    body = await sent(lambda c: c.get_transcript("t", start_position=position))
    assert body == {"StartPosition": expected}


@pytest.mark.parametrize(
    "position",
    [
        StartPosition(),
        StartPosition(id="i", most_recent=1),
        StartPosition(id=""),
        StartPosition(id="x" * 257),
        StartPosition(most_recent=101),
        StartPosition(most_recent=-1),
        StartPosition(absolute_time=datetime(2025, 5, 24)),
        StartPosition(absolute_time=""),
        {},
        {"id": "i"},
        {"Id": "i", "AbsoluteTime": "2025"},
        {"Id": 7},
        {"MostRecent": "7"},
    ],
)
async def test_start_positions_that_are_refused(position):
    """None, several, unknown or malformed members."""
    error = await refused(lambda c: c.get_transcript("t", start_position=position))
    assert error.field == "start_position"


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("max_results", lambda c: c.get_transcript("t", max_results=101)),
        ("max_results", lambda c: c.get_transcript("t", max_results=-1)),
        ("max_results", lambda c: c.get_transcript("t", max_results=True)),
        ("max_results", lambda c: c.get_transcript("t", max_results="10")),
        ("next_token", lambda c: c.get_transcript("t", next_token="")),
        ("next_token", lambda c: c.get_transcript("t", next_token="x" * 1001)),
        ("contact_id", lambda c: c.get_transcript("t", contact_id="")),
        ("scan_direction", lambda c: c.get_transcript("t", scan_direction="forward")),
        ("sort_order", lambda c: c.get_transcript("t", sort_order="UP")),
        ("client_token", lambda c: c.send_message("t", "hi", client_token="x" * 501)),
        ("client_token", lambda c: c.send_event("t", EVENT + "typing", client_token=7)),
        ("client_token", lambda c: c.complete_attachment_upload("t", ["a"], client_token="")),
        ("attachment_ids", lambda c: c.complete_attachment_upload("t", [])),
        ("attachment_ids", lambda c: c.complete_attachment_upload("t", ["a", "b"])),
        ("attachment_ids", lambda c: c.complete_attachment_upload("t", "a")),
        ("attachment_ids", lambda c: c.complete_attachment_upload("t", [""])),
        ("attachment_id", lambda c: c.get_attachment("t", "")),
        ("url_expiry_in_seconds", lambda c: c.get_attachment("t", "a", url_expiry_in_seconds=4)),
        ("url_expiry_in_seconds", lambda c: c.get_attachment("t", "a", url_expiry_in_seconds=301)),
        (
            "url_content_disposition",
            lambda c: c.get_attachment("t", "a", url_content_disposition="inline"),
        ),
        ("view_token", lambda c: c.describe_view("t", "")),
        ("view_token", lambda c: c.describe_view("t", "..")),
        (
            "session_id",
            lambda c: c.get_authentication_url("t", session_id="s", redirect_uri="u"),
        ),
        (
            "redirect_uri",
            lambda c: c.get_authentication_url("t", session_id=SESSION, redirect_uri=""),
        ),
        ("session_id", lambda c: c.cancel_participant_authentication("t", session_id="s" * 37)),
    ],
)
async def test_values_out_of_their_limits(field, call):
    """Each is refused by the name of its parameter."""
    assert (await refused(call)).field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attachment_name", ""),
        ("attachment_name", "x" * 257),
        ("attachment_size_in_bytes", 0),
        ("content_type", ""),
        ("content_type", "x" * 256),
        ("client_token", ""),
    ],
)
async def test_uploads_out_of_their_limits(field, value):
    arguments = {
        "attachment_name": "a.pdf",
        "attachment_size_in_bytes": 1,
        "content_type": "application/pdf",
        field: value,
    }
    error = await refused(lambda c: c.start_attachment_upload("t", **arguments))
    assert error.field == field
