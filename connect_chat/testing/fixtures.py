"""The fixtures. What they need is imported when the first of them is used."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    import asyncio

    from connect_chat import ChatSession, ParticipantClient
    from connect_chat.emulator import EmulatedParticipant, Emulator, StartedChat
    from connect_chat.emulator.faults import Fault
    from connect_chat.emulator.scenarios import Scenario

__all__ = [
    "_connect_runner",
    "chat_agent",
    "chat_session",
    "connect_client",
    "connect_emulator",
    "started_chat",
]

F = TypeVar("F", bound=Callable[..., Any])

# Those of pytest-asyncio are ordinary ones with a mark, without which it would not run them.
fixture: Callable[[F], F] = (sys.modules.get("pytest_asyncio") or pytest).fixture


@pytest.fixture
def _connect_runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """What runs a test, and its fixtures before and after it."""
    import asyncio

    from connect_chat.testing.virtual_time import VirtualTimeLoop

    with asyncio.Runner(loop_factory=VirtualTimeLoop if _is_virtual(request) else None) as runner:
        yield runner


@fixture
async def connect_emulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Emulator]:
    """A running emulator, with the settings, the faults and the scenario of the test's markers."""
    import asyncio

    from connect_chat.emulator import Emulator, EmulatorSettings
    from connect_chat.testing.virtual_time import VirtualTimeLoop

    loop = asyncio.get_running_loop()
    virtual = isinstance(loop, VirtualTimeLoop)
    if _is_virtual(request) and not virtual:
        pytest.fail(
            "virtual time needs an event loop of its own: do not let pytest-asyncio or anyio run "
            "this test (remove their marker, or turn off their auto mode)",
            pytrace=False,
        )
    settings: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("connect_settings"))):
        settings |= mark.kwargs
    async with Emulator(
        settings=EmulatorSettings(**settings),
        scenario=_scenario(request),
        clock=loop.wall_time if isinstance(loop, VirtualTimeLoop) else time.time,
    ) as emulator:
        for mark in reversed(list(request.node.iter_markers("connect_fault"))):
            emulator.inject(_fault(mark))
        for service in ("CONNECTPARTICIPANT", "CONNECT"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", emulator.url)
        yield emulator


@fixture
async def connect_client(connect_emulator: Emulator) -> AsyncIterator[ParticipantClient]:
    """A client of the emulator."""
    from connect_chat import ParticipantClient

    async with ParticipantClient(endpoint_url=connect_emulator.url) as client:
        yield client


@fixture
async def started_chat(connect_emulator: Emulator) -> StartedChat:
    """A chat whose customer has not connected yet."""
    return await connect_emulator.start_chat()


@fixture
async def chat_session(
    started_chat: StartedChat, connect_client: ParticipantClient
) -> AsyncIterator[ChatSession]:
    """The chat as its customer has it, connected."""
    from connect_chat import ChatSession

    async with ChatSession(
        started_chat.participant_token,
        client=connect_client,
        participant_id=started_chat.participant_id,
    ) as session:
        yield session


@fixture
async def chat_agent(connect_emulator: Emulator, started_chat: StartedChat) -> EmulatedParticipant:
    """An agent who has joined the chat."""
    return await connect_emulator.join(started_chat.contact_id)


def _is_virtual(request: pytest.FixtureRequest) -> bool:
    mark = request.node.get_closest_marker("connect_time")
    mode = mark.args[0] if mark and mark.args else request.config.getini("connect_time")
    if mode not in ("real", "virtual"):
        raise pytest.UsageError(f"connect_time is 'real' or 'virtual'; got {mode!r}")
    return bool(mode == "virtual")


def _fault(mark: pytest.Mark) -> Fault:
    from connect_chat.emulator.faults import STRIKING, Fault, parse_fault

    match mark.args:
        case (Fault() as fault,):
            pass
        case (str() as kind,):
            fault = parse_fault({"kind": kind, **mark.kwargs})
        case _:
            raise pytest.UsageError("connect_fault takes a fault, or a kind and its fields")
    if isinstance(fault, STRIKING) and not fault.after:
        raise pytest.UsageError(
            f"{type(fault).__name__} strikes what is there when it begins, and before the test "
            "nothing is: give it after=seconds, or inject it in the test"
        )
    return fault


def _scenario(request: pytest.FixtureRequest) -> Scenario | None:
    from connect_chat.emulator import scenarios

    mark = request.node.get_closest_marker("connect_scenario")
    if mark is None:
        return None
    (given,) = mark.args
    return given if isinstance(given, scenarios.Scenario) else scenarios.load(given)
