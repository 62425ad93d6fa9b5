"""The transcript of a contact: what GetTranscript gives, page by page."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import from_json, to_json

from connect_chat.emulator.refusal import Refusal

__all__ = ["Transcript"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Transcript:
    """The items that a contact keeps, in the order of their strictly increasing times.

    Attributes:
        items: The Items, in the service's spelling.
    """

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self._places: dict[str, int] = {}
        self._times: list[int] = []
        self._kept_at: list[float] = []
        self._key = secrets.token_bytes(16)

    def append(self, item: dict[str, Any], *, milliseconds: int, now: float) -> None:
        """Keep an item.

        Args:
            item: The Item.
            milliseconds: Its AbsoluteTime.
            now: When it is kept, in seconds, which its AbsoluteTime may be ahead of.
        """
        self._places[item["Id"]] = len(self.items)
        self._times.append(milliseconds)
        # A wall clock may be set back; the order of keeping is not.
        self._kept_at.append(max(now, self._kept_at[-1]) if self._kept_at else now)
        self.items.append(item)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._places

    def page(
        self, query: Mapping[str, Any], *, now: float, lag: float
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return one page and the token of the next one, None after the last.

        Args:
            query: The input of GetTranscript, within the model's constraints.
            now: The time, in seconds.
            lag: Seconds for which the transcript does not show an item yet.

        Raises:
            Refusal: ValidationException for a start position that is ambiguous, malformed or not
                in the transcript, or a NextToken that is not from this query.
        """
        visible = bisect_right(self._kept_at, now - lag) if lag else len(self.items)
        most = 10 if query.get("MaxResults") is None else query["MaxResults"]
        if query.get("NextToken") is not None:
            scan = self._resume(query)
        else:
            scan = self._begin(query, visible)
        place = scan["place"]
        if scan["direction"] == "FORWARD":
            found = range(place, min(place + most, visible))
            following = found.stop if found.stop < visible else None
        else:
            last = min(place, visible - 1)
            found = range(max(last - most + 1, 0), last + 1)
            following = found.start - 1 if found.start > 0 else None
        items = [self.items[index] for index in found]
        if scan["order"] == "DESCENDING":
            items.reverse()
        return items, None if following is None else self._seal({**scan, "place": following})

    def _begin(self, query: Mapping[str, Any], visible: int) -> dict[str, Any]:
        start = _start_position(query)
        default = "FORWARD" if start else "BACKWARD"
        direction = query.get("ScanDirection") or default
        forward = direction == "FORWARD"
        match start:
            case {"Id": item_id}:
                place = self._places.get(item_id, visible)
                if place >= visible:
                    raise Refusal("ValidationException", "StartPosition.Id is not in this chat.")
            case {"AbsoluteTime": text}:
                place = self._place_of(text, forward=forward)
            case {"MostRecent": count}:
                place = max(visible - count, 0)
            case _:
                place = 0 if forward else visible - 1
        return {
            "direction": direction,
            "order": query.get("SortOrder") or "DESCENDING",
            "start": start,
            "place": place,
        }

    def _place_of(self, text: str, *, forward: bool) -> int:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise Refusal(
                "ValidationException", "StartPosition.AbsoluteTime is not an ISO 8601 time."
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment - _EPOCH
        if forward:
            return bisect_left(self._times, -(-since // _MILLISECOND))
        return bisect_right(self._times, since // _MILLISECOND) - 1

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
        }
        # A follow-up may leave out what the first request said, but not say something else.
        if any(value is not None and value != scan[name] for name, value in said.items()):
            raise Refusal("ValidationException", "NextToken belongs to another query.")
        return scan


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
