"""Calls that fail because they were asked to."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from .support import kinds, running

MESSAGE = {"ContentType": "text/plain", "Content": "Hi", "ClientToken": "once"}


async def test_as_many_calls_fail_as_asked_for() -> None:
    """Faults of an operation come in order, other operations do not have them."""
    async with running() as rig:
        chat, token = await rig.started()
        message: dict[str, Any] = {**MESSAGE, "ConnectionToken": token}
        rig.emulator.fail_next("SendMessage", "ThrottlingException", count=2)
        rig.emulator.fail_next("SendMessage", "InternalServerException")
        await rig.call("get_transcript", ConnectionToken=token)
        for code in ("ThrottlingException", "ThrottlingException", "InternalServerException"):
            await rig.refused(code, "send_message", **message)
        assert kinds(rig.emulator.transcript(chat.contact_id)) == ["participant.joined"]
        await rig.call("send_message", **message)


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_gateway_in_between_may_fail(status: int) -> None:
    """Its answer has the status, and nothing of the service."""
    async with running() as rig:
        _, token = await rig.started()
        rig.emulator.fail_next("GetTranscript", status)
        with pytest.raises(ClientError) as caught:
            await rig.call("get_transcript", ConnectionToken=token)
        metadata = caught.value.response["ResponseMetadata"]
        assert metadata["HTTPStatusCode"] == status
        assert "x-amzn-requestid" not in metadata["HTTPHeaders"]


async def test_an_answer_may_be_lost_before_or_after_the_work() -> None:
    """The connection breaks; only with after_work the message was taken, once."""
    async with running() as rig:
        chat, token = await rig.started()
        message: dict[str, Any] = {**MESSAGE, "ConnectionToken": token}
        for after_work, said in ((False, 0), (True, 1)):
            rig.emulator.fail_next("SendMessage", after_work=after_work)
            with pytest.raises(ConnectionClosedError):
                await rig.call("send_message", **message)
            assert kinds(rig.emulator.transcript(chat.contact_id)).count("Hi") == said
        reply = await rig.call("send_message", **message)
        assert rig.emulator.transcript(chat.contact_id)[-1]["Id"] == reply["Id"]


async def test_the_work_may_be_done_and_its_answer_be_an_error() -> None:
    """With after_work the error hides a success."""
    async with running() as rig:
        chat, token = await rig.started()
        rig.emulator.fail_next("SendMessage", "InternalServerException", after_work=True)
        await rig.refused(
            "InternalServerException", "send_message", ConnectionToken=token, **MESSAGE
        )
        assert kinds(rig.emulator.transcript(chat.contact_id))[-1] == "Hi"


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("Dance", "ThrottlingException"),
        ("SendMessage", "ConflictException"),
        ("SendMessage", 200),
    ],
)
async def test_what_cannot_happen_cannot_be_asked_for(operation: str, error: str | int) -> None:
    """Operations that don't exist and errors that the operation doesn't name are refused."""
    async with running() as rig:
        with pytest.raises(ValueError):
            rig.emulator.fail_next(operation, error)
