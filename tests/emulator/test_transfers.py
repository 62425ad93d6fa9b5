"""Agents and supervisors who come, hand over and go; and what DescribeContact says of it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from connect_chat.emulator import Refusal

from .support import CHAT, FakeClock, item, kinds, running

IN_INSTANCE = {"InstanceId": "11111111-2222-3333-4444-555555555555"}


async def test_a_transfer_goes_on_as_another_contact() -> None:
    """The customer sees it happen on the socket it has; the chat is known by both ids."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token) as websocket:
            jane = await rig.emulator.join(chat.contact_id, display_name="Jane")
            jo = await jane.transfer(display_name="Jo")
            await jo.say("Jo here")
            await rig.emulator.say(chat.contact_id, "still the same chat")
            pushed = [await item(websocket) for _ in range(7)]
        assert kinds(pushed) == [
            "participant.joined",
            "participant.joined",
            "transfer.succeeded",
            "participant.left",
            "participant.joined",
            "Jo here",
            "still the same chat",
        ]
        assert [entry["ContactId"] for entry in pushed] == [chat.contact_id] * 4 + [
            jo.contact_id
        ] * 3
        assert {entry["InitialContactId"] for entry in pushed} == {chat.contact_id}
        assert rig.emulator.transcript(jo.contact_id) == pushed


async def test_one_contact_of_a_chat_can_be_read_alone() -> None:
    """GetTranscript with a ContactId of the chat gives that contact's items."""
    async with running() as rig:
        chat, token = await rig.started()
        jane = await rig.emulator.join(chat.contact_id)
        await jane.say("first part")
        jo = await jane.transfer()
        await jo.say("second part")
        query: dict[str, Any] = {"ConnectionToken": token, "MaxResults": 3}
        new = await rig.call("get_transcript", ContactId=jo.contact_id, **query)
        assert kinds(new["Transcript"]) == ["second part", "participant.joined"]
        assert "NextToken" not in new
        old = await rig.call("get_transcript", ContactId=chat.contact_id, **query)
        query |= {"ContactId": chat.contact_id, "NextToken": old["NextToken"]}
        older = await rig.call("get_transcript", **query)
        assert len([*old["Transcript"], *older["Transcript"]]) == 5


async def until_closed(websocket: ClientConnection) -> list[dict[str, Any]]:
    """Return everything that is pushed until the websocket closes."""
    found = []
    with suppress(ConnectionClosed):
        while True:
            found.append(await item(websocket))
    return found


async def test_the_part_of_who_hands_over_ends() -> None:
    """Agents and supervisors get transfer.succeeded, then their socket closes; tokens are dead."""
    async with running() as rig:
        chat, _ = await rig.started()
        where = {**IN_INSTANCE, "ContactId": chat.contact_id}
        sockets = []
        for role in ("AGENT", "SUPERVISOR"):
            added = await rig.call(
                "create_participant", **where, ParticipantDetails={"ParticipantRole": role}
            )
            token = added["ParticipantCredentials"]["ParticipantToken"]
            sockets.append((token, rig.subscribed(token)))
        (agent_token, agent), (_, supervisor) = sockets
        async with agent as agents, supervisor as supervisors:
            jane = await rig.emulator.join(chat.contact_id)
            jo = await jane.transfer()
            await jo.say("Now it is me")
            for websocket in (agents, supervisors):
                seen = kinds(await until_closed(websocket))
                assert "transfer.succeeded" in seen
                assert "Now it is me" not in seen
        await rig.refused(
            "AccessDeniedException",
            "create_participant_connection",
            ConnectParticipant=True,
            ParticipantToken=agent_token,
        )
        with pytest.raises(Refusal, match="left"):
            await jane.say("one more thing")


async def test_receipts_are_off_while_a_supervisor_has_barged_in() -> None:
    """They conflict until the supervisor leaves."""
    async with running() as rig:
        chat, token = await rig.started()
        agent = await rig.emulator.join(chat.contact_id)
        said = await agent.say("Hello")
        receipt = {
            "ContentType": CHAT + "event.message.read",
            "Content": f'{{"messageId": "{said.id}"}}',
            "ConnectionToken": token,
        }
        boss = await rig.emulator.join(chat.contact_id, role="SUPERVISOR")
        await rig.refused("ConflictException", "send_event", **receipt)
        await boss.leave()
        await rig.call("send_event", **receipt)


async def test_describe_contact_follows_a_chat() -> None:
    """Its times, its agent, and how its contacts are linked."""
    clock = FakeClock()
    began = clock.now
    async with running(clock) as rig:
        reply = await rig.call(
            "start_chat_contact",
            **IN_INSTANCE,
            ContactFlowId="flow",
            ParticipantDetails={"DisplayName": "Ana"},
            Attributes={"order": "42"},
            CustomerId="ana-1",
            RelatedContactId="something-before",
        )
        first = reply["ContactId"]

        async def described(contact_id: str) -> dict[str, Any]:
            found = await rig.call("describe_contact", **IN_INSTANCE, ContactId=contact_id)
            return found["Contact"]

        fresh = await described(first)
        assert fresh["Arn"].endswith(f"{IN_INSTANCE['InstanceId']}/contact/{first}")
        assert (fresh["Channel"], fresh["InitiationMethod"]) == ("CHAT", "API")
        assert (fresh["CustomerId"], fresh["Attributes"]) == ("ana-1", {"order": "42"})
        assert fresh["RelatedContactId"] == "something-before"
        assert fresh["InitiationTimestamp"] == datetime.fromtimestamp(began, UTC)
        assert not {"AgentInfo", "DisconnectTimestamp", "InitialContactId"} & set(fresh)
        clock.now += 10
        jane = await rig.emulator.join(first)
        clock.now += 10
        second = (await jane.transfer()).contact_id
        clock.now += 10
        rig.emulator.end_chat(second)
        old, new = await described(first), await described(second)
        assert old["AgentInfo"]["Id"] == jane.participant_id
        assert old["AgentInfo"]["ConnectedToAgentTimestamp"].timestamp() == began + 10
        assert old["DisconnectTimestamp"].timestamp() == began + 20
        assert (new["InitialContactId"], new["PreviousContactId"]) == (first, first)
        assert new["InitiationMethod"] == "TRANSFER"
        assert new["DisconnectTimestamp"].timestamp() == began + 30
        missing = {**IN_INSTANCE, "ContactId": "unknown"}
        await rig.refused("ResourceNotFoundException", "describe_contact", **missing)


async def test_agents_may_leave_with_the_customer() -> None:
    """With DisconnectOnCustomerExit the disconnect flow has the chat to itself."""
    async with running(disconnect_flow_seconds=60) as rig:
        reply = await rig.call(
            "start_chat_contact",
            **IN_INSTANCE,
            ContactFlowId="flow",
            ParticipantDetails={"DisplayName": "Ana"},
            DisconnectOnCustomerExit=["AGENT"],
        )
        token = await rig.token(reply["ParticipantToken"])
        agent = await rig.emulator.join(reply["ContactId"])
        await rig.call("disconnect_participant", ConnectionToken=token)
        kept = rig.emulator.transcript(reply["ContactId"])
        left = [entry["ParticipantRole"] for entry in kept if entry["ContentType"].endswith("left")]
        assert left == ["CUSTOMER", "AGENT"]
        with pytest.raises(Refusal, match="left"):
            await agent.say("Bye")
