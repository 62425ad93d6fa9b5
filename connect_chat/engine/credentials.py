"""The connection token: kept fresh, and renewed when it is refused."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from connect_chat.engine.backoff import Backoff
from connect_chat.engine.commands import Command, Grant, RequestConnection, Trace
from connect_chat.engine.lifetime import token_lifetime
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.timers import Timers

__all__ = ["Credentials"]

# Every connection brings a new token, so that renewing for its own sake is rarely needed.
_RENEW_AT = 0.9


class Credentials:
    """The token that calls are made with.

    Args:
        token: The token of an earlier process, if there is one.

    Attributes:
        token: The token, or None while there is none that may work. A secret.
    """

    def __init__(
        self,
        token: str | None,
        options: SessionOptions,
        timers: Timers,
        rng: Random,
        emit: Callable[[Command], None],
        number: Callable[[], int],
    ) -> None:
        self.token = token
        self._timers = timers
        self._emit = emit
        self._number = number
        self._backoff = Backoff(options.backoff_base, options.backoff_cap, rng)
        self._request: int | None = None
        self._pausing = False

    def current(self) -> str | None:
        """Return the token."""
        return self.token

    def awaits(self, request: int) -> bool:
        """Whether ``request`` is a renewal under way."""
        return request == self._request

    def granted(self, grant: Grant, now: float) -> None:
        """Take a new token, wherever it came from."""
        self.token = grant.connection_token
        self._request = None
        self._pausing = False
        self._backoff.reset()
        self._timers.set("renew", now + _RENEW_AT * token_lifetime(grant))

    def renew(self) -> None:
        """Ask for a new token, unless that is under way or has just failed."""
        if self._request is None and not self._pausing:
            self._request = self._number()
            self._emit(Trace("token.renew", {}))
            self._emit(RequestConnection(self._request, False, "reconnect", None))

    def failed(self, retry_after: float | None, now: float) -> None:
        """Note that a renewal failed; ask again after a pause, which the service may lengthen."""
        self._request = None
        self._pausing = True
        self._timers.set("renew", now + max(self._backoff.next(), retry_after or 0.0))

    def wake(self) -> None:
        """Note that the pause is over, or the token about to expire."""
        self._pausing = False
