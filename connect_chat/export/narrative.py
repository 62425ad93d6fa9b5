"""Tells a transcript: what each item says to a reader, and what changes between two of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from connect_chat.export import markup
from connect_chat.export.document import (
    Block,
    Card,
    Code,
    ContactBegins,
    DayBegins,
    Entry,
    FileListed,
    Happened,
    Option,
    Paragraph,
    Row,
    Said,
    Span,
)
from connect_chat.interactive import (
    Carousel,
    CarouselSelection,
    Element,
    ListPicker,
    Panel,
    QuickReply,
    TimePicker,
    TimeSlot,
    ViewResource,
)
from connect_chat.items import (
    EVENT_PREFIX,
    Attachment,
    AttachmentMessage,
    AuthenticationCancelled,
    AuthenticationExpired,
    AuthenticationFailed,
    AuthenticationInitiated,
    AuthenticationSucceeded,
    AuthenticationTimedOut,
    ChatEnded,
    ChatRehydrated,
    ConnectionAcknowledged,
    InteractiveMessage,
    InteractiveResponse,
    Item,
    Message,
    ParticipantActive,
    ParticipantDisplayNameUpdated,
    ParticipantInactive,
    ParticipantInvited,
    ParticipantJoined,
    ParticipantLeft,
    TransferFailed,
    TransferSucceeded,
    WorkflowCancelled,
)

__all__ = ["Narrator"]

_ROLES = {
    "AGENT": "Agent",
    "CUSTOMER": "Customer",
    "CUSTOM_BOT": "Bot",
    "SUPERVISOR": "Supervisor",
    "SYSTEM": "System",
}
_EVENTS: dict[type[Item], str] = {
    ParticipantJoined: "{who} joined",
    ParticipantLeft: "{who} left",
    ParticipantInvited: "{who} was invited",
    ParticipantActive: "{who} is active",
    ParticipantInactive: "{who} is inactive",
    ParticipantDisplayNameUpdated: "{who} goes by this name now",
    TransferSucceeded: "The chat was transferred",
    TransferFailed: "The chat could not be transferred",
    AuthenticationInitiated: "The customer was asked to sign in",
    AuthenticationSucceeded: "The customer signed in",
    AuthenticationFailed: "The customer could not sign in",
    AuthenticationTimedOut: "The customer did not sign in in time",
    AuthenticationExpired: "The sign-in expired",
    AuthenticationCancelled: "The sign-in was cancelled",
    ChatRehydrated: "The chat goes on from an earlier one",
    ChatEnded: "The chat ended",
    WorkflowCancelled: "A workflow was cancelled",
}
_STATUS = {"REJECTED": "rejected by the scan", "IN_PROGRESS": "being scanned"}


class Narrator:
    """Turns items into what a reader is told, one after the other.

    It remembers nothing but what came last and how much there was.
    """

    def __init__(self) -> None:
        self._day: date | None = None
        self._contact_id: str | None = None
        self._speaker: tuple[str | None, ...] | None = None
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._messages = 0
        self._files = 0

    def tell(self, item: Item) -> Iterator[Entry]:
        """Yield what an item adds."""
        entry = self._entry(item)
        if entry is None:
            return
        time = entry.time
        if time is not None:
            self._first = self._first or time
            self._last = time
        contact_id = item.related_contact_id or item.contact_id or self._contact_id
        if contact_id is not None and contact_id != self._contact_id:
            self._contact_id, self._speaker = contact_id, None
            yield ContactBegins(contact_id)
        if time is not None and time.date() != self._day:
            self._day, self._speaker = time.date(), None
            yield DayBegins(time.date())
        if isinstance(entry, Happened):
            self._speaker = None
            yield entry
            return
        speaker = (item.participant_id, entry.role, entry.name)
        goes_on, self._speaker = speaker == self._speaker, speaker
        yield Said(entry.time, entry.name, entry.role, entry.title, goes_on, entry.blocks)

    def summary(self) -> str:
        """Return how much there was, and when."""
        counts = [_number(self._messages, "message")]
        if self._files:
            counts.append(_number(self._files, "file"))
        if self._first is not None and self._last is not None:
            last = f"{self._last:%H:%M} UTC"
            if self._first.date() != self._last.date():
                last = f"{_long_date(self._last)}, {last}"
            counts.append(f"{_long_date(self._first)}, {self._first:%H:%M} – {last}")
        return " · ".join(counts)

    def _entry(self, item: Item) -> Happened | Said | None:
        time = item.absolute_time and item.absolute_time.astimezone(UTC)
        if isinstance(item, Message):
            self._messages += 1
            return _said(item, time, _message(item))
        if isinstance(item, AttachmentMessage):
            self._files += len(item.attachments)
            return _said(item, time, tuple(map(_file, item.attachments)))
        if isinstance(item, ConnectionAcknowledged):
            return None
        known = _EVENTS.get(type(item))
        if known is None:
            kind = (item.content_type or item.type).removeprefix(EVENT_PREFIX)
            return Happened(time, f"Something of an unknown kind happened: {kind}")
        return Happened(time, known.format(who=_name(item)))


def _said(item: Item, time: datetime | None, blocks: tuple[Block, ...]) -> Said:
    role = item.participant_role or ""
    name = _name(item)
    title = _role(role)
    return Said(time, name, role, "" if title == name else title, False, blocks)


def _name(item: Item) -> str:
    # What the service itself says has this name for its display name.
    if item.display_name and item.display_name != "SYSTEM_MESSAGE":
        return item.display_name
    return _role(item.participant_role or "") or "Somebody"


def _role(role: str) -> str:
    return _ROLES.get(role) or role.replace("_", " ").capitalize()


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _long_date(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _message(item: Message) -> tuple[Block, ...]:
    if isinstance(item, InteractiveMessage):
        return _interactive(item)
    if isinstance(item, InteractiveResponse):
        return _response(item)
    if item.content_type == "text/markdown":
        return markup.read_markdown(item.text)
    if item.content_type == "application/json":
        return (Code(_indented(item.text)),)
    selection = CarouselSelection.of(item.text)
    if selection is not None:
        colon = "" if selection.list_title.endswith(":") else ":"
        return (Paragraph((f"{selection.list_title}{colon} {selection.selection_text}",)),)
    return (Paragraph((item.text,)),)


def _response(item: InteractiveResponse) -> tuple[Block, ...]:
    if item.action is None:
        return (Code(_indented(item.text)),)
    if item.action in ("SHOW_MORE", "PREVIOUS_OPTIONS"):
        return (Paragraph((item.action.replace("_", " ").capitalize(),)),)
    filled_in = (Code(_json(item.data)),) if item.data else ()
    return (Paragraph((item.action,)), *filled_in)


def _interactive(item: InteractiveMessage) -> tuple[Block, ...]:
    template = item.template
    match template:
        case ListPicker() | Panel() | QuickReply():
            return (_menu(template),)
        case TimePicker():
            place = template.location.title if template.location else None
            subtitle = " · ".join(filter(None, (template.subtitle, place)))
            slots = tuple(Option((_slot(slot),)) for slot in template.timeslots)
            return (Card(_spans(template.title), _spans(subtitle), slots),)
        case Carousel():
            cards = tuple(_menu(panel) for panel in template.elements)
            return (Paragraph(_spans(template.title)), Row(cards))
        case ViewResource():
            shown = (Code(_json(template.view_data)),) if template.view_data else ()
            return (Card(("A form was shown",), (template.view_id or "",)), *shown)
        case _:
            return (Code(_indented(item.text)),)


def _menu(menu: ListPicker | Panel | QuickReply) -> Card:
    subtitle = None if isinstance(menu, QuickReply) else menu.subtitle
    return Card(_spans(menu.title), _spans(subtitle), tuple(map(_option, menu.elements)))


def _option(element: Element) -> Option:
    url = element.url if element.is_link else None
    return Option(_spans(element.title), _spans(element.subtitle), url)


def _slot(slot: TimeSlot) -> str:
    start = slot.start
    if start is None:
        return slot.date
    return f"{start:%A}, {_long_date(start)}, {start:%H:%M} (UTC{start.isoformat()[-6:]})"


def _file(attachment: Attachment) -> FileListed:
    details = (attachment.content_type, _STATUS.get(attachment.status or ""))
    return FileListed(attachment.attachment_name or "A file", " · ".join(filter(None, details)))


def _spans(text: str | None) -> tuple[Span, ...]:
    # The vendor's widget takes titles and subtitles for Markdown.
    return tuple(markup.read_spans(text or ""))


def _indented(text: str) -> str:
    try:
        return _json(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
