"""Writes a transcript as one HTML page that needs nothing else: no script, no network.

Everything that somebody wrote goes through `_text`; on top of that the page's policy forbids
scripts and whatever would be loaded from elsewhere, so that reading a chat tells nobody of it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from html import escape
from importlib.resources import files
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
from connect_chat.export.markup import is_web_url
from connect_chat.export.narrative import Narrator
from connect_chat.items import Item

__all__ = ["HtmlWriter"]

_TAGS = {"strong": "strong", "emphasis": "em", "code": "code"}
_CLASSES = {
    "AGENT": "agent",
    "CUSTOMER": "customer",
    "CUSTOM_BOT": "bot",
    "SUPERVISOR": "supervisor",
    "SYSTEM": "system",
}


class HtmlWriter:
    """A page, piece by piece.

    Args:
        title: What stands above it.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._narrator = Narrator()

    def begin(self) -> str:
        """Return what comes before the items."""
        style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
        digest = b64encode(sha256(style.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'"
        title = _text(self._title)
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="referrer" content="no-referrer">\n'
            '<meta name="robots" content="noindex">\n'
            f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
            f'<header class="page"><h1 dir="auto">{title}</h1>'
            "<p>Times are in UTC.</p></header>\n"
        )

    def item(self, item: Item) -> str:
        """Return what an item adds."""
        return "".join(f"{_entry(entry)}\n" for entry in self._narrator.tell(item))

    def end(self) -> str:
        """Return what comes after the items."""
        summary = _text(self._narrator.summary())
        return f'<footer class="page"><p>{summary}</p></footer>\n</main>\n</body>\n</html>\n'


def _text(text: str) -> str:
    return escape(text, quote=True)


def _entry(entry: Entry) -> str:
    match entry:
        case ContactBegins(contact_id):
            return f'<p class="contact">Contact <code>{_text(contact_id)}</code></p>'
        case DayBegins(day):
            shown = f"{day:%A}, {day.day} {day:%B %Y}"
            return f'<h2><time datetime="{day.isoformat()}">{shown}</time></h2>'
        case Happened(time, text):
            return f'<p class="event"><bdi>{_text(text)}</bdi>{_time(time)}</p>'
        case Said():
            return _said(entry)
    assert_never(entry)


def _said(said: Said) -> str:
    kind = _CLASSES.get(said.role, "other")
    blocks = "".join(map(_block, said.blocks))
    head = ""
    if not said.goes_on:
        title = f'<span class="role">{_text(said.title)}</span>' if said.title else ""
        head = f"<header><bdi>{_text(said.name)}</bdi>{title}</header>"
    more = " more" if said.goes_on else ""
    return (
        f'<article class="{kind}{more}">{head}'
        f'<div class="line"><div class="said">{blocks}</div>{_time(said.time)}</div></article>'
    )


def _time(time: datetime | None) -> str:
    if time is None:
        return ""
    return f'<time datetime="{time.isoformat()}" title="{time:%H:%M:%S} UTC">{time:%H:%M}</time>'


def _block(block: Block) -> str:
    match block:
        case Paragraph(content):
            return f'<p dir="auto">{_spans(content)}</p>'
        case ListOf(numbered, items):
            tag = "ol" if numbered else "ul"
            entries = "".join(f'<li dir="auto">{_spans(item)}</li>' for item in items)
            return f"<{tag}>{entries}</{tag}>"
        case Code(text):
            return f"<pre>{_text(text)}</pre>"
        case FileListed(name, details):
            extension = name.rpartition(".")[2][:4].upper() if "." in name else "FILE"
            more = f"<small>{_text(details)}</small>" if details else ""
            return (
                f'<div class="file"><span class="type" aria-hidden="true">{_text(extension)}</span>'
                f"<span><bdi>{_text(name)}</bdi>{more}</span></div>"
            )
        case Card():
            return _card(block)
        case Row(cards):
            return f'<div class="row">{"".join(map(_card, cards))}</div>'
    assert_never(block)


def _card(card: Card) -> str:
    subtitle = (
        f'<p class="subtitle" dir="auto">{_spans(card.subtitle)}</p>' if card.subtitle else ""
    )
    options = "".join(map(_option, card.options))
    return (
        f'<div class="card"><p class="title" dir="auto">{_spans(card.title)}</p>{subtitle}'
        + (f"<ul>{options}</ul>" if options else "")
        + "</div>"
    )


def _option(option: Option) -> str:
    title = _spans(option.title)
    if option.url is not None and is_web_url(option.url):
        title = _link(option.url, _spans(option.title, linked=True))
    subtitle = f"<small>{_spans(option.subtitle)}</small>" if option.subtitle else ""
    return f'<li dir="auto">{title}{subtitle}</li>'


def _spans(spans: Iterable[Span], *, linked: bool = False) -> str:
    """Return spans; within a link, other links are only text."""
    return "".join(_span(span, linked) for span in spans)


def _span(span: Span, linked: bool) -> str:
    match span:
        case str():
            return _text(span)
        case Styled(style, content):
            tag = _TAGS[style]
            return f"<{tag}>{_spans(content, linked=linked)}</{tag}>"
        case Link(url, content):
            inner = _spans(content, linked=True)
            return inner if linked else _link(url, inner)
    assert_never(span)


def _link(url: str, inner: str) -> str:
    return f'<a href="{_text(url)}" rel="noopener noreferrer nofollow">{inner}</a>'
