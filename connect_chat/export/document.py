"""What a written transcript consists of, whatever it is written as."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

__all__ = [
    "Block",
    "Card",
    "Code",
    "ContactBegins",
    "DayBegins",
    "Entry",
    "FileListed",
    "Happened",
    "Link",
    "ListOf",
    "Option",
    "Paragraph",
    "Row",
    "Said",
    "Span",
    "Styled",
]


@dataclass(frozen=True, slots=True)
class Styled:
    """Text that stands out."""

    style: Literal["strong", "emphasis", "code"]
    content: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """Text that leads to an ``http`` or ``https`` URL."""

    url: str
    content: tuple[Span, ...]


Span = str | Styled | Link


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text whose line breaks count."""

    content: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, numbered or not."""

    numbered: bool
    items: tuple[tuple[Span, ...], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Text to be shown as it is, like JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class FileListed:
    """A file that was sent.

    Attributes:
        name: Its name.
        details: What else is known of it, in words; may be empty.
    """

    name: str
    details: str


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that an interactive message offers; `url` if it leads there."""

    title: tuple[Span, ...]
    subtitle: tuple[Span, ...] = ()
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """An interactive message, or a panel of one."""

    title: tuple[Span, ...]
    subtitle: tuple[Span, ...] = ()
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Cards side by side."""

    cards: tuple[Card, ...]


Block = Paragraph | ListOf | Code | FileListed | Card | Row


@dataclass(frozen=True, slots=True)
class DayBegins:
    """What follows was said on another day (UTC) than what came before."""

    day: date


@dataclass(frozen=True, slots=True)
class ContactBegins:
    """What follows belongs to another contact than what came before."""

    contact_id: str


@dataclass(frozen=True, slots=True)
class Happened:
    """Something happened that nobody said."""

    time: datetime | None
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody said or sent something.

    Attributes:
        time: When, in UTC.
        name: Who, by the name that participants see.
        role: Their role in the service's spelling, for example ``"AGENT"``; may be empty.
        title: Their role in words; empty if the name says it already.
        goes_on: Whether the same participant said what came right before.
        blocks: What.
    """

    time: datetime | None
    name: str
    role: str
    title: str
    goes_on: bool
    blocks: tuple[Block, ...]


Entry = DayBegins | ContactBegins | Happened | Said
