"""What the service keeps of a chat, and GetTranscript.

Assumed: items are kept in the order of their AbsoluteTime (ties in any order that stays), and an
item shows up in the transcript some time after the websocket has pushed it, each with a lag of
its own, so that a later item may be there before an earlier one.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connect_chat.errors import ServiceError, service_error
from connect_chat.items import Item, parse_item

from .clock import to_millis

__all__ = ["Said", "Transcript", "refused"]

LONGEST_READ = 30.0


@dataclass(slots=True, eq=False)
class Said:
    """An item that the service has taken.

    Attributes:
        key: Its place: AbsoluteTime in milliseconds since the epoch, then a number without
            meaning.
        id: Its Id.
        raw: The item as the transcript shows it.
        frame: The item as the websocket pushes it.
        accepted: When the service took it.
        visible: When the transcript begins to show it; infinite for what it doesn't keep.
        mine: Whether our participant said it.
        demanded: Whether the reader has to get it.
        piece: Whether it is a piece of a streamed message, which shares its Id with the whole.
        muted: Whether a socket that should have got it did not, without a sign.
        lagged: When the transcript was first read and did not show it yet.
        pushed: When the service first pushed it to whoever was there.
        pushes: The sockets it was pushed to.
    """

    key: tuple[int, int]
    id: str
    raw: dict[str, Any]
    frame: str
    accepted: float
    visible: float
    mine: bool = False
    demanded: bool = True
    piece: bool = False
    muted: bool = False
    lagged: float = float("inf")
    pushed: float = float("inf")
    pushes: list[Any] = field(default_factory=list)

    item: Item | None = None

    def __lt__(self, other: Said) -> bool:
        return self.key < other.key

    def parsed(self) -> Item:
        """Return it as the client's GetTranscript does; parsed once, as nobody may change it."""
        if self.item is None:
            self.item = parse_item(self.raw)
        return self.item


def refused(
    code: str, status: int, operation: str, retry_after: float | None = None
) -> ServiceError:
    """Return the error of an answer with that code."""
    return service_error(
        status_code=status,
        code=code,
        message="simulated",
        operation=operation,
        retry_after=retry_after,
    )


def _invalid() -> ServiceError:
    return refused("ValidationException", 400, "GetTranscript")


class Transcript:
    """The items of one contact, as GetTranscript shows them.

    Attributes:
        items: All that it keeps, in order.
        hidden: Those that it does not show yet.
        forgets_ids: Whether a start position by Id is refused.
        forgets_times: Whether a start position by AbsoluteTime is refused as well.
        generation: A NextToken of an earlier one is refused.
        page_limit: The most items on a page, whatever was asked for.
        blank_pages: Whether a first page is empty and has a NextToken nevertheless.
        past: How many of the items belong to past contacts (a persistent chat); they come first
            and only following NextToken BACKWARD leads to them.
    """

    def __init__(self) -> None:
        self.items: list[Said] = []
        self.hidden: list[Said] = []
        self.forgets_ids = False
        self.forgets_times = False
        self.generation = 0
        self.page_limit = 100
        self.blank_pages = False
        self.past = 0
        self._by_id: dict[str, Said] = {}

    def add(self, said: Said) -> None:
        """Keep an item."""
        insort(self.items, said)
        self.hidden.append(said)
        self._by_id[said.id] = said

    def add_past(self, said: Said) -> None:
        """Keep an item of a past contact."""
        insort(self.items, said)
        self.past += 1

    def unseen(self, now: float) -> list[Said]:
        """Return the items that are kept and not shown yet."""
        if self.hidden:
            self.hidden = [said for said in self.hidden if said.visible > now]
        return self.hidden

    def page(self, query: Mapping[str, Any], now: float) -> tuple[list[Said], str | None]:
        """Answer GetTranscript.

        Raises:
            ServiceError: The query is not valid, or its position is not accepted.
        """
        limit = query.get("max_results") or 10
        if not 1 <= limit <= 100:
            raise _invalid()
        start = query.get("start_position")
        scan = query.get("scan_direction") or ("FORWARD" if start else "BACKWARD")
        sort = query.get("sort_order") or "DESCENDING"
        if scan not in ("FORWARD", "BACKWARD") or sort not in ("ASCENDING", "DESCENDING"):
            raise _invalid()
        forward = scan == "FORWARD"
        token = query.get("next_token")
        if token is not None:
            index = self._after(token, scan, sort)
            self._note_slipped(index, now)
        else:
            index = self._start(start, forward, now)
        found: list[Said] = []
        items, step = self.items, 1 if forward else -1
        room = 0 if self.blank_pages and token is None else min(limit, self.page_limit)
        unseen = self.unseen(now)
        while 0 <= index < len(items) and len(found) < room:
            if not unseen or items[index].visible <= now:
                found.append(items[index])
            index += step
        found.sort(reverse=sort == "DESCENDING")
        more = 0 <= index < len(items)
        return found, self._token(index, scan, sort) if more else None

    def _note_slipped(self, index: int, now: float) -> None:
        """Note which items showed up behind a read that is under way, and are not in it."""
        while index > 0 and self.items[index - 1].key[0] > (now - LONGEST_READ) * 1000.0:
            index -= 1
            said = self.items[index]
            if said.accepted * 1000.0 > said.key[0] + 100.0:
                said.lagged = min(said.lagged, now)

    def _token(self, index: int, scan: str, sort: str) -> str:
        # It stands for an item rather than for an index: earlier items may show up meanwhile.
        millis, number = self.items[index].key
        return f"{scan} {sort} {millis} {number} {self.generation} s3cr3t"

    def _after(self, token: str, scan: str, sort: str) -> int:
        was_scan, was_sort, millis, number, generation, _ = token.split(" ")
        if (was_scan, was_sort, generation) != (scan, sort, str(self.generation)):
            raise _invalid()
        return bisect_left(self.items, (int(millis), int(number)), key=_key_of)

    def _start(self, start: Mapping[str, Any] | None, forward: bool, now: float) -> int:
        if not start:
            return self.past if forward else len(self.items) - 1
        if len(start) != 1:
            raise _invalid()
        ((kind, value),) = start.items()
        if kind == "Id":
            said = self._by_id.get(value)
            if said is None or said.visible > now or self.forgets_ids:
                raise _invalid()
            return bisect_left(self.items, said.key, key=_key_of)
        if kind == "AbsoluteTime":
            if self.forgets_times:
                raise _invalid()
            key = (to_millis(_moment(value)), -1)
            index = max(bisect_left(self.items, key, key=_key_of), self.past)
            return index if forward else index - 1
        if kind == "MostRecent":
            return max(len(self.items) - int(value), self.past)
        raise _invalid()


def _key_of(said: Said) -> tuple[int, int]:
    return said.key


def _moment(value: str | datetime) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
