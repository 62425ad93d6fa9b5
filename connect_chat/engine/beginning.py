"""Beginning a chat at its first connection rather than at its first item.

What was said before is not to be delivered, and everything after is. So the newest item of the
transcript is read before the first socket is opened, and everything up to it counts as known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connect_chat.engine.commands import Command, Grant, ReadTranscript
from connect_chat.engine.inbox import Inbox
from connect_chat.items import Item

__all__ = ["Beginning"]


class Beginning:
    """Holds a connection back until it is known where its chat begins.

    Attributes:
        pending: Whether that is still to be found out.
        grant: The connection that waits, the request that it answers, and when it came.
    """

    def __init__(
        self,
        inbox: Inbox,
        emit: Callable[[Command], None],
        number: Callable[[], int],
        *,
        pending: bool,
    ) -> None:
        self.pending = pending
        self.grant: tuple[int, Grant, float] | None = None
        self._inbox = inbox
        self._emit = emit
        self._number = number
        self._request: int | None = None

    def awaits(self, request: int) -> bool:
        """Whether ``request`` is the page that tells."""
        return request == self._request

    def hold(self, request: int, grant: Grant, now: float) -> None:
        """Hold a connection back, and read the newest item."""
        self.grant = (request, grant, now)
        self._request = self._number()
        query = {"scan_direction": "BACKWARD", "sort_order": "ASCENDING", "max_results": 1}
        self._emit(ReadTranscript(self._request, grant.connection_token, query, "reconnect"))

    def found(self, items: Sequence[Item]) -> tuple[int, Grant, float] | None:
        """Take the page; return the connection, which can be used now."""
        if items:
            self._inbox.begin_after(items[-1])
        self.pending = False
        return self.not_found()

    def not_found(self) -> tuple[int, Grant, float] | None:
        """Note that the page could not be read; return the connection, which is of no use."""
        self._request = None
        held, self.grant = self.grant, None
        return held
