"""A chat at an emulator whose storage misbehaves on demand."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connect_chat import ChatSession, ParticipantClient, SessionOptions
from connect_chat.emulator import EmulatedParticipant, Emulator, EmulatorSettings, StartedChat

from .storage_proxy import StorageProxy

DATA = random.Random(7).randbytes(300_000)
"""A file of several pieces, no two of them alike."""

EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


@dataclass
class Rig:
    """A chat whose customer is under test."""

    emulator: Emulator
    proxy: StorageProxy
    client: ParticipantClient
    started: StartedChat
    chat: ChatSession

    def calls(self, operation: str) -> int:
        """Return how often the customer's client has called an operation."""
        return self.client.stats.calls.get(operation, 0)

    def attachments(self) -> list[dict[str, Any]]:
        """Return the files that everybody has been shown."""
        return [
            attachment
            for item in self.emulator.transcript(self.started.contact_id)
            for attachment in item.get("Attachments", ())
        ]

    async def agent(self) -> EmulatedParticipant:
        return await self.emulator.join(self.started.contact_id)

    async def sent(self, name: str = "a.pdf", data: bytes = DATA) -> str:
        """Let an agent send a file; return its id."""
        agent = await self.agent()
        item = await agent.send_file(name, data, content_type="application/pdf")
        assert item.attachments[0].attachment_id is not None
        return item.attachments[0].attachment_id


@asynccontextmanager
async def running(
    options: SessionOptions | None = None,
    *,
    timeout: float = 10.0,
    own: bool = False,
    participant_id: bool = False,
    clock: Callable[[], float] = time.time,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """Run an emulator behind a proxy, and hold a chat.

    Args:
        options: The session's.
        timeout: The client's.
        own: Whether the session delivers what it sent itself.
        participant_id: Whether the session knows its participant.
        clock: The emulator's.
        **settings: The emulator's.
    """
    async with (
        Emulator(settings=EmulatorSettings(**settings), clock=clock) as emulator,
        StorageProxy(emulator.url) as proxy,
        ParticipantClient(endpoint_url=proxy.url, quota=None, timeout=timeout) as client,
    ):
        started = await emulator.start_chat(display_name="Ana")
        async with ChatSession(
            started.participant_token,
            client=client,
            options=options,
            own=own,
            participant_id=started.participant_id if participant_id else None,
        ) as chat:
            yield Rig(emulator, proxy, client, started, chat)


def names(folder: Path) -> list[str]:
    """Return the names in a folder, hidden ones included."""
    return sorted(path.name for path in folder.iterdir())
