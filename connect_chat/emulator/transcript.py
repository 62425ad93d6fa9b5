"""The transcript of a chat: what GetTranscript gives, page by page."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from connect_chat.emulator.refusal import Refusal

__all__ = ["Kept", "Transcript"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Kept(NamedTuple):
    """An item and its AbsoluteTime in milliseconds since 1970."""

    milliseconds: int
    item: Mapping[str, Any]


class Transcript:
    """The items that a chat keeps, in the order of their times, of which no two are the same.

    In a persistent chat the items of past contacts follow the chat's own: NextToken leads on to
    them from the last page of a scan BACKWARD that has neither StartPosition nor ContactId. No
    page has items of both.

    Args:
        past: The items of past contacts, as another transcript's `until` gives them.
        lag: Seconds for which pages do not show an item yet.
    """

    def __init__(self, past: Sequence[Kept] = (), *, lag: float = 0) -> None:
        self._past = list(past)
        self._lag = lag
        self._shown: list[Kept] = []
        self._waiting: deque[tuple[float, Kept]] = deque()
        self._times: dict[str, int] = {}
        self._key = secrets.token_bytes(16)

    def keep(self, item: Mapping[str, Any], *, milliseconds: int, now: float) -> None:
        """Keep an item.

        Args:
            item: The Item.
            milliseconds: Its AbsoluteTime, which may be earlier than that of what is kept already.
            now: When it is kept, in seconds.
        """
        self._times[item["Id"]] = milliseconds
        self._waiting.append((now + self._lag, Kept(milliseconds, item)))
        if not self._lag:  # whatever the clock says
            self._settle(math.inf)

    def _settle(self, now: float) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            insort(self._shown, self._waiting.popleft()[1], key=_time)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._times

    def __len__(self) -> int:
        """How many items of its own the chat keeps."""
        return len(self._times)

    def _own(self) -> list[Kept]:
        return sorted([*self._shown, *(kept for _, kept in self._waiting)], key=_time)

    @property
    def items(self) -> list[Mapping[str, Any]]:
        """The chat's own Items, those included that no page shows yet."""
        return [kept.item for kept in self._own()]

    def until(self, contact_id: str) -> list[Kept]:
        """Return what a chat that goes on from a contact of this one has for its past.

        Args:
            contact_id: The contact, which comes last in it.
        """
        own = self._own()
        while own and own[-1].item["ContactId"] != contact_id:
            own.pop()
        return self._past + [_of_the_past(kept) for kept in own]

    def page(
        self, query: Mapping[str, Any], *, now: float
    ) -> tuple[list[Mapping[str, Any]], str | None]:
        """Return one page and the token of the next one, None after the last.

        Args:
            query: The input of GetTranscript, within the model's constraints.
            now: The time, in seconds.

        Raises:
            Refusal: ValidationException for a start position that is ambiguous, malformed or not
                in the transcript, or a NextToken that is not from this query.
        """
        self._settle(now)
        scan = self._begin(query) if query.get("NextToken") is None else self._resume(query)
        most = 10 if query.get("MaxResults") is None else query["MaxResults"]
        scanned = self._scanned(scan)
        if scan["direction"] == "FORWARD":
            start = bisect_left(scanned, scan["at"], key=_time)
            found, rest = scanned[start : start + most], scanned[start + most : start + most + 1]
        else:
            stop = bisect_right(scanned, scan["at"], key=_time)
            start = max(stop - most, 0)
            found, rest = scanned[start:stop], scanned[max(start - 1, 0) : start]
        if scan["order"] == "DESCENDING":
            found.reverse()
        following = None
        if rest:
            following = self._seal({**scan, "at": rest[0].milliseconds})
        elif self._past and not scan["past"] and _leads_to_the_past(scan):
            following = self._seal({**scan, "at": self._past[-1].milliseconds, "past": True})
        return [kept.item for kept in found], following

    def _scanned(self, scan: Mapping[str, Any]) -> list[Kept]:
        if scan["past"]:
            return self._past
        if scan["contact"] is None:
            return self._shown
        return [kept for kept in self._shown if kept.item["ContactId"] == scan["contact"]]

    def _begin(self, query: Mapping[str, Any]) -> dict[str, Any]:
        start = _start_position(query)
        direction = query.get("ScanDirection") or ("FORWARD" if start else "BACKWARD")
        scan = {
            "direction": direction,
            "order": query.get("SortOrder") or "DESCENDING",
            "start": start,
            "contact": query.get("ContactId"),
            "past": False,
        }
        ever = self._shown[-1].milliseconds + 1 if self._shown else 0
        match start:
            case {"Id": item_id}:
                at = self._times.get(item_id, ever)
                if at >= ever:
                    raise Refusal("ValidationException", "StartPosition.Id is not in this chat.")
            case {"AbsoluteTime": text}:
                at = _milliseconds(text, up=direction == "FORWARD")
            case {"MostRecent": count}:
                recent = self._scanned(scan)[-count:] if count else []
                at = recent[0].milliseconds if recent else ever
            case _:
                at = 0 if direction == "FORWARD" else ever
        return {**scan, "at": at}

    def _seal(self, scan: Mapping[str, Any]) -> str:
        text = urlsafe_b64encode(to_json(scan)).decode()
        return f"{text}.{self._seal_of(text)}"

    def _seal_of(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _resume(self, query: Mapping[str, Any]) -> dict[str, Any]:
        text, _, seal = query["NextToken"].rpartition(".")
        if not hmac.compare_digest(self._seal_of(text).encode(), seal.encode()):
            raise Refusal("ValidationException", "NextToken is not one of this chat's.")
        scan: dict[str, Any] = from_json(urlsafe_b64decode(text))
        said = {
            "direction": query.get("ScanDirection"),
            "order": query.get("SortOrder"),
            "start": _start_position(query) or None,
            "contact": query.get("ContactId"),
        }
        # A follow-up may leave out what the first request said, but not say something else.
        if any(value is not None and value != scan[name] for name, value in said.items()):
            raise Refusal("ValidationException", "NextToken belongs to another query.")
        return scan


def _time(kept: Kept) -> int:
    return kept.milliseconds


def _leads_to_the_past(scan: Mapping[str, Any]) -> bool:
    return scan["direction"] == "BACKWARD" and not scan["start"] and scan["contact"] is None


def _of_the_past(kept: Kept) -> Kept:
    """Return an item as chats that go on from it spell it: RelatedContactId for ContactId."""
    item = dict(kept.item)
    item["RelatedContactId"] = item.pop("ContactId")
    return Kept(kept.milliseconds, item)


def _milliseconds(text: str, *, up: bool) -> int:
    """Return a time in milliseconds since 1970, rounded up or down."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(
            "ValidationException", "StartPosition.AbsoluteTime is not an ISO 8601 time."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return -(-since // _MILLISECOND) if up else since // _MILLISECOND


def _start_position(query: Mapping[str, Any]) -> dict[str, Any]:
    start = query.get("StartPosition") or {}
    names = ("Id", "AbsoluteTime", "MostRecent")
    given = {name: start[name] for name in names if start.get(name) is not None}
    if len(given) > 1:
        raise Refusal(
            "ValidationException",
            "StartPosition takes one of Id, AbsoluteTime and MostRecent.",
        )
    return given
