"""Every constraint of the published API models, broken one at a time.

The SDK would not send most of this, so these are plain HTTP requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from connect_chat.emulator.model import CONTROL_PLANE, PARTICIPANT_SERVICE

from .support import http, running, sdk

SERVICES = {
    "connectparticipant": (PARTICIPANT_SERVICE, "ValidationException"),
    "connect": (CONTROL_PLANE, "InvalidRequestException"),
}
OPERATIONS = [(service, name) for service, (known, _) in SERVICES.items() for name in known]

WRONG_TYPES = {
    "string": 7,
    "integer": "seven",
    "long": "seven",
    "boolean": "yes",
    "list": "one",
    "map": "one",
    "structure": "one",
}


def valid(shape: Any) -> Any:
    """Return a value that a shape of the model allows, with nothing optional in it."""
    match shape.type_name:
        case "structure":
            members = shape.required_members
            if not members and shape.is_tagged_union:
                members = list(shape.members)[:1]
            return {name: valid(shape.members[name]) for name in members}
        case "list":
            return [valid(shape.member)] * max(shape.metadata.get("min", 1), 1)
        case "map":
            return {valid(shape.key): valid(shape.value)}
        case "boolean":
            return True
        case "integer" | "long":
            return shape.metadata.get("min", 1)
        case "string":
            return shape.enum[0] if shape.enum else "x" * max(shape.metadata.get("min", 1), 1)
    raise AssertionError(f"{shape.type_name} is new: say what a valid one is")


def out_of_bounds(shape: Any) -> Iterator[tuple[Any, str]]:
    """Yield values that are too small or too large, and what the message says of them."""
    sized = {
        "integer": lambda size: size,
        "long": lambda size: size,
        "string": lambda size: "x" * size,
        "list": lambda size: [valid(shape.member)] * size,
    }.get(shape.type_name)
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if sized is not None and least is not None and (least or sized(0) == 0):
        yield sized(least - 1), f"greater than or equal to {least}"
    if sized is not None and most is not None:
        yield sized(most + 1), f"less than or equal to {most}"


def broken(shape: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield where a value is wrong, the value, and what the message says of it."""
    yield "", WRONG_TYPES[shape.type_name], "Member must be a"
    for value, says in out_of_bounds(shape):
        yield "", value, says
    match shape.type_name:
        case "string" if shape.enum:
            yield "", "SMOKE_SIGNALS", "satisfy enum value set"
        case "list":
            for at, value, says in broken(shape.member):
                yield f".1.member{at}", [value], says
        case "map" if shape.value.type_name == "string":  # the other is a JSON document to us
            for at, value, says in broken(shape.value):
                yield f".value{at}", {valid(shape.key): value}, says
            yield ".key", {"": valid(shape.value)}, "greater than or equal to"
        case "structure":
            for at, value, says in broken_members(shape):
                yield f".{at}", value, says


def broken_members(shape: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield the same for the members of a structure, each in an otherwise valid one."""
    whole = valid(shape)
    for name, member in shape.members.items():
        if member.serialization.get("location") == "header":
            continue
        spelled = name[0].lower() + name[1:]
        rest = {} if shape.is_tagged_union else whole
        for at, value, says in broken(member):
            yield spelled + at, {**rest, name: value}, says
        if name in shape.required_members:
            yield spelled, {key: whole[key] for key in whole if key != name}, "not be null"


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
async def test_every_constraint_of_the_model_holds(service: str, name: str) -> None:
    """What breaks one is refused as the service does: its error, the member and the constraint."""
    model = sdk().get_service_model(service).operation_model(name)
    _, code = SERVICES[service]
    tried = 0
    async with running() as rig, http(rig.emulator.url) as web:
        for at, members, says in broken_members(model.input_shape):
            names = re.findall(r"{(\w+)}", model.http["requestUri"])
            in_path = {key: members.pop(key, "") for key in names}
            if not all(value and isinstance(value, str) for value in in_path.values()):
                continue  # a path has only strings, and none that are empty
            path = model.http["requestUri"].format(
                **{key: quote(value) for key, value in in_path.items()}
            )
            answer = await web.request(model.http["method"], path, json=members)
            assert answer.status_code == 400, (at, members)
            assert answer.headers["x-amzn-ErrorType"] == f"{code}:"
            message = answer.json()["Message"]
            assert f"Value at '{at}' failed to satisfy constraint" in message
            assert says in message
            tried += 1
    assert tried or not [
        member
        for member in model.input_shape.members.values()
        if member.serialization.get("location") != "header"
    ]


async def test_a_union_has_exactly_one_member() -> None:
    """None and two are refused."""
    path = CONTROL_PLANE["UpdateParticipantRoleConfig"].path.format(InstanceId="i", ContactId="c")
    both = {"ParticipantTimerAction": "Unset", "ParticipantTimerDurationInMinutes": 5}
    async with running() as rig, http(rig.emulator.url) as web:
        for value in ({}, both):
            timer = {"ParticipantRole": "AGENT", "TimerType": "IDLE", "TimerValue": value}
            chat = {"Chat": {"ParticipantTimerConfigList": [timer]}}
            answer = await web.put(path, json={"ChannelConfiguration": chat})
            assert "exactly one of the members" in answer.json()["Message"]
