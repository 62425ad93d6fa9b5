"""Transcripts as files: what is in them, and that nothing in a chat breaks out of them."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from connect_chat import (
    INTERACTIVE_CONTENT_TYPE,
    INTERACTIVE_RESPONSE_CONTENT_TYPE,
    Carousel,
    ChatEnded,
    Element,
    InvalidRequestError,
    Item,
    ListPicker,
    Location,
    TimePicker,
    TimeSlot,
    ViewResource,
    export_transcript,
    parse_item,
)

_SAMPLES = [
    json.loads(sample["frame"]["content"])
    for sample in map(
        json.loads,
        (Path(__file__).parent / "samples" / "frames.jsonl").read_text("utf-8").splitlines(),
    )
    if sample["frame"].get("topic") == "aws/chat"
]
_EVENT = "application/vnd.amazonaws.connect.event."
_VOID = {"meta"}
_HOSTILE = [
    "<script>alert(1)</script>",
    "</p></div></article><h1>out</h1>",
    '" onmouseover="alert(1)',
    "<img src=https://example.com/x.png onerror=alert(1)>",
    "&lt;b&gt; &amp; &#x3c;",
    "]]><!--",
    "\ud800 half a character",
    "**<b>** [a](javascript:alert(1)) [b](https://example.com/?a=<&b=\"') ![c](https://e.com/d)",
    "`a\r<script>` * _x_ __y__ ***z*** \\",
    "> quoted\n\n# heading\n\n```\n~~~\n- item\n1. one\n---\n===\n| a | b |\n    code",
    "[[[[((((**__**__`` ````",
]


def item(
    content: str | None = None,
    content_type: str = "text/plain",
    *,
    at: str = "2026-03-01T10:00:00.000Z",
    name: str | None = "Ana",
    role: str = "CUSTOMER",
    **more: Any,
) -> Item:
    kind = "EVENT" if content_type.startswith(_EVENT) else "MESSAGE"
    raw = {
        "Type": kind,
        "ContentType": content_type,
        "Content": content,
        "AbsoluteTime": at,
        "DisplayName": name,
        "ParticipantRole": role,
        "ParticipantId": f"id of {name}",
        "ContactId": "c1",
        **more,
    }
    return parse_item(raw)


def event(kind: str, **more: Any) -> Item:
    return item(None, _EVENT + kind, **more)


def file(name: str | None, content_type: str | None, status: str, **more: Any) -> Item:
    attachment = {"AttachmentName": name, "ContentType": content_type, "Status": status}
    return item(None, "application/octet-stream", Type="ATTACHMENT", Attachments=[attachment])


def interactive(template: Any) -> Item:
    content = template if isinstance(template, str) else template.to_content()
    return item(content, INTERACTIVE_CONTENT_TYPE, name="BOT", role="SYSTEM")


def export(items: Any, **options: Any) -> str:
    written = io.StringIO()
    asyncio.run(export_transcript(items, written, **options))
    return written.getvalue()


class _Page(HTMLParser):
    """A page as a browser takes it apart: tags with attributes, and texts; must be balanced."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        pytest.fail("a comment")

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def classes(self) -> list[str]:
        return [attributes["class"] or "" for _, attributes in self.tags if "class" in attributes]


# HTML


def test_a_page_is_one_file_that_loads_nothing():
    """No script, no reference to anything; the policy allows the page's own style only."""
    page = _Page(export(map(parse_item, _SAMPLES)))
    assert "script" not in {tag for tag, _ in page.tags}
    loading = {"src", "srcset", "style", "background", "data", "action"}
    for tag, attributes in page.tags:
        assert not loading & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
        assert "href" not in attributes or tag == "a"
    policies = [a["content"] for _, a in page.tags if a.get("http-equiv")]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/=]{44}'; base-uri 'none'", policies[0]
    )
    style = re.search(r"<style>(.*)</style>", export([]), re.DOTALL)[1]
    assert not re.search(r"url\(|@import|https?:", style)
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_roles_are_told_apart():
    """By name, in words and by class; who goes on speaking is not named again."""
    page = export(
        [
            item("Hi"),
            item("Anybody?"),
            item("Hello", name="Jane", role="AGENT"),
            item("I help", name="Otto", role="CUSTOM_BOT"),
            item("Me too", name="Rui", role="SUPERVISOR"),
            item("Thanks for waiting", name="SYSTEM_MESSAGE", role="SYSTEM"),
            item("?", name=None, role="NEW_ROLE"),
        ]
    )
    kinds = re.findall(r'<article class="([^"]*)">', page)
    assert kinds == ["customer", "customer more", "agent", "bot", "supervisor", "system", "other"]
    heads = re.findall(r"<header>(.*?)</header>", page)
    assert [re.sub("<[^>]*>", " ", head).split() for head in heads] == [
        ["Ana", "Customer"],
        ["Jane", "Agent"],
        ["Otto", "Bot"],
        ["Rui", "Supervisor"],
        ["System"],
        ["New", "role"],
    ]


def _event_line(text: str, day: str, time: str) -> str:
    shown = f'<time datetime="{day}T{time}:00+00:00" title="{time}:00 UTC">{time}</time>'
    return f'<p class="event"><bdi>{text}</bdi>{shown}</p>'


def test_days_contacts_and_events_stand_between_messages():
    """Days in UTC, a past contact by its own id, and a summary at the end."""
    page = export(
        [
            item("Hi", at="2026-02-28T23:30:00-01:00", ContactId=None, RelatedContactId="c0"),
            event("participant.joined", name="Jane", role="AGENT"),
            item("Hello", at="2026-03-01T10:00:07Z"),
            event("chat.ended", name=None, role="", at="2026-03-02T00:00:00Z"),
        ],
        title="Ana & Jane",
    )
    body = page[page.index("<main>") :]
    assert re.findall(r"<h2>.*?</h2>|<p class=\"(?:contact|event)\">.*?</p>|<h1.*?</h1>", body) == [
        '<h1 dir="auto">Ana &amp; Jane</h1>',
        '<p class="contact">Contact <code>c0</code></p>',
        '<h2><time datetime="2026-03-01">Sunday, 1 March 2026</time></h2>',
        '<p class="contact">Contact <code>c1</code></p>',
        _event_line("Jane joined", "2026-03-01", "10:00"),
        '<h2><time datetime="2026-03-02">Monday, 2 March 2026</time></h2>',
        _event_line("The chat ended", "2026-03-02", "00:00"),
    ]
    assert "2 messages · 1 March 2026, 00:30 – 2 March 2026, 00:00 UTC" in body
    assert "<title>Ana &amp; Jane</title>" in page


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("participant.left", "Ana left"),
        ("participant.invited", "Ana was invited"),
        ("participant.active", "Ana is active"),
        ("participant.inactive", "Ana is inactive"),
        ("participant.displayname.updated", "Ana goes by this name now"),
        ("transfer.succeeded", "The chat was transferred"),
        ("transfer.failed", "The chat could not be transferred"),
        ("authentication.initiated", "The customer was asked to sign in"),
        ("authentication.succeeded", "The customer signed in"),
        ("authentication.failed", "The customer could not sign in"),
        ("authentication.timeout", "The customer did not sign in in time"),
        ("authentication.expired", "The sign-in expired"),
        ("authentication.cancelled", "The sign-in was cancelled"),
        ("chat.rehydrated", "The chat goes on from an earlier one"),
        ("workflow.cancelled", "A workflow was cancelled"),
        ("moon.rose", "Something of an unknown kind happened: moon.rose"),
    ],
)
def test_events_are_told_in_words(name, text):
    """One quiet line each."""
    assert f'<p class="event"><bdi>{text}</bdi>' in export([event(name)])


@pytest.mark.parametrize("name", ["typing", "message.read", "connection.acknowledged"])
def test_what_says_nothing_to_a_reader_is_left_out(name):
    """Neither in a page nor in its counts."""
    assert export([event(name)]) == export([])


def test_what_has_no_time_is_told_without():
    """Any field of an item may be missing."""
    nowhen = [item("Hi", at="some day"), event("chat.ended", at="some day")]
    assert "<time" not in export(nowhen)
    written = export(nowhen, format="markdown")
    assert "**Ana** (Customer)\n\n> Hi\n\n*The chat ended*\n\n---\n\n1 message\n" in written


def test_files_are_listed():
    """By name and type, with what the scan said if that is not approval."""
    page = _Page(
        export(
            [
                file("receipt.pdf", "application/pdf", "APPROVED"),
                file("refund.exe", None, "REJECTED"),
                file("a.b/c", "text/plain", "IN_PROGRESS"),
                file(None, None, "APPROVED"),
            ]
        )
    )
    assert page.classes().count("file") == 4
    for text in ("receipt.pdf", "application/pdf", "rejected by the scan", "A file"):
        assert text in page.texts
    assert "text/plain · being scanned" in page.texts
    assert [page.texts[i] for i, text in enumerate(page.texts) if text in ("PDF", "EXE")]
    assert "4 files" in page.text


def test_interactive_messages_are_rendered_for_reading():
    """Their options as a list; links lead only where a link may; answers as what was chosen."""
    links = (
        Element(title="Read *more*", type="hyperlink", url="https://example.com/?a=1&b=2"),
        Element(title="Do not", type="hyperlink", url="javascript:alert(1)"),
    )
    picker = ListPicker(
        title="**Fruit**?",
        subtitle="Tap",
        elements=(Element(title="Apple", subtitle="$1"), *links),
        template_identifier="a",
    )
    other = ListPicker(title="Else", elements=(Element(title="Pear"),), template_identifier="b")
    slots = TimePicker(
        title="When?",
        location=Location(title="Oscar's"),
        timeslots=(TimeSlot(date="2026-10-31T17:00+01:00"), TimeSlot(date="2026-11-01T08:00Z")),
    )
    page = _Page(
        export(
            [
                interactive(Carousel(title="Shop", elements=(picker, other))),
                item('{"templateIdentifier":"a","listTitle":"Fruit","selectionText":"Apple"}'),
                interactive(slots),
                interactive(ViewResource(view_id="form", view_data={"Heading": "Hello"})),
                item('{"action":"Submit","data":{"ok":true}}', INTERACTIVE_RESPONSE_CONTENT_TYPE),
                item('{"action":"SHOW_MORE","data":{}}', INTERACTIVE_RESPONSE_CONTENT_TYPE),
                interactive('{"templateType":"New","data":1}'),
                interactive("no JSON"),
                item('{"case":4711}', "application/json"),
                item("no JSON either", "application/json"),
            ]
        )
    )
    assert page.classes().count("card") == 4
    assert [attributes["href"] for tag, attributes in page.tags if tag == "a"] == [
        "https://example.com/?a=1&b=2"
    ]
    for text in ("Fruit", "$1", "Do not", "Pear", "Fruit: Apple", "When?", "Oscar's", "form"):
        assert text in page.texts
    assert "Saturday, 31 October 2026, 17:00 (UTC+01:00)" in page.texts
    assert "Sunday, 1 November 2026, 08:00 (UTC+00:00)" in page.texts
    assert page.texts[page.texts.index("Submit") :][:2] == ["Submit", '{\n  "ok": true\n}']
    for text in ("Show more", "no JSON", "no JSON either", '{\n  "case": 4711\n}'):
        assert text in page.texts
    assert any('"templateType": "New"' in text for text in page.texts)


def test_markdown_is_rendered_as_far_as_chats_use_it():
    """Styles, lists and links; the rest is text."""
    text = (
        "# Title\nHello **bold *both*** and _slanted_, `code *x*`\nnext snake_case_name 2*3*4\n\n"
        "- one\n- **two**\n\n1. first\n2) second\n"
        "[site](https://example.com/a?b=1&c=2) [bad](javascript:alert(1)) \\*not\\* <b>x</b>"
    )
    page = export([item(text, "text/markdown")])
    said = re.search(r'<div class="said">(.*?)</div>', page, re.DOTALL)[1]
    assert said == (
        '<p dir="auto"><strong>Title</strong></p>'
        '<p dir="auto">Hello <strong>bold <em>both</em></strong> and <em>slanted</em>, '
        "<code>code *x*</code>\nnext snake_case_name 2<em>3</em>4</p>"
        '<ul><li dir="auto">one</li><li dir="auto"><strong>two</strong></li></ul>'
        '<ol><li dir="auto">first</li><li dir="auto">second</li></ol>'
        '<p dir="auto"><a href="https://example.com/a?b=1&amp;c=2" '
        'rel="noopener noreferrer nofollow">site</a> [bad](javascript:alert(1)) *not* '
        "&lt;b&gt;x&lt;/b&gt;</p>"
    )


def _everywhere(text: str) -> list[Item]:
    """Return items that carry a text wherever somebody could put one."""
    element = {"title": text, "subtitle": text, "type": "hyperlink", "url": text}
    content = {
        "title": text,
        "subtitle": text,
        "elements": [element, {"title": text}],
        "timeslots": [{"date": text}],
        "location": {"title": text},
        "viewId": text,
        "viewData": {text: text},
    }
    inside = {"templateType": "Panel", "templateIdentifier": text, "data": {"content": content}}
    templates = [
        {"templateType": name, "data": {"content": content}}
        for name in ("ListPicker", "TimePicker", "QuickReply", "ViewResource", text)
    ]
    templates.append(
        {"templateType": "Carousel", "data": {"content": {**content, "elements": [inside] * 2}}}
    )
    selection = {"templateIdentifier": text, "listTitle": text, "selectionText": text}
    who: dict[str, Any] = {"name": text, "role": text, "ContactId": text}
    return [
        *(item(text, kind, **who) for kind in ("text/plain", "application/json", text)),
        *(item(json.dumps(each), INTERACTIVE_CONTENT_TYPE, **who) for each in templates),
        item(text, INTERACTIVE_CONTENT_TYPE, **who),
        item(json.dumps(selection), **who),
        item(
            json.dumps({"action": text, "data": {text: text}}),
            INTERACTIVE_RESPONSE_CONTENT_TYPE,
            **who,
        ),
        item(None, "", Type="ATTACHMENT", Attachments=[{"AttachmentName": text}], **who),
        event("participant.joined", **who),
        event(text, **who),
        item(None, text, Type=text, **who),
    ]


def _with_examples(test: Any) -> Any:
    for text in _HOSTILE:
        test = example(text)(test)
    return given(st.text(max_size=60) | st.text("<>&\"'*_`[]()#-\\\r\n ax:/.", max_size=40))(test)


@_with_examples
def test_nothing_breaks_out_of_the_page(text):
    """Whatever stands where: the tags are the page's own, balanced, and lead to the web only."""
    markdown = item(text, "text/markdown")
    page = _Page(export([*_everywhere(text), markdown], title=text))
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "header", "footer"),
        *("h1", "h2", "p", "bdi", "time", "article", "div", "span", "small", "code", "pre"),
        *("ul", "ol", "li", "a", "strong", "em"),
    }
    assert {name for _, attributes in page.tags for name in attributes} <= {
        *("lang", "charset", "name", "content", "http-equiv", "class", "dir", "datetime"),
        *("title", "href", "rel", "aria-hidden"),
    }
    for tag, attributes in page.tags:
        if tag == "a":
            assert re.match("https?://", attributes["href"])
        elif tag == "article":
            assert attributes["class"].removesuffix(" more") in ("other", "customer")


@_with_examples
def test_plain_text_is_shown_to_the_letter(text):
    """Neither HTML nor Markdown in it means anything."""
    page = _Page(export([item(f"<{text}>")]))
    shown = f"<{text}>".encode("utf-8", "replace").decode()
    # Parsers, and browsers, take every end of a line for the same one.
    assert shown.replace("\r\n", "\n").replace("\r", "\n") in page.text.replace(
        "\r\n", "\n"
    ).replace("\r", "\n")


# Markdown


def test_a_transcript_in_markdown():
    """The whole of one, as it is written."""
    written = export(
        [
            event("participant.joined"),
            item("Hi *there*\n1. is <b>it</b> you?", at="2026-03-01T10:00:01Z"),
            interactive(
                ListPicker(
                    title="Fruit?",
                    subtitle="Tap",
                    elements=(
                        Element(title="Apple", subtitle="$1"),
                        Element(title="More", type="hyperlink", url="https://example.com"),
                    ),
                )
            ),
            item(
                "**Yes**\n\n- see [this](https://example.com/a_b)\n- `x`",
                "text/markdown",
                name="Otto",
                role="CUSTOM_BOT",
            ),
            item('{"a":"```"}', "application/json"),
            file("a_b_.pdf", "application/pdf", "REJECTED"),
            event("chat.ended", name=None, role=""),
        ],
        format="markdown",
        title="A <chat>",
    )
    assert written == (
        "# A \\<chat\\>\n\nTimes are in UTC.\n\n"
        "Contact c1\n\n## Sunday, 1 March 2026\n\n"
        "*10:00:00 · Ana joined*\n\n"
        "**Ana** (Customer) · 10:00:01\n\n"
        "> Hi \\*there\\*\\\n> 1\\. is \\<b\\>it\\</b\\> you?\n\n"
        "**BOT** (System) · 10:00:00\n\n"
        "> **Fruit?**\n>\n> Tap\n>\n> - Apple — $1\n> - [More](<https://example.com>)\n\n"
        "**Otto** (Bot) · 10:00:00\n\n"
        "> **Yes**\n>\n> - see [this](<https://example.com/a_b>)\n> - `x`\n\n"
        "**Ana** (Customer) · 10:00:00\n\n"
        '> ````\n> {\n>   "a": "```"\n> }\n> ````\n\n'
        "**Ana** (Customer) · 10:00:00\n\n"
        "> File: **a_b\\_.pdf** (application/pdf · rejected by the scan)\n\n"
        "*10:00:00 · The chat ended*\n\n"
        "---\n\n4 messages · 1 file · 1 March 2026, 10:00 – 10:00 UTC\n"
    )


def _tokens(written: str) -> Iterator[Token]:
    """Return what a reader of CommonMark takes a document for."""
    for token in MarkdownIt("commonmark").parse(written):
        yield token
        yield from token.children or ()


@_with_examples
def test_nothing_breaks_out_of_the_markdown(text):
    """A reader of CommonMark finds no HTML, no images, no other links, no lines of its own."""
    written = export(
        [*_everywhere(text), item(text, "text/markdown")], format="markdown", title=text
    )
    outside = 0
    for token in _tokens(written):
        assert token.type not in ("html_block", "html_inline", "image", "code_block")
        if token.type == "link_open":
            assert re.match("https?://", token.attrs["href"])
        if token.level == 0 and token.type == "heading_open":
            outside += 1
        assert token.type != "heading_open" or token.level == 0
    assert outside == 2  # the title and the one day


@_with_examples
def test_plain_text_means_nothing_in_markdown(text):
    """What is read is what was said, apart from the white space that Markdown does not keep."""
    written = export([item(f"<{text}>")], format="markdown")
    said = "".join(
        token.content if token.type in ("text", "code_inline") else " "
        for token in _tokens(written)
        if token.type in ("text", "code_inline", "softbreak", "hardbreak", "text_special")
    )
    shown = f"<{text}>".encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    assert "".join(shown.split()) in "".join(said.replace("\u00a0", " ").split())


# JSON Lines, and where items come from


def test_json_lines_are_read_back():
    """Every item that a transcript keeps, as it came, one a line."""
    lines = export(map(parse_item, _SAMPLES), format="jsonl").splitlines()
    kept = [raw for raw in _SAMPLES if parse_item(raw).in_transcript]
    assert len(kept) < len(_SAMPLES)
    assert [json.loads(line) for line in lines] == kept
    assert [parse_item(json.loads(line)) for line in lines] == [parse_item(raw) for raw in kept]


def test_an_item_made_by_hand_has_its_line():
    """Such as an end that was inferred."""
    line = json.loads(export([ChatEnded(type="EVENT", id="1", inferred=True)], format="jsonl"))
    assert (line["Type"], line["Id"], line["Inferred"]) == ("EVENT", "1", True)


def test_items_are_written_as_they_come():
    """From an asynchronous iterator as well, none waiting for the next."""
    written = io.StringIO()

    async def items() -> AsyncIterator[Item]:
        for number in range(3):
            assert f"number {number - 1}" in written.getvalue() or number == 0
            yield item(f"number {number}")

    asyncio.run(export_transcript(items(), written))
    assert "3 messages" in written.getvalue()


def test_the_length_of_a_transcript_costs_no_memory():
    """Nothing is kept of an item once the next has been asked for."""
    alive = 0

    class Counted(str):
        __slots__ = ()

        def __new__(cls, text: str) -> Self:
            nonlocal alive
            alive += 1
            return super().__new__(cls, text)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def items() -> Iterator[Item]:
        for _ in range(100):
            yield item(Counted("Hello"))
            assert alive <= 3

    class Nowhere(io.TextIOBase):
        def write(self, text: str) -> int:
            return len(text)

    for kind in ("html", "markdown", "jsonl"):
        asyncio.run(export_transcript(items(), Nowhere(), format=kind))


def test_another_format_is_refused():
    """By name, before anything is written."""
    with pytest.raises(InvalidRequestError, match="format must be one of html, markdown, jsonl"):
        export([], format="pdf")
