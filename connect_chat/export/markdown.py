"""Writes a transcript as Markdown (CommonMark) that shows nothing but what was said.

Everything that somebody wrote is escaped, so that it can neither break out of its quotation nor
bring HTML, images or links of its own; the styles and links of messages in Markdown are written
anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import assert_never

from connect_chat.export.document import (
    Block,
    Card,
    Code,
    ContactBegins,
    DayBegins,
    Entry,
    FileListed,
    Happened,
    Link,
    ListOf,
    Option,
    Paragraph,
    Row,
    Said,
    Span,
    Styled,
)
from connect_chat.export.markup import LINE_END, is_web_url
from connect_chat.export.narrative import Narrator
from connect_chat.items import Item

__all__ = ["MarkdownWriter"]

_MARKS = {"strong": "**", "emphasis": "*"}
# An underscore within a word, as in a URL, begins nothing; what follows the last character may be
# a link, which an exclamation mark would turn into an image.
_SPECIAL = re.compile(r"[\\`*\[\]<>#|~]|(?<![^\W_])_|_(?![^\W_])|!\Z|&(?=#?\w+;)")
# A list, a rule, or the underline of a heading.
_AT_LINE_START = re.compile(r"^([ \t]*)(\d*)([-+=.)])(?=[-=\s]|$)", re.MULTILINE)
_TRAILING = re.compile(r"[^\S\n]+$", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)


class MarkdownWriter:
    """A document, piece by piece.

    Args:
        title: What stands above it.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._narrator = Narrator()

    def begin(self) -> str:
        """Return what comes before the items."""
        return f"# {_line(self._title)}\n\nTimes are in UTC.\n"

    def item(self, item: Item) -> str:
        """Return what an item adds."""
        return "".join(f"\n{_entry(entry)}\n" for entry in self._narrator.tell(item))

    def end(self) -> str:
        """Return what comes after the items."""
        return f"\n---\n\n{_line(self._narrator.summary())}\n"


def _entry(entry: Entry) -> str:
    match entry:
        case ContactBegins(contact_id):
            return f"Contact {_line(contact_id)}"
        case DayBegins(day):
            return f"## {day:%A}, {day.day} {day:%B %Y}"
        case Happened(time, text):
            at = "" if time is None else f"{time:%H:%M:%S} · "
            return f"*{at}{_line(text)}*"
        case Said():
            title = f" ({_line(entry.title)})" if entry.title else ""
            at = "" if entry.time is None else f" · {entry.time:%H:%M:%S}"
            blocks = "\n\n".join(map(_block, entry.blocks))
            quoted = "\n".join(f"> {line}".rstrip() for line in blocks.split("\n"))
            return f"**{_line(entry.name)}**{title}{at}\n\n{quoted}"
    assert_never(entry)


def _block(block: Block) -> str:
    match block:
        case Paragraph(content):
            return _paragraph(content)
        case ListOf(numbered, items):
            marks = (f"{number}." if numbered else "-" for number in range(1, len(items) + 1))
            return "\n".join(
                f"{mark} {_flat(item)}" for mark, item in zip(marks, items, strict=True)
            )
        case Code(text):
            return _fenced(text)
        case FileListed(name, details):
            return f"File: **{_line(name)}**" + (f" ({_line(details)})" if details else "")
        case Card():
            return "\n\n".join(_card(block))
        case Row(cards):
            return "\n\n".join(part for card in cards for part in _card(card))
    assert_never(block)


def _card(card: Card) -> Iterator[str]:
    yield f"**{_flat(card.title)}**"
    if card.subtitle:
        yield _paragraph(card.subtitle)
    if card.options:
        yield "\n".join(map(_option, card.options))


def _option(option: Option) -> str:
    title = _flat(option.title)
    if option.url is not None and is_web_url(option.url):
        title = f"[{_flat(option.title, plain=True)}](<{option.url}>)"
    return f"- {title}" + (f" — {_flat(option.subtitle)}" if option.subtitle else "")


def _paragraph(spans: Iterable[Span]) -> str:
    """Return text whose line breaks are kept."""
    text = _TRAILING.sub("", _spans(spans))
    text = _AT_LINE_START.sub(r"\1\2\\\3", text)
    # Four spaces would begin code, in which an escape is no escape.
    text = _INDENT.sub(lambda indent: "\u00a0" * len(indent[0]), text)
    return re.sub(r"(?<=[^\n])\n(?=[^\n])", "\\\\\n", text)


def _flat(spans: Iterable[Span], *, plain: bool = False) -> str:
    """Return text in one line, which begins nothing but text."""
    text = _spans(spans, plain=plain).replace("\n", " ").strip()
    return _AT_LINE_START.sub(r"\1\2\\\3", text)


def _spans(spans: Iterable[Span], *, plain: bool = False) -> str:
    return "".join(_span(span, plain) for span in spans)


def _span(span: Span, plain: bool) -> str:
    match span:
        case str():
            return _escaped(span)
        case Styled("code", content):
            text = "".join(part for part in content if isinstance(part, str))
            return f"`{text}`"
        case Styled(style, content):
            inner = _spans(content, plain=plain)
            return inner if plain else f"{_MARKS[style]}{inner}{_MARKS[style]}"
        case Link(url, content):
            inner = _spans(content, plain=True)
            return inner if plain else f"[{inner}](<{url}>)"
    assert_never(span)


def _line(text: str) -> str:
    return _flat((text,))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", LINE_END.sub("\n", text))


def _fenced(text: str) -> str:
    text = LINE_END.sub("\n", text)
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
