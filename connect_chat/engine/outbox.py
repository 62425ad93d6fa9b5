"""What we say: one call at a time, in the order it was said in.

The next call begins when the one before it has its answer, so that a repetition can never
overtake. Calls need a connection token but no websocket. A token that has expired is renewed by
the session and the call repeated, once, with the same ClientToken. If that is in vain, it was not
the token: until another call succeeds, or for a while, none is renewed for those that follow.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from connect_chat.engine.commands import CallService, Command, Outgoing

__all__ = ["CallResult", "Outbox"]


# A queue of calls that are not allowed must not become a storm of renewals.
_IN_VAIN = 60.0


@dataclass(frozen=True, slots=True)
class CallResult:
    """How a call ended: an Id and a time, or an error."""

    call: int
    item_id: str | None = None
    absolute_time: datetime | None = None
    error: Exception | None = None


class Outbox:
    """The calls that wait, and the one under way.

    Attributes:
        current: The number of the call under way, or None.
        paused: Whether it waits for a newer token to be repeated.
        results: Outcomes that nobody has fetched yet.
    """

    def __init__(self, emit: Callable[[Command], None], token: Callable[[], str | None]) -> None:
        self.current: int | None = None
        self.paused = False
        self.results: list[CallResult] = []
        self._emit = emit
        self._token = token
        self._waiting: OrderedDict[int, Outgoing] = OrderedDict()
        self._repeated = False
        self._in_vain_until = float("-inf")

    @property
    def said(self) -> Outgoing | None:
        """The message under way, if one is."""
        return None if self.current is None else self._waiting[self.current]

    def put(self, call: int, outgoing: Outgoing) -> None:
        """Add a call behind the others."""
        self._waiting[call] = outgoing
        self.pump()

    def withdraw(self, call: int) -> None:
        """Take a call back if it has not begun; one under way goes on, to keep the order."""
        if call != self.current:
            self._waiting.pop(call, None)

    def pump(self) -> None:
        """Begin the next call, if there is a token and none is under way."""
        token = self._token()
        if self.current is None and self._waiting and token is not None:
            self.current = next(iter(self._waiting))
            self._repeated = False
            self._emit(CallService(self.current, token, self._waiting[self.current]))

    def pause(self, now: float) -> bool:
        """Wait for a newer token to repeat the call under way. False if that is of no use."""
        if self._repeated:
            self._in_vain_until = now + _IN_VAIN
        if now < self._in_vain_until:
            return False
        self._repeated = self.paused = True
        return True

    def resume(self) -> None:
        """Go on with a newer token."""
        token = self._token()
        if self.paused and self.current is not None and token is not None:
            self.paused = False
            self._emit(CallService(self.current, token, self._waiting[self.current]))
        self.pump()

    def finish(self, result: CallResult) -> None:
        """Note how the call under way ended, and begin the next."""
        if result.call != self.current:
            return
        del self._waiting[self.current]
        self.current = None
        self.paused = False
        if result.error is None:
            self._in_vain_until = float("-inf")
        self.results.append(result)
        self.pump()

    def fail_all(self, error: Exception, *, but_current: bool) -> None:
        """Fail every call that waits; the one under way too, unless it may still succeed."""
        for call in list(self._waiting):
            if call == self.current:
                if but_current and not self.paused:
                    continue
                self.current = None
                self.paused = False
            del self._waiting[call]
            self.results.append(CallResult(call, error=error))
