"""ClientTokens: what is asked twice is done once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

__all__ = ["Replies"]


class Replies:
    """What was answered to the latest requests with a ClientToken.

    How long the service remembers a token is not published; here it does so for a number of
    requests, which bounds the memory that they take.

    Args:
        most: How many requests are remembered.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_request: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()

    def get(self, operation: str, client_token: str | None) -> dict[str, Any] | None:
        """Return what an earlier request with this token was answered, if there was one."""
        return self._by_request.get((operation, client_token or ""))

    def once(
        self, operation: str, client_token: str | None, do: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Answer a request: as before if it is a repetition, else with what ``do`` returns."""
        reply = self.get(operation, client_token)
        if reply is None:
            reply = do()
            if client_token:
                self._by_request[operation, client_token] = reply
                if len(self._by_request) > self._most:
                    self._by_request.popitem(last=False)
        return reply
