"""Starting, joining and stopping chats with the SDK's ``connect`` client."""

from __future__ import annotations

from typing import Any

import pytest

from .support import CHAT, http, item, kinds, opened, running, subscribe

START: dict[str, Any] = {
    "InstanceId": "11111111-2222-3333-4444-555555555555",
    "ContactFlowId": "flow",
    "ParticipantDetails": {"DisplayName": "Ana"},
}
IN_INSTANCE = {"InstanceId": START["InstanceId"]}
INVALID = "InvalidRequestException"


async def test_a_started_chat_is_what_was_asked_for() -> None:
    """Name, attributes and initial message arrive, and the token lets the customer in."""
    async with running() as rig:
        reply = await rig.call(
            "start_chat_contact",
            **START,
            Attributes={"order": "42"},
            InitialMessage={"ContentType": "text/plain", "Content": "Where is it?"},
            ChatDurationInMinutes=60,
        )
        await rig.token(reply["ParticipantToken"])
        first, joined = rig.emulator.transcript(reply["ContactId"])
        assert (first["Content"], first["DisplayName"]) == ("Where is it?", "Ana")
        assert first["ParticipantId"] == joined["ParticipantId"] == reply["ParticipantId"]
        assert rig.emulator.attributes(reply["ContactId"]) == {"order": "42"}


async def test_a_client_token_starts_one_chat() -> None:
    """The same token gives the same chat; another one another."""
    async with running() as rig:
        tokens = ("a", "a", "b")
        one, same, other = [
            (await rig.call("start_chat_contact", **START, ClientToken=token))["ContactId"]
            for token in tokens
        ]
        assert one == same != other


async def test_the_chat_takes_the_content_types_it_was_started_with() -> None:
    """Messages of other types are refused."""
    async with running() as rig:
        reply = await rig.call(
            "start_chat_contact",
            **START,
            SupportedMessagingContentTypes=["text/plain", "text/markdown"],
        )
        message = {
            "Content": "{}",
            "ConnectionToken": await rig.token(reply["ParticipantToken"]),
        }
        await rig.call("send_message", ContentType="text/markdown", **message)
        await rig.refused(
            "ValidationException", "send_message", ContentType="application/json", **message
        )


@pytest.mark.parametrize(
    "members",
    [
        {"SupportedMessagingContentTypes": ["text/markdown"]},
        {"SupportedMessagingContentTypes": ["text/plain", "text/html"]},
        {"InitialMessage": {"ContentType": "text/plain", "Content": "x" * 1025}},
        {"InitialMessage": {"ContentType": "text/html", "Content": "x"}},
    ],
)
async def test_a_chat_is_not_started_with_what_it_cannot_take(members: dict[str, Any]) -> None:
    """Content types must be known and contain text/plain; the message keeps its limits."""
    async with running() as rig:
        await rig.refused(INVALID, "start_chat_contact", **START, **members)


@pytest.mark.parametrize(
    "members",
    [
        {"ChatDurationInMinutes": 59},
        {"ChatDurationInMinutes": 10081},
        {"Attributes": []},
        {"Attributes": {"": "x"}},
        {"SegmentAttributes": {"x": "y"}},
        {"ParticipantDetails": {}},
    ],
)
async def test_an_input_outside_the_model_is_refused(members: dict[str, Any]) -> None:
    """A chat lasts an hour to a week, attributes are maps, and the customer has a name."""
    async with running() as rig, http(rig.emulator.url) as web:
        answer = await web.put("/contact/chat", json={**START, **members})
        assert answer.headers["x-amzn-ErrorType"].startswith(INVALID)


async def test_the_connection_comes_along_if_it_is_asked_for() -> None:
    """With ConnectionTypes the first connection needs no CreateParticipantConnection."""
    async with running() as rig:
        reply = await rig.call(
            "start_chat_contact", **START, ConnectionTypes=["WEBSOCKET", "CONNECTION_CREDENTIALS"]
        )
        async with opened(reply["Websocket"]["Url"]) as websocket:
            await subscribe(websocket)
            assert kinds([await item(websocket)]) == ["participant.joined"]
        token = reply["ConnectionCredentials"]["ConnectionToken"]
        await rig.call("get_transcript", ConnectionToken=token)


async def test_one_custom_bot_per_chat() -> None:
    """A second one exceeds the quota until the first has left; the same request is the same."""
    async with running() as rig:
        chat, _ = await rig.started()
        bot = {
            **IN_INSTANCE,
            "ContactId": chat.contact_id,
            "ParticipantDetails": {"ParticipantRole": "CUSTOM_BOT", "DisplayName": "Bot"},
        }
        first, again = [
            await rig.call("create_participant", ClientToken="once", **bot) for _ in range(2)
        ]
        assert first["ParticipantId"] == again["ParticipantId"]
        await rig.refused("ServiceQuotaExceededException", "create_participant", **bot)
        token = await rig.token(first["ParticipantCredentials"]["ParticipantToken"])
        await rig.call(
            "send_message", ContentType="text/plain", Content="Beep", ConnectionToken=token
        )
        said = rig.emulator.transcript(chat.contact_id)[-1]
        assert (said["ParticipantRole"], said["DisplayName"]) == ("CUSTOM_BOT", "Bot")
        await rig.call("disconnect_participant", ConnectionToken=token)
        await rig.call("create_participant", **bot)


@pytest.mark.parametrize("role", [None, "CUSTOMER", "SYSTEM"])
async def test_some_roles_cannot_be_added(role: str | None) -> None:
    """Customers come by StartChatContact, and SYSTEM is nobody."""
    async with running() as rig:
        chat, _ = await rig.started()
        details = {} if role is None else {"ParticipantRole": role}
        await rig.refused(
            INVALID,
            "create_participant",
            **IN_INSTANCE,
            ContactId=chat.contact_id,
            ParticipantDetails=details,
        )


async def test_nobody_is_added_to_a_chat_that_is_not_running() -> None:
    """An unknown contact is not found, an ended one conflicts."""
    async with running() as rig:
        bot = {**IN_INSTANCE, "ParticipantDetails": {"ParticipantRole": "CUSTOM_BOT"}}
        await rig.refused(
            "ResourceNotFoundException", "create_participant", ContactId="unknown", **bot
        )
        chat, _ = await rig.started()
        rig.emulator.end_chat(chat.contact_id)
        await rig.refused(
            "ConflictException", "create_participant", ContactId=chat.contact_id, **bot
        )


async def test_stopping_a_contact_ends_its_chat() -> None:
    """chat.ended follows, once; an unknown contact is not found."""
    async with running() as rig:
        chat, _ = await rig.started()
        for _ in range(2):
            await rig.call("stop_contact", **IN_INSTANCE, ContactId=chat.contact_id)
        kept = rig.emulator.transcript(chat.contact_id)
        assert kinds(kept) == ["participant.joined", "chat.ended"]
        assert kept[-1]["ContentType"] == CHAT + "event.chat.ended"
        await rig.refused(
            "ContactNotFoundException", "stop_contact", **IN_INSTANCE, ContactId="unknown"
        )
