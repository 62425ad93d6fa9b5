"""Quotas: how many calls a Connect instance takes."""

from __future__ import annotations

from typing import Any

import pytest

from connect_chat.emulator import EmulatorSettings
from connect_chat.emulator.settings import DOCUMENTED_QUOTAS
from connect_chat.errors import ConfigurationError

from .support import CHAT, FakeClock, http, running

THROTTLED = "ThrottlingException"


@pytest.mark.parametrize("operation", DOCUMENTED_QUOTAS)
async def test_the_documented_quotas_are_kept(operation: str) -> None:
    """A burst passes, then as many a second as the rate; whatever the calls are answered."""
    rate, burst = DOCUMENTED_QUOTAS[operation]
    paths = {
        "CreateParticipantConnection": "connection",
        "SendMessage": "message",
        "SendEvent": "event",
        "GetTranscript": "transcript",
        "DisconnectParticipant": "disconnect",
        "StartAttachmentUpload": "start-attachment-upload",
        "CompleteAttachmentUpload": "complete-attachment-upload",
        "GetAttachment": "attachment",
    }
    body = {
        "ContentType": CHAT + "event.typing",
        "Content": "x",
        "AttachmentId": "x",
        "AttachmentIds": ["x"],
        "AttachmentName": "x",
        "AttachmentSizeInBytes": 1,
        "ClientToken": "once",
    }
    clock = FakeClock()
    async with running(clock, quotas=True) as rig, http(rig.emulator.url) as web:
        chat, token = await rig.started()
        bearer = chat.participant_token if operation.startswith("Create") else token

        async def passed(tries: int) -> int:
            answers = [
                await web.post(
                    f"/participant/{paths[operation]}",
                    headers={"X-Amz-Bearer": bearer},
                    json=body,
                )
                for _ in range(tries)
            ]
            throttled = [answer for answer in answers if answer.status_code == 429]
            assert {answer.headers["x-amzn-ErrorType"] for answer in throttled} <= {THROTTLED + ":"}
            return tries - len(throttled)

        clock.now += 60
        assert await passed(burst + 5) == burst
        clock.now += 1
        assert await passed(burst + 5) == rate
        clock.now += 3600
        assert await passed(burst + 5) == burst


async def test_instances_and_operations_have_quotas_of_their_own() -> None:
    """Chats of one instance share them; another instance's, and other operations, do not."""
    async with running(FakeClock(), quotas=True, quota_rates={"GetTranscript": (1, 3)}) as rig:
        one, same, other = [
            await rig.token((await rig.emulator.start_chat(instance_id=instance)).participant_token)
            for instance in ("a", "a", "b")
        ]
        for _ in range(3):
            await rig.call("get_transcript", ConnectionToken=one)
        await rig.refused(THROTTLED, "get_transcript", ConnectionToken=same)
        await rig.call("get_transcript", ConnectionToken=other)
        for number in range(20):  # no quota is no limit
            await rig.call(
                "send_message",
                ContentType="text/plain",
                Content=str(number),
                ConnectionToken=one,
            )


async def test_quotas_are_off_unless_asked_for() -> None:
    """A test that hurries is not slowed down."""
    async with running(FakeClock()) as rig:
        _, token = await rig.started()
        for _ in range(30):
            await rig.call("get_transcript", ConnectionToken=token)


async def test_a_call_that_is_throttled_does_nothing() -> None:
    """Tried again with its ClientToken once there is room, it is done once."""
    clock = FakeClock()
    async with running(clock, quotas=True, quota_rates={"SendMessage": (1, 1)}) as rig:
        chat, token = await rig.started()
        for content in ("one", "two"):
            message = {"ContentType": "text/plain", "Content": content, "ClientToken": content}
            if content == "two":
                await rig.refused(THROTTLED, "send_message", ConnectionToken=token, **message)
                clock.now += 1
            await rig.call("send_message", ConnectionToken=token, **message)
        assert [entry["Content"] for entry in rig.emulator.transcript(chat.contact_id)[1:]] == [
            "one",
            "two",
        ]


@pytest.mark.parametrize(
    "rate", [(0, 5), (1, 0), (1, 1.5), ("1", 5)], ids=["rate", "burst", "half", "text"]
)
def test_rates_are_checked(rate: Any) -> None:
    """The error names the operation."""
    with pytest.raises(ConfigurationError, match="SendMessage must be"):
        EmulatorSettings(quota_rates={"SendMessage": rate})
