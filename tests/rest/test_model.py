"""Our operations, compared with the service's own API model member by member."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import get_args

import httpx
import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from pydantic import BaseModel

import connect_chat
from connect_chat import Item, ParticipantClient, ServiceError, UnknownItem, parse_item, requests
from connect_chat.operations import OPERATIONS

_MODEL = ServiceModel(
    Loader().load_service_model("connectparticipant", "service-2"), "connectparticipant"
)
_SESSION = "12345678-1234-1234-1234-123456789012"

# Every input member of the model, with a value; where the members exclude one another, several.
_INPUTS = {
    "CreateParticipantConnection": [
        {
            "Type": ["WEBSOCKET", "CONNECTION_CREDENTIALS", "WEBRTC_CONNECTION"],
            "ParticipantToken": "participant-token",
            "ConnectParticipant": True,
        }
    ],
    "SendMessage": [
        {
            "ContentType": "text/markdown",
            "Content": 'Grüße, "you"\n',
            "ClientToken": "c-1",
            "ConnectionToken": "connection-token",
        }
    ],
    "SendEvent": [
        {
            "ContentType": "application/vnd.amazonaws.connect.event.message.read",
            "Content": '{"messageId": "m-1"}',
            "ClientToken": "c-1",
            "ConnectionToken": "connection-token",
        }
    ],
    "GetTranscript": [
        {
            "ContactId": "contact",
            "MaxResults": 100,
            "NextToken": "next",
            "ScanDirection": direction,
            "SortOrder": order,
            "StartPosition": start,
            "ConnectionToken": "connection-token",
        }
        for direction, order, start in (
            ("FORWARD", "ASCENDING", {"Id": "item"}),
            ("BACKWARD", "DESCENDING", {"AbsoluteTime": "2025-05-24T21:40:01.137Z"}),
            ("BACKWARD", "DESCENDING", {"MostRecent": 0}),
        )
    ],
    "DisconnectParticipant": [{"ClientToken": "c-1", "ConnectionToken": "connection-token"}],
    "StartAttachmentUpload": [
        {
            "ContentType": "application/pdf",
            "AttachmentSizeInBytes": 1,
            "AttachmentName": "a.pdf",
            "ClientToken": "c-1",
            "ConnectionToken": "connection-token",
        }
    ],
    "CompleteAttachmentUpload": [
        {"AttachmentIds": ["a-1"], "ClientToken": "c-1", "ConnectionToken": "connection-token"}
    ],
    "GetAttachment": [
        {
            "AttachmentId": "a-1",
            "ConnectionToken": "connection-token",
            "UrlExpiryInSeconds": 300,
            "UrlContentDisposition": disposition,
        }
        for disposition in ("INLINE", "ATTACHMENT")
    ],
    "DescribeView": [{"ViewToken": "a b/ü?%=", "ConnectionToken": "connection-token"}],
    "GetAuthenticationUrl": [
        {
            "SessionId": _SESSION,
            "RedirectUri": "https://example.com/back",
            "ConnectionToken": "connection-token",
        }
    ],
    "CancelParticipantAuthentication": [
        {"SessionId": _SESSION, "ConnectionToken": "connection-token"}
    ],
}
_OURS = {"Type": "types"}


async def call(operation: str, members: dict, answer: httpx.Response) -> SimpleNamespace:
    """Call our method with the model's members; return what was sent and what came back."""
    sent: list[httpx.Request] = []

    def answering(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answer

    arguments = {_OURS.get(name, xform_name(name)): value for name, value in members.items()}
    transport = httpx.MockTransport(answering)
    async with ParticipantClient(
        endpoint_url="http://example.com", http=transport, max_attempts=1
    ) as client:
        try:
            result = await getattr(client, xform_name(operation))(**arguments)
        except ServiceError as error:
            result = error
    return SimpleNamespace(request=sent[0], result=result)


def test_every_operation_is_there():
    """A method and an entry of the table for each operation, with the model's method and path."""
    ours = {operation.name: operation for operation in OPERATIONS}
    assert ours.keys() == set(_MODEL.operation_names) == _INPUTS.keys()
    for name, operation in ours.items():
        http = _MODEL.operation_model(name).http
        assert (operation.method, operation.path) == (http["method"], http["requestUri"])


@pytest.mark.parametrize("name", _MODEL.operation_names)
def test_the_samples_hold_every_input_member(name):
    """The comparison below leaves nothing out, so that a new member of the model shows."""
    shape = _MODEL.operation_model(name).input_shape
    for members in _INPUTS[name]:
        assert members.keys() == shape.members.keys()
    start = shape.members.get("StartPosition")
    if start is not None:
        given = {key for members in _INPUTS[name] for key in members["StartPosition"]}
        assert given == start.members.keys()


@pytest.mark.parametrize(
    ("name", "members"), [(name, members) for name in _INPUTS for members in _INPUTS[name]]
)
async def test_requests_are_spelled_as_botocore_spells_them(name, members):
    """The same method, path, headers and JSON as AWS's own SDK sends."""
    theirs = create_serializer("rest-json").serialize_to_request(
        members, _MODEL.operation_model(name)
    )
    ours = (
        await call(name, members, httpx.Response(200, json={"AttachmentSizeInBytes": 1}))
    ).request
    assert ours.method == theirs["method"]
    assert ours.url.raw_path.decode() == theirs["url_path"]
    for header, value in theirs["headers"].items():
        assert ours.headers[header] == value
    body = theirs["body"]
    assert ours.content == b"" if not body else json.loads(ours.content) == json.loads(body)


def sample(shape, path):
    """Return a value for an output shape: different for every member, as the service spells it."""
    match shape.type_name:
        case "structure":
            return {
                name: sample(member, f"{path}.{name}") for name, member in shape.members.items()
            }
        case "list":
            return [sample(shape.member, f"{path}[]")]
        case "map":
            return {"x-amz-header": f"{path}{{}}"}
        case "integer" | "long":
            return len(path)
        case "string":
            if shape.enum:
                return shape.enum[-1]
            if shape.name in {"ISO8601Datetime", "Instant"}:
                return "2025-05-24T21:40:01.137Z"
            return path
    raise AssertionError(shape.type_name)


def compare(theirs, ours, path):
    """Find every value that botocore's parser reads at the same place of ours."""
    if isinstance(theirs, dict) and isinstance(ours, BaseModel):
        for name, value in theirs.items():
            compare(value, getattr(ours, xform_name(name)), f"{path}.{name}")
    elif isinstance(theirs, list):
        assert len(theirs) == len(ours), path
        for one, other in zip(theirs, ours, strict=True):
            compare(one, other, path)
    elif isinstance(ours, datetime):
        assert ours == datetime(2025, 5, 24, 21, 40, 1, 137000, tzinfo=UTC), path
    else:
        assert theirs == ours, path


@pytest.mark.parametrize("name", _MODEL.operation_names)
async def test_every_output_member_is_read(name):
    """Every member of every answer is where botocore finds it, by its snake_case name."""
    shape = _MODEL.operation_model(name).output_shape
    body = json.dumps(sample(shape, name)).encode()
    response = {"status_code": 200, "headers": {}, "body": body}
    theirs = create_parser("rest-json").parse(response, shape)
    theirs.pop("ResponseMetadata")
    ours = (await call(name, _INPUTS[name][0], httpx.Response(200, content=body))).result
    assert type(ours) is getattr(connect_chat, shape.name)
    compare(theirs, ours, name)


@pytest.mark.parametrize("name", _MODEL.operation_names)
async def test_every_error_has_its_type(name):
    """Each error that the model lets an operation answer is raised as its namesake."""
    for shape in _MODEL.operation_model(name).error_shapes:
        answer = httpx.Response(
            shape.metadata["error"]["httpStatusCode"],
            headers={"x-amzn-ErrorType": shape.name},
            json=sample(shape, name),
        )
        error = (await call(name, _INPUTS[name][0], answer)).result
        assert type(error) is getattr(connect_chat, shape.name)
        assert error.status_code == answer.status_code
        for member in shape.members:
            assert getattr(error, xform_name(member)) == answer.json()[member]


@pytest.mark.parametrize(
    ("shape", "ours"),
    [
        ("ConnectionType", requests.ConnectionType),
        ("ScanDirection", requests.ScanDirection),
        ("SortKey", requests.SortOrder),
        ("ContentDisposition", requests.ContentDisposition),
    ],
)
def test_enums_that_we_send(shape, ours):
    """What we accept is what the model lists."""
    assert set(get_args(ours)) == set(_MODEL.shape_for(shape).enum)


def test_every_kind_of_item_has_its_type():
    """No item type of the model ends as an unknown one."""
    for type_ in _MODEL.shape_for("ChatItemType").enum:
        item = parse_item(
            {"Type": type_, "ContentType": "application/vnd.amazonaws.connect.event.typing"}
        )
        assert type(item) not in {Item, UnknownItem}, type_


def limits(shape_name):
    metadata = _MODEL.shape_for(shape_name).metadata
    return metadata.get("min", 0), metadata.get("max")


@pytest.mark.parametrize(
    ("operation", "member", "shape"),
    [
        (name, member, shape.name)
        for name in _MODEL.operation_names
        for member, shape in _MODEL.operation_model(name).input_shape.members.items()
        if shape.type_name in {"string", "integer", "long"}
        and "max" in shape.metadata
        and member != "ContentType"
        and shape.name != "ChatContent"
    ],
)
async def test_lengths_and_ranges_are_the_models(operation, member, shape):
    """Just inside the model's limit is sent; just outside is refused here, naming the member."""
    kind = _MODEL.shape_for(shape).type_name
    least, most = limits(shape)
    good = {**_INPUTS[operation][0]}
    answer = httpx.Response(200, json={"AttachmentSizeInBytes": 1})
    for size in {least, most}:
        good[member] = size if kind != "string" else "x" * size
        await call(operation, good, answer)
    for size in {least - 1, most + 1} - {-1 if kind == "string" else None}:
        bad = {**good, member: size if kind != "string" else "x" * size}
        with pytest.raises(connect_chat.InvalidRequestError) as caught:
            await call(operation, bad, answer)
        assert caught.value.field == xform_name(member)
        assert caught.value.size == size
