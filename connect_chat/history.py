"""Back through the transcript of a chat and, in a persistent chat, through its past contacts.

The service tells the past in one way only: page by page BACKWARD, each page named by the one
before. A start position does not reach past contacts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Literal, get_args

from pydantic_core import from_json, to_json

from connect_chat.client import ParticipantClient
from connect_chat.driver import Driver
from connect_chat.engine.queues import Priority
from connect_chat.errors import InvalidRequestError, ValidationException
from connect_chat.items import Item, parse_item
from connect_chat.shapes import GetTranscriptResponse

__all__ = ["HistoryOrder", "walk"]

HistoryOrder = Literal["newest", "oldest"]

_IN_MEMORY = 4 * 1024 * 1024
_REMEMBERED = 1000
_LENGTH = 4


async def walk(
    driver: Driver, client: ParticipantClient, *, order: HistoryOrder, page_size: int
) -> AsyncGenerator[Item]:
    """See `ChatSession.history`."""
    if order not in get_args(HistoryOrder):
        raise InvalidRequestError("order", f"one of {', '.join(get_args(HistoryOrder))}")
    if not 1 <= page_size <= 100:
        raise InvalidRequestError("page_size", "1 to 100", size=page_size)
    newest = _Backward(driver, client, page_size).items()
    async with aclosing(newest if order == "newest" else _reversed(newest)) as items:
        async for item in items:
            mine = driver.engine.echoes.is_mine(item)
            yield item.model_copy(update={"from_me": True}) if mine else item


class _Backward:
    """All items, newest first.

    A NextToken may expire while the consumer takes its time. Since it is the only way into past
    contacts, the walk begins anew then, and passes over what it has given.
    """

    def __init__(self, driver: Driver, client: ParticipantClient, page_size: int) -> None:
        self._driver = driver
        self._client = client
        self._page_size = page_size
        self._given: OrderedDict[str, None] = OrderedDict()
        self._last: datetime | None = None
        # After a new beginning, the last item that had been given.
        self._resumed_at: datetime | None = None

    async def items(self) -> AsyncGenerator[Item]:
        next_token: str | None = None
        fresh = False  # whether there was anything new since the (new) beginning
        while True:
            try:
                page = await self._page(next_token)
            except ValidationException:
                if next_token is None or not fresh:
                    raise
                next_token, fresh = None, False
                self._resumed_at = self._last
                continue
            for item in page.transcript:
                if not self._was_given(item):
                    fresh = True
                    self._note(item)
                    yield item
            next_token = page.next_token
            if next_token is None:
                return

    async def _page(self, next_token: str | None) -> GetTranscriptResponse:
        return await self._driver.call(
            lambda bearer: self._client.get_transcript(
                bearer,
                max_results=self._page_size,
                next_token=next_token,
                scan_direction="BACKWARD",
                sort_order="DESCENDING",
                priority=Priority.HISTORY,
            )
        )

    def _was_given(self, item: Item) -> bool:
        if item.id in self._given:
            return True
        return (
            self._resumed_at is not None
            and item.absolute_time is not None
            and item.absolute_time > self._resumed_at
        )

    def _note(self, item: Item) -> None:
        self._last = item.absolute_time or self._last
        if item.id is not None:
            self._given[item.id] = None
            if len(self._given) > _REMEMBERED:
                self._given.popitem(last=False)


async def _reversed(items: AsyncIterator[Item]) -> AsyncGenerator[Item]:
    """Yield items in reverse, of which memory holds little.

    They are written one after the other, each followed by its length, and read from the end.
    Writing one to the page cache takes less time than handing it to a thread would.
    """
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        async for item in items:
            record = to_json(item.raw)
            spool.write(record + len(record).to_bytes(_LENGTH, "big"))
        end = spool.tell()
        while end:
            spool.seek(end - _LENGTH)
            size = int.from_bytes(spool.read(_LENGTH), "big")
            end -= _LENGTH + size
            spool.seek(end)
            yield parse_item(from_json(spool.read(size)))
