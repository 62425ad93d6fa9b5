"""From a participant's token to a subscribed websocket, against the two requests that it takes."""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

import httpx
from websockets.asyncio.client import ClientConnection

from connect_chat import ChatSession, ParticipantClient, SessionOptions
from tests.benchmarks.load import Load, connection_token, load, participant_token
from tests.benchmarks.reference import bare_socket
from tests.benchmarks.rounds import at_most, in_turn
from tests.benchmarks.row import Missing, Row
from tests.benchmarks.sessions import client_at, session

__all__ = ["measure"]

T = TypeVar("T")

_COUNT = 500
_AT_ONCE = 25
_ROUNDS = 3
# The later looks at the transcript would fall into the measurement of others' connections.
_OPTIONS = SessionOptions(relooks=())
_BARE = "httpx POST + websockets handshake"
_READING = f"{_BARE} + one GetTranscript"
_NOTE = (
    f"{_COUNT} chats, {_AT_ONCE} at a time, one client each side. Ours also reads each chat's "
    "transcript once it is subscribed, of which most falls into the measurement."
)


def measure(rounds: int) -> list[Row | Missing]:
    """Return the rows: plain, and over TLS."""
    with load() as process:
        return [
            row for tls in (False, True) for row in asyncio.run(_measure(process, rounds, tls=tls))
        ]


async def _measure(process: Load, rounds: int, *, tls: bool) -> list[Row]:
    context = process.address.ssl_context() if tls else None
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(client_at(process.address, context))
        bare = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=process.address.url(tls=tls), verify=context or False, trust_env=False
            )
        )
        measures = [
            partial(_sessions, process, client),
            partial(_bare, process, bare, context, reading=False),
        ]
        if not tls:
            measures.append(partial(_bare, process, bare, context, reading=True))
        ours, reference, *reading = await in_turn(min(rounds, _ROUNDS), *measures)
    name = "connect.tls" if tls else "connect.plain"
    what = f"CPU from token to subscribed, {'wss' if tls else 'ws'}"
    rows = [Row(name, what, _BARE, "µs", ours, reference, "cost", 1.3, _NOTE)]
    rows += [Row(f"{name}.reading", "the same", _READING, "µs", ours, read, "cost")
             for read in reading]  # fmt: skip
    return rows


async def _sessions(process: Load, client: ParticipantClient) -> float:
    sessions = [session(client, chat, _OPTIONS) for chat in process.new_chats(_COUNT)]
    used, entered = await _timed([one.__aenter__ for one in sessions])
    await at_most(_AT_ONCE, [partial(_leave, chat) for chat in entered])
    return used


async def _leave(chat: ChatSession) -> None:
    await chat.__aexit__(None, None, None)


async def _bare(
    process: Load, client: httpx.AsyncClient, context: ssl.SSLContext | None, *, reading: bool
) -> float:
    async def open_one(chat: int) -> ClientConnection:
        asked = {"Type": ["WEBSOCKET", "CONNECTION_CREDENTIALS"]}
        members = await post("/participant/connection", participant_token(chat), asked)
        socket = await bare_socket(members["Websocket"]["Url"], context)
        if reading:
            query = {"MaxResults": 100, "ScanDirection": "BACKWARD", "SortOrder": "ASCENDING"}
            await post("/participant/transcript", connection_token(chat), query)
        return socket

    async def post(path: str, token: str, asked: dict[str, Any]) -> Any:
        answer = await client.post(path, headers={"X-Amz-Bearer": token}, json=asked)
        return answer.raise_for_status().json()

    chats = process.new_chats(_COUNT)
    used, sockets = await _timed([partial(open_one, chat) for chat in chats])
    await at_most(_AT_ONCE, [socket.close for socket in sockets])
    return used


async def _timed(connect: Sequence[Callable[[], Awaitable[T]]]) -> tuple[float, list[T]]:
    """Return the microseconds of CPU that a connection took, and the connections."""
    gc.collect()
    began = time.process_time()
    connected = await at_most(_AT_ONCE, connect)
    return (time.process_time() - began) / len(connect) * 1e6, connected
