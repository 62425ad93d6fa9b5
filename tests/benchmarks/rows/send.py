"""SendMessage, one after the other and 50 at once, against aiobotocore at the same service."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from connect_chat import ConnectChatError, ParticipantClient
from tests.benchmarks.load import Address, connection_token, load
from tests.benchmarks.rounds import in_turn
from tests.benchmarks.row import Missing, Row

__all__ = ["measure"]

Send = Callable[[], Awaitable[Any]]

_CALLS = 500
_AT_ONCE = 50
_TARGETS = {"default": 0.6, "aiohttp": 0.3}
_SIGNED = "aiobotocore, whose requests are signed unless one forbids it"
_UNSIGNED = "aiobotocore with signature_version=UNSIGNED"


def measure(rounds: int) -> list[Row | Missing]:
    """Return the rows: each transport, each way."""
    with load() as process:
        return asyncio.run(_measure(process.address, rounds))


async def _measure(address: Address, rounds: int) -> list[Row | Missing]:
    rows: list[Row | Missing] = []
    async with AsyncExitStack() as stack:
        theirs = await _aiobotocore(address, stack, signed=True)
        if isinstance(theirs, str):
            return [Missing("send", theirs)]
        unsigned = await _aiobotocore(address, stack, signed=False)
        senders: dict[str, Send] = {}
        for transport in _TARGETS:
            ours = await _ours(address, transport, stack)
            if isinstance(ours, str):
                rows.append(Missing(f"send.{transport}", ours))
            else:
                senders[transport] = ours
        for way, called, how in (
            (_one_by_one, "sequential", "one after the other"),
            (_all_at_once, "at-once", f"{_AT_ONCE} at once"),
        ):
            measures = [partial(way, send) for send in (*senders.values(), unsigned, theirs)]
            *costs, without, reference = await in_turn(rounds, *measures)
            for transport, cost in zip(senders, costs, strict=True):
                name, what = f"send.{transport}.{called}", f"CPU of a send_message, {how}"
                target = _TARGETS[transport]
                rows += [
                    Row(name, what, _SIGNED, "µs", cost, reference, "cost", target),
                    Row(f"{name}.unsigned", "the same", _UNSIGNED, "µs", cost, without, "cost"),
                ]
    return rows


async def _one_by_one(send: Send) -> float:
    gc.collect()
    began = time.process_time()
    for _ in range(_CALLS):
        await send()
    return (time.process_time() - began) / _CALLS * 1e6


async def _all_at_once(send: Send) -> float:
    gc.collect()
    began = time.process_time()
    for _ in range(_CALLS // _AT_ONCE):
        await asyncio.gather(*(send() for _ in range(_AT_ONCE)))
    return (time.process_time() - began) / _CALLS * 1e6


_TOKEN = connection_token(0)
_TEXT = "Hello, this is what a participant says."


async def _ours(address: Address, transport: str, stack: AsyncExitStack) -> Send | str:
    """Return what sends through ours, or why that cannot be had."""
    options: dict[str, Any] = {} if transport == "default" else {"http": transport}
    try:
        client = ParticipantClient(endpoint_url=address.url(), quota=None, **options)
    except (AttributeError, TypeError, ImportError, ConnectChatError) as error:
        return f'ParticipantClient(http="{transport}") is not available: {error}'
    await stack.enter_async_context(client)
    return lambda: client.send_message(_TOKEN, _TEXT)


async def _aiobotocore(address: Address, stack: AsyncExitStack, *, signed: bool) -> Send | str:
    """Return what sends through aiobotocore, or why that cannot be had."""
    try:
        from aiobotocore.config import AioConfig
        from aiobotocore.session import get_session
        from botocore import UNSIGNED
    except ImportError as error:
        return f"aiobotocore is not installed: {error}"
    client = await stack.enter_async_context(
        get_session().create_client(
            "connectparticipant",
            region_name="us-east-1",
            endpoint_url=address.url(),
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=None if signed else AioConfig(signature_version=UNSIGNED),
        )
    )
    return lambda: client.send_message(
        ConnectionToken=_TOKEN, Content=_TEXT, ContentType="text/plain"
    )
