"""A chat at an emulator behind a proxy, and sessions of its customer."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

import httpx
import trustme

from connect_chat import (
    ChatEnded,
    ChatSession,
    Item,
    ItemReader,
    Message,
    ParticipantClient,
    SessionOptions,
    Trace,
)
from connect_chat.emulator import EmulatedParticipant, Emulator, EmulatorSettings, StartedChat

from .proxy import Proxy

PATIENCE = 10.0
"""Seconds after which a test that waits has failed; nothing waits that long when all is well."""

_QUICK: dict[str, Any] = {
    "connect_timeout": 5.0,
    "give_up_after": 10.0,
    "backoff_base": 0.02,
    "backoff_cap": 0.1,
    "open_timeout": 1.0,
    "retire_timeout": 1.0,
    "merge_wait": 10.0,
    "relooks": (0.05, 0.2),
    "reorder_window": 0.01,
    "disconnect_timeout": 2.0,
}


def quick(**changes: Any) -> SessionOptions:
    """Return options with which nothing waits for long; liveness is by default as in real life."""
    return SessionOptions(**(_QUICK | changes))


def compressed(factor: float) -> SessionOptions:
    """Return the default options with all their times divided by ``factor``."""
    default = SessionOptions()
    times = {
        name: getattr(default, name) / factor
        for name in SessionOptions.__slots__
        if isinstance(getattr(default, name), float)
    }
    return SessionOptions(
        **times,
        relooks=tuple(seconds / factor for seconds in default.relooks),
    )


class Traces:
    """What a session told about its connection, with the loop's time, to be waited for."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, Trace]] = []
        self._told = asyncio.Event()

    def __call__(self, trace: Trace) -> None:
        self.seen.append((asyncio.get_running_loop().time(), trace))
        self._told.set()

    def times(self, event: str) -> list[float]:
        """Return when an event happened."""
        return [at for at, trace in self.seen if trace.event == event]

    def count(self, event: str) -> int:
        return len(self.times(event))

    async def wait(self, event: str, count: int = 1) -> float:
        """Wait until an event has happened so often; return when."""
        async with asyncio.timeout(PATIENCE):
            while self.count(event) < count:
                self._told.clear()
                await self._told.wait()
        return self.times(event)[count - 1]


@dataclass
class Rig:
    """A started chat, and what it takes to talk in it."""

    emulator: Emulator
    proxy: Proxy
    client: ParticipantClient
    chat: StartedChat
    traces: Traces = field(default_factory=Traces)

    @property
    def contact_id(self) -> str:
        return self.chat.contact_id

    def session(self, token: str | None = None, **arguments: Any) -> ChatSession:
        """Return a session of the customer, or of whose token it is."""
        defaults = {"client": self.client, "options": quick(), "on_trace": self.traces}
        return ChatSession(token or self.chat.participant_token, **(defaults | arguments))

    async def agent(self, name: str = "Jane") -> EmulatedParticipant:
        return await self.emulator.join(self.contact_id, display_name=name)

    async def control(self, path: str, **members: Any) -> dict[str, Any]:
        """Call the control plane."""
        async with httpx.AsyncClient(verify=False, trust_env=False) as http:
            body = {"InstanceId": str(uuid4()), "ContactId": self.contact_id, **members}
            answer = await http.post(self.emulator.url + path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def participant_token(self, role: str) -> str:
        """Create a participant that is not in this process."""
        details = {"ParticipantRole": role, "DisplayName": "Another"}
        created = await self.control("/contact/create-participant", ParticipantDetails=details)
        return created["ParticipantCredentials"]["ParticipantToken"]

    def said(self) -> list[str]:
        """Return the messages in the transcript, in order."""
        items = self.emulator.transcript(self.contact_id)
        return [item["Content"] for item in items if item["Type"] == "MESSAGE"]

    async def disconnected(self) -> None:
        """Wait until the emulator has no websocket of the chat any more."""
        await until(lambda: self.emulator.open_connections(self.contact_id) == 0)


@asynccontextmanager
async def running(
    *,
    ca: trustme.CA | None = None,
    clock: Callable[[], float] = time.time,
    http: Literal["aiohttp"] | None = None,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """Run an emulator behind a proxy, and start a chat.

    Args:
        ca: Who signs the emulator's certificate and is trusted by the client; None for no TLS.
        clock: The emulator's clock.
        http: What the client makes its calls with.
        **settings: The emulator's settings.
    """
    with _certificate(ca) as pem:
        async with (
            Emulator(
                settings=EmulatorSettings(**settings), ssl_certfile=pem, clock=clock
            ) as emulator,
            Proxy(emulator.url) as proxy,
            ParticipantClient(
                endpoint_url=proxy.url, quota=None, ssl_context=trusting(ca), http=http
            ) as client,
        ):
            chat = await emulator.start_chat(display_name="Ana")
            yield Rig(emulator, proxy, client, chat)


def trusting(ca: trustme.CA | None) -> ssl.SSLContext:
    """Return a context that trusts nobody but ``ca``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is not None:
        ca.configure_trust(context)
    return context


def _certificate(ca: trustme.CA | None) -> AbstractContextManager[str | None]:
    if ca is None:
        return nullcontext()
    return ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.tempfile()


def whole_seconds() -> float:
    """Return the time as a Date header gives it.

    A connection's lifetime is ConnectionExpiry less Date. Where it is a few seconds, the fraction
    that the header leaves out would count, so the emulator's clock leaves it out, too.
    """
    return float(int(time.time()))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody tells us of, such as the emulator's noticing that a socket is gone."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def texts(reader: ItemReader, count: int) -> list[str]:
    """Return the texts of the next ``count`` messages; other items in between are dropped."""
    found: list[str] = []
    while len(found) < count:
        item = await reader.receive(PATIENCE)
        if isinstance(item, Message):
            found.append(item.text)
    return found


async def rest(reader: ItemReader) -> list[Item]:
    """Return everything up to the chat's end, which must be the last."""
    async with asyncio.timeout(PATIENCE):
        items = [item async for item in reader]
    assert isinstance(items[-1], ChatEnded)
    return items


def messages(items: Iterable[Item]) -> list[str]:
    return [item.text for item in items if isinstance(item, Message)]


def numbered(count: int) -> list[str]:
    return [f"message {number}" for number in range(count)]
