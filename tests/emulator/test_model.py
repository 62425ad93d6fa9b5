"""The emulator's tables against the published API models, so that an update shows what we lack."""

from __future__ import annotations

from typing import Any

import pytest

from connect_chat.emulator.model import CONTROL_PLANE, PARTICIPANT_SERVICE
from connect_chat.emulator.refusal import STATUS
from connect_chat.emulator.validation import (
    Boolean,
    Document,
    Integer,
    ListOf,
    MapOf,
    Shape,
    String,
    Structure,
)

from .support import sdk

SERVICES = {"connectparticipant": PARTICIPANT_SERVICE, "connect": CONTROL_PLANE}
OPERATIONS = [(service, name) for service, operations in SERVICES.items() for name in operations]


def published(service: str) -> Any:
    return sdk().get_service_model(service)


def assert_same(ours: Shape, theirs: Any) -> None:
    """Compare a shape with the model's, member by member."""
    limits = {"min": theirs.metadata.get("min"), "max": theirs.metadata.get("max")}
    assert "pattern" not in theirs.metadata
    match ours:
        case Structure():
            assert theirs.type_name == "structure"
            members = {
                name: shape
                for name, shape in theirs.members.items()
                if shape.serialization.get("location") != "header"
            }
            assert set(ours.members) == set(members)
            assert ours.required == set(theirs.required_members) & set(members)
            assert ours.union == theirs.is_tagged_union
            for name, shape in members.items():
                assert_same(ours.members[name], shape)
        case ListOf():
            assert (theirs.type_name, ours.min, ours.max) == ("list", limits["min"], limits["max"])
            assert_same(ours.member, theirs.member)
        case MapOf():
            assert theirs.type_name == "map"
            assert_same(ours.key, theirs.key)
            assert_same(ours.value, theirs.value)
        case String():
            assert theirs.type_name == "string"
            assert {"min": ours.min, "max": ours.max} == limits
            assert ours.enum == tuple(theirs.enum)
        case Integer():
            assert theirs.type_name in ("integer", "long")
            assert {"min": ours.min, "max": ours.max} == limits
        case Boolean():
            assert theirs.type_name == "boolean"
        case Document():
            assert theirs.name == "SegmentAttributeValue"


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_an_operation_is_the_published_one(service: str, name: str) -> None:
    """Method, path, input and errors, and their statuses, are the model's."""
    ours, theirs = SERVICES[service][name], published(service).operation_model(name)
    assert (ours.method, ours.path) == (theirs.http["method"], theirs.http["requestUri"])
    assert_same(ours.input, theirs.input_shape)
    statuses = {
        shape.name: shape.metadata["error"]["httpStatusCode"] for shape in theirs.error_shapes
    }
    assert {code: STATUS[code] for code in ours.errors} == statuses


def test_every_operation_of_the_participant_service_is_there() -> None:
    """The emulator has all operations that the model has."""
    assert set(PARTICIPANT_SERVICE) == set(published("connectparticipant").operation_names)
