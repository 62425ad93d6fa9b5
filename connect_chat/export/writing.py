"""Writes a transcript to a file, item by item, so that its length costs no memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Literal, Protocol, TextIO

from connect_chat.errors import InvalidRequestError
from connect_chat.export.html import HtmlWriter
from connect_chat.export.markdown import MarkdownWriter
from connect_chat.items import Item

__all__ = ["TranscriptFormat", "export_transcript"]

TranscriptFormat = Literal["html", "markdown", "jsonl"]


class _Writer(Protocol):
    """One format: what comes before the items, what each of them adds, what comes after."""

    def begin(self) -> str: ...
    def item(self, item: Item) -> str: ...
    def end(self) -> str: ...


async def export_transcript(
    items: Iterable[Item] | AsyncIterable[Item],
    file: TextIO,
    *,
    format: TranscriptFormat = "html",
    title: str = "Chat transcript",
) -> None:
    """Write what was said in a chat to a file, for people or for programs.

    ::

        with open("chat.html", "w", encoding="utf-8") as file:
            await export_transcript(chat.history(order="oldest"), file)

    Items that the transcript does not keep (typing, receipts) are left out, so that it does not
    matter where the items are from.

    Args:
        items: The items, oldest first, of one contact or of several. They are read one by one.
        file: Where to write; its encoding should be UTF-8.
        format: ``"html"``, a page of its own that loads nothing; ``"markdown"``; or ``"jsonl"``,
            one item a line in the service's spelling, which `parse_item` reads back.
        title: What stands above the page or the Markdown.

    Raises:
        InvalidRequestError: There is no such format.
    """
    writers: dict[TranscriptFormat, _Writer] = {
        "html": HtmlWriter(title),
        "markdown": MarkdownWriter(title),
        "jsonl": _JsonLines(),
    }
    if format not in writers:
        raise InvalidRequestError("format", f"one of {', '.join(writers)}")
    writer = writers[format]
    _write(file, writer.begin())
    async for item in _each(items):
        if item.in_transcript:
            _write(file, writer.item(item))
    _write(file, writer.end())


class _JsonLines:
    """JSON Lines: the items as they came."""

    def begin(self) -> str:
        return ""

    def item(self, item: Item) -> str:
        # An item that was made by hand, such as a `ChatEnded` that was inferred, has no raw.
        raw = item.raw or item.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(raw, ensure_ascii=False) + "\n"

    def end(self) -> str:
        return ""


async def _each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def _write(file: TextIO, text: str) -> None:
    # JSON can spell halves of characters, which no encoding can write.
    file.write(text.encode("utf-8", "replace").decode("utf-8"))
