"""Sessions at the load's process."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial

from connect_chat import ChatSession, ParticipantClient, SessionOptions
from tests.benchmarks.load import Address, participant_token
from tests.benchmarks.rounds import at_most

__all__ = ["client_at", "enter_sessions", "session"]

_US = "cccccccc-0000-4000-8000-000000000000"
"""Our participant. It says nothing in the benchmarks' chats, so every item is for us."""


def client_at(address: Address, context: ssl.SSLContext | None = None) -> ParticipantClient:
    """Return a client without pacing, with TLS if there is a context."""
    url = address.url(tls=context is not None)
    return ParticipantClient(endpoint_url=url, quota=None, ssl_context=context)


def session(client: ParticipantClient, chat: int, options: SessionOptions) -> ChatSession:
    """Return the session of a chat."""
    return ChatSession(participant_token(chat), client=client, participant_id=_US, options=options)


@asynccontextmanager
async def enter_sessions(
    client: ParticipantClient, chats: Iterable[int], options: SessionOptions, *, at_once: int = 5
) -> AsyncIterator[list[ChatSession]]:
    """Hold sessions, each connected and with its first item received."""
    sessions = [session(client, chat, options) for chat in chats]

    async def enter(one: ChatSession) -> None:
        await one.__aenter__()
        await one.receive(30)

    try:
        await at_most(at_once, [partial(enter, one) for one in sessions])
        yield sessions
    finally:
        await at_most(25, [partial(one.__aexit__, None, None, None) for one in sessions])
