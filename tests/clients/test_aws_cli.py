"""The AWS CLI's ``connectparticipant`` and ``connect`` commands."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from connect_chat.emulator import Emulator

AWS = shutil.which("aws", path=str(Path(sys.executable).parent))
pytestmark = pytest.mark.skipif(AWS is None, reason="the AWS CLI is not installed")

INSTANCE = "11111111-2222-3333-4444-555555555555"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",  # no profile of whoever runs the tests
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "example",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_PAGER": "",
}


class Cli:
    """The CLI at an emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    async def run(self, service: str, command: str, **options: Any) -> tuple[int, str, str]:
        """Run a command; return its exit status, stdout and stderr."""
        arguments = [service, command, "--endpoint-url", self.emulator.url]
        for name, value in options.items():
            text = value if isinstance(value, str) else json.dumps(value)
            arguments += [f"--{name.replace('_', '-')}", text]
        assert AWS is not None
        process = await asyncio.create_subprocess_exec(
            AWS,
            *arguments,
            env=ENVIRONMENT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode(), errors.decode()

    async def __call__(self, service: str, command: str, **options: Any) -> Any:
        """Run a command that succeeds; return what it prints."""
        status, output, errors = await self.run(service, command, **options)
        assert status == 0, errors
        return json.loads(output) if output.strip() else None

    async def participant(self, command: str, **options: Any) -> Any:
        return await self("connectparticipant", command, **options)

    async def connect(self, command: str, **options: Any) -> Any:
        return await self("connect", command, instance_id=INSTANCE, **options)


async def test_a_chat_from_start_to_end() -> None:
    """Started, held and stopped with commands alone."""
    async with Emulator() as emulator:
        cli = Cli(emulator)
        chat = await cli.connect(
            "start-chat-contact",
            contact_flow_id="flow",
            participant_details={"DisplayName": "Ana"},
            initial_message={"ContentType": "text/plain", "Content": "Where is my order?"},
            attributes={"order": "42"},
        )
        token = (
            await cli.participant(
                "create-participant-connection",
                type=["WEBSOCKET", "CONNECTION_CREDENTIALS"],
                participant_token=chat["ParticipantToken"],
            )
        )["ConnectionCredentials"]["ConnectionToken"]
        bot = await cli.connect(
            "create-participant",
            contact_id=chat["ContactId"],
            participant_details={"ParticipantRole": "CUSTOM_BOT", "DisplayName": "Bot"},
        )
        connected = await cli.participant(
            "create-participant-connection",
            type=["CONNECTION_CREDENTIALS"],
            participant_token=bot["ParticipantCredentials"]["ParticipantToken"],
        )
        said = await cli.participant(
            "send-message",
            content_type="text/plain",
            content="It has left the warehouse.",
            connection_token=connected["ConnectionCredentials"]["ConnectionToken"],
        )
        await cli.participant(
            "send-event",
            content_type="application/vnd.amazonaws.connect.event.message.read",
            content=json.dumps({"messageId": said["Id"]}),
            connection_token=token,
        )
        transcript = await cli.participant(
            "get-transcript", sort_order="ASCENDING", connection_token=token
        )
        contents = [entry["Content"] for entry in transcript["Transcript"] if "Content" in entry]
        assert contents == ["Where is my order?", "It has left the warehouse."]
        timer = {
            "ParticipantRole": "CUSTOMER",
            "TimerType": "IDLE",
            "TimerValue": {"ParticipantTimerDurationInMinutes": 5},
        }
        await cli.connect(
            "update-participant-role-config",
            contact_id=chat["ContactId"],
            channel_configuration={"Chat": {"ParticipantTimerConfigList": [timer]}},
        )
        await cli.participant("disconnect-participant", connection_token=token)
        found = await cli.connect("describe-contact", contact_id=chat["ContactId"])
        assert found["Contact"]["Channel"] == "CHAT"
        assert found["Contact"]["DisconnectTimestamp"]
        await cli.connect("stop-contact", contact_id=chat["ContactId"])


async def test_files_views_and_signing_in() -> None:
    """The remaining commands."""
    async with Emulator() as emulator, httpx.AsyncClient(trust_env=False) as web:
        cli = Cli(emulator)
        chat = await emulator.start_chat("Ana")
        connected = await cli.participant(
            "create-participant-connection",
            type=["CONNECTION_CREDENTIALS"],
            participant_token=chat.participant_token,
        )
        token = connected["ConnectionCredentials"]["ConnectionToken"]
        upload = await cli.participant(
            "start-attachment-upload",
            attachment_name="a.csv",
            attachment_size_in_bytes="3",
            content_type="text/csv",
            connection_token=token,
        )
        to = upload["UploadMetadata"]
        await web.put(to["Url"], content=b"a,b", headers=to["HeadersToInclude"])
        await cli.participant(
            "complete-attachment-upload",
            attachment_ids=[upload["AttachmentId"]],
            connection_token=token,
        )
        found = await cli.participant(
            "get-attachment", attachment_id=upload["AttachmentId"], connection_token=token
        )
        assert (await web.get(found["Url"])).content == b"a,b"
        view = await cli.participant("describe-view", view_token="detail", connection_token=token)
        assert view["View"]["Name"] == "detail"
        session = emulator.request_authentication(chat.contact_id)
        sign_in = {"session_id": session, "connection_token": token}
        found = await cli.participant(
            "get-authentication-url", redirect_uri="shop://signed-in", **sign_in
        )
        assert found["AuthenticationUrl"].startswith("https://")
        await cli.participant("cancel-participant-authentication", **sign_in)


@pytest.mark.parametrize(
    ("service", "command", "options", "code"),
    [
        (
            "connectparticipant",
            "get-transcript",
            {"connection_token": "made up"},
            "AccessDeniedException",
        ),
        (
            "connect",
            "describe-contact",
            {"instance_id": INSTANCE, "contact_id": "unknown"},
            "ResourceNotFoundException",
        ),
    ],
)
async def test_errors_have_their_names(
    service: str, command: str, options: dict[str, Any], code: str
) -> None:
    """The CLI says which error it was, and exits as it does for errors of a service."""
    async with Emulator() as emulator:
        status, output, errors = await Cli(emulator).run(service, command, **options)
    assert status != 0
    assert not output
    assert f"An error occurred ({code})" in errors
