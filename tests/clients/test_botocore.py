"""Every operation and every error of both models, with the AWS SDK's own clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from emulator.support import CHAT, FakeClock, Rig, http, running, sdk

from connect_chat.emulator.model import CONTROL_PLANE, PARTICIPANT_SERVICE, Operation

OPERATIONS = {**PARTICIPANT_SERVICE, **CONTROL_PLANE}
INSTANCE = "11111111-2222-3333-4444-555555555555"


async def valid_members(rig: Rig, operation: str) -> dict[str, Any]:  # noqa: C901 - a table
    """Return an input with which a call of the operation succeeds, on a chat of its own."""
    emulator = rig.emulator
    chat, token = await rig.started()
    agent = await emulator.join(chat.contact_id)
    customer: Mapping[str, Any] = {"ConnectionToken": token}
    message = await agent.say("Hello")
    match operation:
        case "CreateParticipantConnection":
            return {"Type": ["WEBSOCKET"], "ParticipantToken": chat.participant_token}
        case "SendMessage":
            return {"ContentType": "text/plain", "Content": "Hello", **customer}
        case "SendEvent":
            read = f'{{"messageId": "{message.id}"}}'
            return {"ContentType": CHAT + "event.message.read", "Content": read, **customer}
        case "GetTranscript" | "DisconnectParticipant":
            return {**customer}
        case "StartAttachmentUpload":
            return {
                "ContentType": "text/csv",
                "AttachmentSizeInBytes": 3,
                "AttachmentName": "a.csv",
                **customer,
            }
        case "CompleteAttachmentUpload":
            start = await valid_members(rig, "StartAttachmentUpload")
            reply = await rig.call("start_attachment_upload", **start)
            upload = reply["UploadMetadata"]
            async with http() as web:
                await web.put(upload["Url"], content=b"a,b", headers=upload["HeadersToInclude"])
            return {
                "AttachmentIds": [reply["AttachmentId"]],
                "ConnectionToken": start["ConnectionToken"],
            }
        case "GetAttachment":
            file = await agent.send_file("a.pdf", b"%PDF", content_type="application/pdf")
            return {"AttachmentId": file.attachments[0].attachment_id, **customer}
        case "DescribeView":
            return {"ViewToken": "detail", **customer}
        case "GetAuthenticationUrl":
            session = emulator.request_authentication(chat.contact_id)
            return {"SessionId": session, "RedirectUri": "https://example.com/back", **customer}
        case "CancelParticipantAuthentication":
            return {"SessionId": emulator.request_authentication(chat.contact_id), **customer}
        case "StartChatContact":
            return {
                "InstanceId": INSTANCE,
                "ContactFlowId": "flow",
                "ParticipantDetails": {"DisplayName": "Ana"},
            }
        case "CreateParticipant":
            return {
                "InstanceId": INSTANCE,
                "ContactId": chat.contact_id,
                "ParticipantDetails": {"ParticipantRole": "CUSTOM_BOT", "DisplayName": "Bot"},
            }
        case "UpdateParticipantRoleConfig":
            idle = {
                "ParticipantRole": "CUSTOMER",
                "TimerType": "IDLE",
                "TimerValue": {"ParticipantTimerDurationInMinutes": 2},
            }
            return {
                "InstanceId": INSTANCE,
                "ContactId": chat.contact_id,
                "ChannelConfiguration": {"Chat": {"ParticipantTimerConfigList": [idle]}},
            }
        case "StopContact" | "DescribeContact":
            return {"InstanceId": INSTANCE, "ContactId": chat.contact_id}
    raise AssertionError(f"{operation} is new: say how it is called")


def output_names(operation: str) -> set[str]:
    service = "connect" if operation in CONTROL_PLANE else "connectparticipant"
    return set(sdk().get_service_model(service).operation_model(operation).output_shape.members)


OPTIONAL_OUTPUT = {
    "CreateParticipantConnection": {"ConnectionCredentials", "WebRTCConnection"},
    "SendMessage": {"MessageMetadata"},
    "GetTranscript": {"NextToken"},
    "StartChatContact": {
        "ContinuedFromContactId",
        "ConnectionCredentials",
        "Websocket",
        "StreamingId",
    },
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_an_operation_answers(operation: Operation) -> None:
    """A valid call succeeds, and gives every member of the model's output."""
    async with running() as rig:
        members = await valid_members(rig, operation.name)
        reply = await rig.call(xform_name(operation.name), **members)
        expected = output_names(operation.name) - OPTIONAL_OUTPUT.get(operation.name, set())
        assert set(reply) - {"ResponseMetadata"} == expected
        headers = reply["ResponseMetadata"]["HTTPHeaders"]
        assert headers["content-type"] == "application/json"
        assert headers["date"].endswith("GMT")


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_every_error_of_an_operation_can_be_asked_for(operation: Operation) -> None:
    """Each named error reaches the SDK as its own exception; then the call succeeds."""
    service = "connect" if operation.name in CONTROL_PLANE else "connectparticipant"
    model = sdk().get_service_model(service).operation_model(operation.name)
    async with running() as rig:
        members = await valid_members(rig, operation.name)
        for shape in model.error_shapes:
            rig.emulator.fail_next(operation.name, shape.name)
            with pytest.raises(ClientError) as caught:
                await rig.call(xform_name(operation.name), **members)
            assert type(caught.value).__name__ == shape.name
            answer = caught.value.response
            status = shape.metadata["error"]["httpStatusCode"]
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
            assert answer["Error"]["Message"]
            assert answer["ResponseMetadata"]["RequestId"]
        await rig.call(xform_name(operation.name), **members)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_a_body_that_is_no_json_object_is_refused(operation: Operation) -> None:
    """It is answered with the service's validation error."""
    invalid = (
        "InvalidRequestException" if operation.name in CONTROL_PLANE else "ValidationException"
    )
    async with running() as rig, http(rig.emulator.url) as web:
        for body in ("{", "[]"):
            answer = await web.request(operation.method, operation.path, content=body)
            assert answer.status_code == 400
            assert answer.headers["x-amzn-ErrorType"] == f"{invalid}:"
            assert answer.json()["Message"]


async def test_validation_says_every_member_that_is_wrong() -> None:
    """The message names the member and its constraint, and not its value."""
    async with running() as rig, http(rig.emulator.url) as web:
        _, token = await rig.started()
        answer = await web.post(
            "/participant/message",
            headers={"X-Amz-Bearer": token},
            json={"Content": "", "ClientToken": "secret" * 100},
        )
        assert answer.json()["Message"] == (
            "3 validation errors detected: "
            "Value at 'contentType' failed to satisfy constraint: Member must not be null; "
            "Value at 'content' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1; "
            "Value at 'clientToken' failed to satisfy constraint: "
            "Member must have length less than or equal to 500"
        )


async def test_an_unknown_path_is_an_unknown_operation() -> None:
    """Other paths and methods are answered in the service's way."""
    async with running() as rig, http(rig.emulator.url) as web:
        for answer in (await web.post("/participant/dance"), await web.get("/contact/chat")):
            assert answer.status_code == 404
            assert answer.headers["x-amzn-ErrorType"] == "UnknownOperationException:"


async def test_a_body_beyond_all_limits_is_refused() -> None:
    """A request of more than a mebibyte is not read to its end."""
    async with running() as rig, http(rig.emulator.url) as web:
        answer = await web.post("/participant/message", content=b" " * (1 << 20) + b"{}")
        assert answer.status_code == 400


async def test_describe_view_finds_a_registered_view() -> None:
    """The view comes back as it was registered; an unknown token is not found."""
    async with running() as rig:
        _, token = await rig.started()
        content = {"InputSchema": "{}", "Template": '{"Body": []}', "Actions": ["Go", "Stop"]}
        view_token = rig.emulator.add_view(name="order", content=content)
        view = (await rig.call("describe_view", ViewToken=view_token, ConnectionToken=token))[
            "View"
        ]
        assert (view["Name"], view["Content"]) == ("order", content)
        await rig.refused(
            "ResourceNotFoundException",
            "describe_view",
            ViewToken="somebody/else's",
            ConnectionToken=token,
        )


async def test_authentication_from_the_event_to_its_cancellation() -> None:
    """The session of the event gives a URL until it is cancelled, which everybody is told."""
    async with running() as rig:
        chat, token = await rig.started()
        session = rig.emulator.request_authentication(chat.contact_id)
        members = {"SessionId": session, "ConnectionToken": token}
        back = {"RedirectUri": "https://example.com"}
        reply = await rig.call("get_authentication_url", **members, **back)
        assert reply["AuthenticationUrl"].startswith("https://")
        await rig.call("cancel_participant_authentication", **members)
        await rig.refused("ValidationException", "get_authentication_url", **members, **back)
        initiated, cancelled = rig.emulator.transcript(chat.contact_id)[-2:]
        assert initiated["ContentType"].endswith("authentication.initiated")
        assert initiated["Content"] == f'{{"SessionId": "{session}"}}'
        assert cancelled["ContentType"].endswith("authentication.cancelled")


async def test_a_connection_needs_a_type_or_to_be_marked() -> None:
    """Neither Type nor ConnectParticipant is a validation error, and so is a call."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        token = {"ParticipantToken": chat.participant_token}
        operation = "create_participant_connection"
        await rig.refused("ValidationException", operation, **token)
        await rig.refused("ValidationException", operation, Type=["WEBRTC_CONNECTION"], **token)


async def test_a_fault_of_the_emulator_is_an_internal_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What nobody foresaw is answered as such, and logged."""

    class BrokenClock(FakeClock):
        def __call__(self) -> float:
            if self.now < 0:
                self.now = -self.now
                raise ZeroDivisionError
            return self.now

    clock = BrokenClock()
    async with running(clock) as rig:
        _, token = await rig.started()
        clock.now = -clock.now
        await rig.refused("InternalServerException", "get_transcript", ConnectionToken=token)
        await rig.call("get_transcript", ConnectionToken=token)
    assert [record.name for record in caplog.records] == ["connect_chat.emulator"]
