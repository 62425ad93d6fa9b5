"""An emulator with the AWS SDK's own clients and raw websockets at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import botocore.session
import httpx
import pytest
from botocore import xform_name
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError
from websockets.asyncio.client import ClientConnection, connect

from connect_chat.emulator import Emulator, EmulatorSettings, StartedChat
from connect_chat.emulator.model import CONTROL_PLANE

CHAT = "application/vnd.amazonaws.connect."
CONTROL_PLANE_METHODS = {xform_name(operation) for operation in CONTROL_PLANE}
SUBSCRIBE = {"topic": "aws/subscribe", "content": {"topics": ["aws/chat"]}}


@cache
def sdk() -> botocore.session.Session:
    """Return one session for all tests, since loading the models is what takes time."""
    return botocore.session.Session()


def sdk_client(service: str, url: str, **options: Any) -> BaseClient:
    return sdk().create_client(
        service,
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="example",
        config=Config(retries={"total_max_attempts": 1}),
        **options,
    )


def http(base_url: str = "") -> httpx.AsyncClient:
    """Return a client that loads no certificates, which takes longer than most tests."""
    return httpx.AsyncClient(base_url=base_url, verify=False, trust_env=False)


class FakeClock:
    """A wall clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """A running emulator and its callers."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._clients: dict[str, BaseClient] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    async def call(self, operation: str, **members: Any) -> dict[str, Any]:
        """Call an operation, by its SDK name, with the SDK client of its service."""
        service = "connect" if operation in CONTROL_PLANE_METHODS else "connectparticipant"
        if service not in self._clients:  # each takes as long to make as a test to run
            self._clients[service] = sdk_client(service, self.emulator.url)
        client = self._clients[service]
        reply = await asyncio.to_thread(getattr(client, operation), **members)
        assert reply["ResponseMetadata"]["RequestId"]
        return reply

    async def refused(self, code: str, operation: str, **members: Any) -> str:
        """Call an operation that is answered with an error; return its message."""
        with pytest.raises(ClientError) as caught:
            await self.call(operation, **members)
        assert caught.value.response["Error"]["Code"] == code
        return caught.value.response["Error"]["Message"]

    async def connection(self, participant_token: str) -> dict[str, Any]:
        return await self.call(
            "create_participant_connection",
            Type=["WEBSOCKET", "CONNECTION_CREDENTIALS"],
            ParticipantToken=participant_token,
        )

    async def token(self, participant_token: str) -> str:
        """Return a connection token of a participant, who joins by this."""
        reply = await self.call(
            "create_participant_connection",
            Type=["CONNECTION_CREDENTIALS"],
            ConnectParticipant=True,
            ParticipantToken=participant_token,
        )
        return reply["ConnectionCredentials"]["ConnectionToken"]

    async def started(self) -> tuple[StartedChat, str]:
        """Start a chat; return it and a connection token of its customer, who has joined."""
        chat = await self.emulator.start_chat(display_name="Ana")
        return chat, await self.token(chat.participant_token)

    @asynccontextmanager
    async def subscribed(self, participant_token: str) -> AsyncIterator[ClientConnection]:
        url = (await self.connection(participant_token))["Websocket"]["Url"]
        async with opened(url) as websocket:
            await subscribe(websocket)
            yield websocket


@asynccontextmanager
async def running(clock: FakeClock | None = None, **settings: Any) -> AsyncIterator[Rig]:
    options = {} if clock is None else {"clock": clock}
    async with Emulator(settings=EmulatorSettings(**settings), **options) as emulator:
        rig = Rig(emulator)
        try:
            yield rig
        finally:
            rig.close()


def opened(url: str, **options: Any) -> connect:
    return connect(url, ping_interval=None, **options)


async def subscribe(websocket: ClientConnection) -> None:
    await websocket.send(json.dumps(SUBSCRIBE))
    assert json.loads(await websocket.recv()) == {
        "topic": "aws/subscribe",
        "content": {"status": "success", "topics": ["aws/chat"]},
    }


async def item(websocket: ClientConnection) -> dict[str, Any]:
    """Return the next Item that is pushed."""
    async with asyncio.timeout(5):
        frame = json.loads(await websocket.recv())
    assert frame["topic"] == "aws/chat"
    assert frame["contentType"] == "application/json"
    return json.loads(frame["content"])


def kinds(items: list[dict[str, Any]]) -> list[str]:
    """Return what items are: an event's short name, or a message's content."""
    return [
        entry.get("Content") or entry["ContentType"].removeprefix(CHAT + "event.")
        for entry in items
    ]
