"""What participants say, and what others see of it."""

from __future__ import annotations

import json

import pytest

from connect_chat.emulator import Refusal
from connect_chat.items import INTERACTIVE_CONTENT_TYPE

from .support import CHAT, item, kinds, running

LIMITS = {
    "text/plain": 1024,
    "text/markdown": 1024,
    "application/json": 12000,
    CHAT + "message.interactive.response": 12288,
}


@pytest.mark.parametrize(("content_type", "most"), LIMITS.items())
async def test_a_content_has_its_type_s_limit(content_type: str, most: int) -> None:
    """The limit is counted in characters; one more is refused."""
    async with running() as rig:
        chat, token = await rig.started()
        members = {"ContentType": content_type, "ConnectionToken": token}
        reply = await rig.call("send_message", Content="é" * most, **members)
        assert rig.emulator.transcript(chat.contact_id)[-1]["Id"] == reply["Id"]
        await rig.refused(
            "ValidationException", "send_message", Content="é" * (most + 1), **members
        )


async def test_other_content_types_are_refused() -> None:
    """Messages and events of unknown types, and interactive messages, are not participants'."""
    async with running() as rig:
        _, token = await rig.started()
        for operation, content_type in (
            ("send_message", "text/html"),
            ("send_message", INTERACTIVE_CONTENT_TYPE),
            ("send_event", CHAT + "event.participant.left"),
        ):
            await rig.refused(
                "ValidationException",
                operation,
                ContentType=content_type,
                Content="x",
                ConnectionToken=token,
            )


async def test_everybody_gets_a_message_and_its_sender_too() -> None:
    """One item, the same for all, and the reply names it."""
    async with running() as rig:
        chat = await rig.emulator.start_chat(display_name="Ana")
        async with (
            rig.subscribed(chat.participant_token) as one,
            rig.subscribed(chat.participant_token) as two,
        ):
            token = await rig.token(chat.participant_token)
            reply = await rig.call(
                "send_message", ContentType="text/plain", Content="Hi", ConnectionToken=token
            )
            assert kinds([await item(one)]) == ["participant.joined"]
            first, second = await item(one), await item(two)
            assert first == second
            assert first == {
                "AbsoluteTime": reply["AbsoluteTime"],
                "Id": reply["Id"],
                "InitialContactId": chat.contact_id,
                "ContactId": chat.contact_id,
                "Type": "MESSAGE",
                "ContentType": "text/plain",
                "Content": "Hi",
                "ParticipantId": chat.participant_id,
                "DisplayName": "Ana",
                "ParticipantRole": "CUSTOMER",
            }


async def test_times_strictly_increase_within_a_contact() -> None:
    """Items of one millisecond get times of their own, in the service's spelling."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        said = [await rig.emulator.say(chat.contact_id, str(n)) for n in range(50)]
        times = [entry["AbsoluteTime"] for entry in rig.emulator.transcript(chat.contact_id)]
        assert times == sorted(set(times))
        assert all(len(time) == 24 and time.endswith("Z") for time in times)
        assert [entry.absolute_time for entry in said] == sorted(
            entry.absolute_time for entry in said
        )


async def test_typing_and_receipts_are_pushed_and_not_kept() -> None:
    """They reach the subscribed, the sender too, and the transcript does not have them."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token) as websocket:
            agent = await rig.emulator.join(chat.contact_id, display_name="Jane")
            token = await rig.token(chat.participant_token)
            asked = await rig.call(
                "send_message", ContentType="text/plain", Content="Hi", ConnectionToken=token
            )
            await agent.type()
            await agent.mark_delivered(asked["Id"])
            await agent.mark_read(asked["Id"])
            await rig.call("send_event", ContentType=CHAT + "event.typing", ConnectionToken=token)
            pushed = [await item(websocket) for _ in range(7)]
            assert kinds(pushed) == [
                "participant.joined",
                "participant.joined",
                "Hi",
                "typing",
                "message.metadata",
                "message.metadata",
                "typing",
            ]
            assert [entry["ParticipantRole"] for entry in pushed if "typing" in kinds([entry])] == [
                "AGENT",
                "CUSTOMER",
            ]
            delivered, read = (
                entry["MessageMetadata"] for entry in pushed if entry["Type"] == "MESSAGEMETADATA"
            )
            assert delivered["MessageId"] == read["MessageId"] == asked["Id"]
            [receipt] = delivered["Receipts"]
            assert set(receipt) == {"DeliveredTimestamp", "RecipientParticipantId"}
            assert receipt["RecipientParticipantId"] == agent.participant_id
            assert read["Receipts"][0].keys() == receipt.keys() | {"ReadTimestamp"}
            assert read["Receipts"][0]["DeliveredTimestamp"] == receipt["DeliveredTimestamp"]
            kept = kinds(rig.emulator.transcript(chat.contact_id))
            assert kept == ["participant.joined", "participant.joined", "Hi"]


async def test_receipts_conflict_while_a_supervisor_has_barged_in() -> None:
    """From the supervisor's joining to their leaving receipts are refused."""
    async with running() as rig:
        chat, token = await rig.started()
        message = await rig.emulator.say(chat.contact_id, "Welcome")
        receipt = {
            "ContentType": CHAT + "event.message.delivered",
            "Content": json.dumps({"messageId": message.id}),
            "ConnectionToken": token,
        }
        supervisor = await rig.emulator.join(chat.contact_id, role="SUPERVISOR")
        await rig.refused("ConflictException", "send_event", **receipt)
        await supervisor.leave()
        await rig.call("send_event", **receipt)


@pytest.mark.parametrize("content", [None, "read", "[]", "{}", '{"messageId": "unknown"}'])
async def test_a_receipt_of_nothing_is_refused(content: str | None) -> None:
    """Its content has to name a message of the chat."""
    async with running() as rig:
        _, token = await rig.started()
        await rig.refused(
            "ValidationException",
            "send_event",
            ContentType=CHAT + "event.message.read",
            ConnectionToken=token,
            **({} if content is None else {"Content": content}),
        )


async def test_the_retired_acknowledgement_is_still_taken() -> None:
    """Clients that send connection.acknowledged are answered as for any event."""
    async with running() as rig:
        _, token = await rig.started()
        reply = await rig.call(
            "send_event",
            ContentType=CHAT + "event.connection.acknowledged",
            ConnectionToken=token,
        )
        assert reply["Id"]


async def test_a_client_token_makes_sending_idempotent() -> None:
    """The same token gives the same reply and no second item; another one gives another."""
    async with running() as rig:
        chat, token = await rig.started()
        message = {"ContentType": "text/plain", "Content": "Hi", "ConnectionToken": token}
        first = await rig.call("send_message", ClientToken="once", **message)
        again = await rig.call("send_message", ClientToken="once", **message)
        other = await rig.call("send_message", ClientToken="twice", **message)
        assert (first["Id"], first["AbsoluteTime"]) == (again["Id"], again["AbsoluteTime"])
        assert first["Id"] != other["Id"]
        assert kinds(rig.emulator.transcript(chat.contact_id))[1:] == ["Hi", "Hi"]
        # One token, another operation: another intent.
        event = await rig.call(
            "send_event",
            ClientToken="once",
            ContentType=CHAT + "event.typing",
            ConnectionToken=token,
        )
        assert event["Id"] != first["Id"]


async def test_disconnecting_twice_with_one_client_token_succeeds() -> None:
    """A repeated DisconnectParticipant is answered though it ended the chat; a new one isn't."""
    async with running() as rig:
        chat, token = await rig.started()
        for _ in range(2):
            await rig.call("disconnect_participant", ClientToken="bye", ConnectionToken=token)
        await rig.refused("AccessDeniedException", "disconnect_participant", ConnectionToken=token)
        assert kinds(rig.emulator.transcript(chat.contact_id)) == [
            "participant.joined",
            "participant.left",
            "chat.ended",
        ]


async def test_when_an_agent_leaves_the_customer_stays() -> None:
    """participant.left is all that happens, except that the agent may do no more."""
    async with running() as rig:
        chat, token = await rig.started()
        agent = await rig.emulator.join(chat.contact_id)
        await agent.leave()
        with pytest.raises(Refusal, match="AccessDeniedException"):
            await agent.say("Wait")
        await rig.call("get_transcript", ConnectionToken=token)
        assert kinds(rig.emulator.transcript(chat.contact_id))[-1] == "participant.left"


async def test_a_disconnect_flow_goes_on_after_the_customer_left() -> None:
    """During the flow tokens are refused, and the open websocket still gets what is said."""
    async with running(disconnect_flow_seconds=3600) as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token) as websocket:
            token = await rig.token(chat.participant_token)
            await rig.call("disconnect_participant", ConnectionToken=token)
            await rig.refused("AccessDeniedException", "get_transcript", ConnectionToken=token)
            await rig.emulator.say(chat.contact_id, "How was it?")
            assert kinds([await item(websocket) for _ in range(3)]) == [
                "participant.joined",
                "participant.left",
                "How was it?",
            ]


async def test_the_chat_ends_when_the_disconnect_flow_is_over() -> None:
    """chat.ended follows participant.left by itself."""
    async with running(disconnect_flow_seconds=0.01) as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token) as websocket:
            token = await rig.token(chat.participant_token)
            await rig.call("disconnect_participant", ConnectionToken=token)
            assert kinds([await item(websocket) for _ in range(3)]) == [
                "participant.joined",
                "participant.left",
                "chat.ended",
            ]


async def test_the_flow_speaks_as_system() -> None:
    """The flow's messages have the role SYSTEM and may be interactive, until the chat ends."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        said = await rig.emulator.say(chat.contact_id, "{}", content_type=INTERACTIVE_CONTENT_TYPE)
        [kept] = rig.emulator.transcript(chat.contact_id)
        assert kept["Id"] == said.id
        assert (kept["ParticipantRole"], kept["DisplayName"], kept["ParticipantId"]) == (
            "SYSTEM",
            "SYSTEM_MESSAGE",
            "",
        )
        with pytest.raises(Refusal, match="ValidationException"):
            await rig.emulator.say(chat.contact_id, "x", content_type="text/html")
        rig.emulator.end_chat(chat.contact_id)
        rig.emulator.end_chat(chat.contact_id)
        with pytest.raises(Refusal, match="AccessDeniedException"):
            await rig.emulator.say(chat.contact_id, "Too late")
        assert kinds(rig.emulator.transcript(chat.contact_id)) == ["{}", "chat.ended"]
