"""What happens by itself: chats that last long enough, participants who fall silent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from botocore.exceptions import ClientError

from connect_chat.emulator import EmulatedParticipant

from .support import FakeClock, Rig, item, kinds, running

START: dict[str, Any] = {
    "InstanceId": "instance",
    "ContactFlowId": "flow",
    "ParticipantDetails": {"DisplayName": "Ana"},
}
MINUTE = 0.02
"""Seconds; timers take two of these minutes and more."""


async def kept_until(rig: Rig, contact_id: str, kind: str) -> list[str]:
    """Wait until a transcript keeps an event; return the kinds of what it has then."""
    async with asyncio.timeout(5):
        while True:
            kept = kinds(rig.emulator.transcript(contact_id))
            if kind in kept:
                return kept
            await asyncio.sleep(0.005)  # nobody is connected, so nobody is told


async def test_a_chat_lasts_as_long_as_it_was_asked_to() -> None:
    """After ChatDurationInMinutes it ends by itself."""
    async with running(seconds_per_minute=0.001) as rig:
        reply = await rig.call("start_chat_contact", **START, ChatDurationInMinutes=60)
        kept = await kept_until(rig, reply["ContactId"], "chat.ended")
        assert kept == ["chat.ended"]


async def test_a_chat_lasts_25_hours_otherwise() -> None:
    """Then it is over, also on a machine that slept meanwhile."""
    clock = FakeClock()
    async with running(clock) as rig:
        chat, token = await rig.started()
        clock.now += 86_400
        token = await rig.token(chat.participant_token)
        clock.now += 3600
        await rig.call("get_transcript", ConnectionToken=token)
        clock.now += 1
        await rig.refused("AccessDeniedException", "get_transcript", ConnectionToken=token)
        assert kinds(rig.emulator.transcript(chat.contact_id))[-1] == "chat.ended"


async def configure(rig: Rig, contact_id: str, *timers: tuple[str, str, int | None]) -> None:
    """Set timers, each of a role, a type and a number of minutes, None to unset it."""
    await rig.call(
        "update_participant_role_config",
        InstanceId="instance",
        ContactId=contact_id,
        ChannelConfiguration={
            "Chat": {
                "ParticipantTimerConfigList": [
                    {
                        "ParticipantRole": role,
                        "TimerType": kind,
                        "TimerValue": {"ParticipantTimerAction": "Unset"}
                        if minutes is None
                        else {"ParticipantTimerDurationInMinutes": minutes},
                    }
                    for role, kind, minutes in timers
                ]
            }
        },
    )


async def test_a_silent_customer_is_idle_and_returns() -> None:
    """participant.idle comes by itself and participant.returned with the next message; both are
    pushed only, and concern the customer."""
    async with running(seconds_per_minute=MINUTE) as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token) as websocket:
            await rig.emulator.join(chat.contact_id)
            await configure(rig, chat.contact_id, ("CUSTOMER", "IDLE", 2))
            assert kinds([await item(websocket) for _ in range(2)]) == ["participant.joined"] * 2
            idle = await item(websocket)
            token = await rig.token(chat.participant_token)
            await rig.call(
                "send_message", ContentType="text/plain", Content="Here", ConnectionToken=token
            )
            here, returned = await item(websocket), await item(websocket)
        assert kinds([idle, here, returned]) == ["participant.idle", "Here", "participant.returned"]
        assert idle["ParticipantId"] == returned["ParticipantId"] == chat.participant_id
        kept = kinds(rig.emulator.transcript(chat.contact_id))
        assert not {"participant.idle", "participant.returned"} & set(kept)


async def test_a_silent_agent_is_disconnected() -> None:
    """First idle, then participant.autodisconnection and gone; the chat goes on."""
    async with running(seconds_per_minute=MINUTE) as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token) as websocket:
            await item(websocket)
            timers = [("AGENT", "IDLE", 2), ("AGENT", "DISCONNECT_NONCUSTOMER", 2)]
            await configure(rig, chat.contact_id, *timers)
            agent = await rig.emulator.join(chat.contact_id)
            seen = [await item(websocket) for _ in range(4)]
        assert kinds(seen) == [
            "participant.joined",
            "participant.idle",
            "participant.autodisconnection",
            "participant.left",
        ]
        assert {entry["ParticipantId"] for entry in seen} == {agent.participant_id}
        await rig.emulator.say(chat.contact_id, "Somebody else will be with you")


async def test_typing_and_messages_keep_one_from_being_idle() -> None:
    """An agent who does either, again and again, is never idle while a silent customer is."""
    async with running(seconds_per_minute=MINUTE) as rig:
        chat = await rig.emulator.start_chat()
        async with rig.subscribed(chat.participant_token) as websocket:
            agent = await rig.emulator.join(chat.contact_id)
            # Later than that the agent speaks, and much earlier than it is idle.
            await configure(rig, chat.contact_id, ("CUSTOMER", "IDLE", 10), ("AGENT", "IDLE", 8))
            seen: list[dict[str, Any]] = []
            busy = asyncio.create_task(keep_busy(agent))
            while not seen or kinds(seen[-1:]) != ["participant.idle"]:
                seen.append(await item(websocket))
            busy.cancel()
        assert seen[-1]["ParticipantId"] == chat.participant_id


async def keep_busy(agent: EmulatedParticipant) -> None:
    while True:
        await agent.type()
        await asyncio.sleep(MINUTE)
        await agent.say("One moment")
        await asyncio.sleep(MINUTE)


async def let_a_timer_run_out(rig: Rig) -> None:
    """Wait for the shortest timer there is, in a chat of its own."""
    chat = await rig.emulator.start_chat()
    async with rig.subscribed(chat.participant_token) as websocket:
        await rig.emulator.join(chat.contact_id)
        await configure(rig, chat.contact_id, ("AGENT", "IDLE", 2))
        while kinds([await item(websocket)]) != ["participant.idle"]:
            pass


async def test_timers_wait_for_both_and_can_be_unset() -> None:
    """Without an agent nobody is disconnected, nor by a timer that was unset."""
    async with running(seconds_per_minute=MINUTE) as rig:
        chat, _ = await rig.started()
        await configure(rig, chat.contact_id, ("CUSTOMER", "DISCONNECT_NONCUSTOMER", 2))
        await let_a_timer_run_out(rig)
        await configure(rig, chat.contact_id, ("CUSTOMER", "DISCONNECT_NONCUSTOMER", None))
        await rig.emulator.join(chat.contact_id)
        await let_a_timer_run_out(rig)
        assert kinds(rig.emulator.transcript(chat.contact_id)) == ["participant.joined"] * 2


async def test_an_ended_chat_has_no_timers() -> None:
    """None can be set, and those that were are called off."""
    async with running(seconds_per_minute=MINUTE) as rig:
        chat, _ = await rig.started()
        await rig.emulator.join(chat.contact_id)
        await configure(rig, chat.contact_id, ("AGENT", "DISCONNECT_NONCUSTOMER", 2))
        rig.emulator.end_chat(chat.contact_id)
        await let_a_timer_run_out(rig)
        assert kinds(rig.emulator.transcript(chat.contact_id))[-1] == "chat.ended"
        with pytest.raises(ClientError, match="has ended"):
            await configure(rig, chat.contact_id, ("AGENT", "IDLE", 2))
