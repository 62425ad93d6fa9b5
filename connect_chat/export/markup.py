"""Reads the Markdown that chats carry: as much of it as the service documents, and nothing raw.

Bold, italics, code, links and lists; everything else, HTML included, is text. What comes out is a
tree, so that nothing of a message can reach a page but through the page's own escaping.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from connect_chat.export.document import Block, Link, ListOf, Paragraph, Span, Styled

__all__ = ["LINE_END", "is_web_url", "read_markdown", "read_spans"]

LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
"""What ends a line besides ``\\n``, to some reader or other."""

_DEEPEST = 4
"""How deep styles may be nested; what lies deeper is text."""

# Bounded, so that no text takes longer than a multiple of its length.
_SPAN = re.compile(
    r"""
      \\(?P<literal>[!-/:-@\[-`{-~])
    | `(?P<code>[^`\n]{1,1000})`
    | \*\*(?P<strong>(?=\S)[^\n]{1,1000}?(?<=\S))\*\*(?!\*)
    | (?<!\w)__(?P<strong_>(?=\S)[^\n]{1,1000}?(?<=\S))__(?!\w)
    | \*(?P<emphasis>(?=[^\s*])[^\n]{1,1000}?(?<=[^\s*]))\*
    | (?<!\w)_(?P<emphasis_>(?=[^\s_])[^\n]{1,1000}?(?<=[^\s_]))_(?!\w)
    | \[(?P<label>[^\[\]\n]{1,1000})\]\((?P<url>https?://[^\s<>()"'`\\]{1,2000})\)
    """,
    re.VERBOSE,
)
_BULLET = re.compile(r"[ \t]{0,6}[-*+][ \t]+(?=\S)")
_NUMBER = re.compile(r"[ \t]{0,6}\d{1,4}[.)][ \t]+(?=\S)")
_HEADING = re.compile(r"#{1,6}[ \t]+(?=\S)")
_WEB_URL = re.compile(r"https?://[^\s<>\"'`\\]{1,2000}")


def is_web_url(url: str) -> bool:
    """Whether a URL may become a link: nothing but ``http`` and ``https`` may."""
    return _WEB_URL.fullmatch(url) is not None


def read_markdown(text: str) -> tuple[Block, ...]:
    """Return the blocks of a message in Markdown."""
    return tuple(_blocks(LINE_END.sub("\n", text).split("\n")))


def _blocks(lines: list[str]) -> Iterator[Block]:
    for kind, group in groupby(lines, _kind):
        several = list(group)
        if kind == "text":
            yield Paragraph(tuple(read_spans("\n".join(several))))
        elif kind == "heading":
            for line in several:
                yield Paragraph((Styled("strong", tuple(read_spans(_HEADING.sub("", line)))),))
        elif kind != "blank":
            mark = _NUMBER if kind == "number" else _BULLET
            items = (mark.sub("", line, count=1) for line in several)
            yield ListOf(kind == "number", tuple(tuple(read_spans(item)) for item in items))


def _kind(line: str) -> str:
    if not line.strip():
        return "blank"
    for kind, mark in (("bullet", _BULLET), ("number", _NUMBER), ("heading", _HEADING)):
        if mark.match(line):
            return kind
    return "text"


def read_spans(text: str, depth: int = 0) -> Iterator[Span]:
    """Yield the spans of a text in Markdown that has no lists."""
    text = LINE_END.sub("\n", text)
    read_to = 0
    for match in _SPAN.finditer(text) if depth < _DEEPEST else ():
        if read_to < match.start():
            yield text[read_to : match.start()]
        read_to = match.end()
        yield _span(match, depth + 1)
    if read_to < len(text):
        yield text[read_to:]


def _span(match: re.Match[str], depth: int) -> Span:
    found = match.groupdict()
    if found["literal"]:
        return str(found["literal"])
    if found["code"]:
        return Styled("code", (found["code"],))
    if found["url"]:
        return Link(found["url"], (found["label"],))
    strong = found["strong"] or found["strong_"]
    inner = strong or found["emphasis"] or found["emphasis_"]
    return Styled("strong" if strong else "emphasis", tuple(read_spans(inner, depth)))
