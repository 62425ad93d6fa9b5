"""What ours is compared with: the least that a program without this library would do."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from pydantic_core import from_json
from websockets.asyncio.client import ClientConnection, connect

from tests.benchmarks.load import Address
from tests.benchmarks.rounds import at_most

__all__ = ["HEARTBEAT", "PING", "bare_socket", "bare_sockets", "item_of"]

_SUBSCRIBE = '{"topic":"aws/subscribe","content":{"topics":["aws/chat"]}}'
HEARTBEAT = '{"topic":"aws/heartbeat"}'
PING = '{"topic":"aws/ping"}'


async def bare_socket(url: str, context: ssl.SSLContext | None = None) -> ClientConnection:
    """Return a websocket of the ``websockets`` library, subscribed, with nothing around it."""
    socket = await connect(url, ssl=context, compression=None, ping_interval=None, proxy=None)
    await socket.send(_SUBSCRIBE)
    answer = from_json(await socket.recv())
    if answer["content"]["status"] != "success":
        raise RuntimeError(f"not subscribed: {answer}")
    return socket


@asynccontextmanager
async def bare_sockets(
    address: Address, chats: Sequence[int], context: ssl.SSLContext | None = None
) -> AsyncIterator[list[ClientConnection]]:
    """Hold such websockets, with TLS if there is a context."""
    tls = context is not None
    opened = await at_most(
        25,
        [partial(bare_socket, address.websocket(chat, tls=tls), context) for chat in chats],
    )
    try:
        yield opened
    finally:
        await at_most(25, [socket.close for socket in opened])


def item_of(text: str | bytes) -> Any:
    """Return the item in a frame: both layers of JSON parsed, and nothing else."""
    return from_json(from_json(text)["content"])
