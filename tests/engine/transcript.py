"""A transcript that answers GetTranscript as the service does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connect_chat.items import Item


class Refused(Exception):
    """The service does not accept a position or a token."""


class Transcript:
    """A transcript.

    Attributes:
        items: Its items, ascending.
        page: How many items a page has.
        ids, times: Whether positions by Id and by AbsoluteTime are accepted.
        lost_tokens: How many of the next tokens are not accepted.
        reads: How many pages were read.
    """

    def __init__(self, items: Sequence[Item], page: int = 100) -> None:
        self.items = list(items)
        self.page = page
        self.ids = self.times = True
        self.lost_tokens = 0
        self.reads = 0

    def get(self, query: Mapping[str, Any]) -> tuple[list[Item], str | None]:
        """Return a page, ascending, and the NextToken.

        Raises:
            Refused: See the attributes.
        """
        assert query["sort_order"] == "ASCENDING"
        forward = query["scan_direction"] == "FORWARD"
        size = min(self.page, query["max_results"])
        if "next_token" in query:
            if self.lost_tokens:
                self.lost_tokens -= 1
                raise Refused
            start = int(query["next_token"])
        else:
            start = self._start(query["start_position"]) if forward else len(self.items)
        self.reads += 1
        if forward:
            end = start + size
            return self.items[start:end], str(end) if end < len(self.items) else None
        end = max(0, start - size)
        return self.items[end:start], str(end) if end else None

    def _start(self, position: Mapping[str, str]) -> int:
        if "Id" in position:
            for index, item in enumerate(self.items):
                if self.ids and item.id == position["Id"]:
                    return index
            raise Refused
        if not self.times:
            raise Refused
        time = datetime.fromisoformat(position["AbsoluteTime"])
        return sum(item.absolute_time < time for item in self.items)
