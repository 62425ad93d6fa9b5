"""Which receipts we send, and when.

The service expects few: a read receipt goes out at once, a delivered one is held for a moment in
case the message is read meanwhile, and of each kind only one goes out per interval, for the
newest message; it stands for the older ones, too. None is repeated, and none is sent for a
message older than the last one that was. A conflict (a supervisor has barged in) switches them
off.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from connect_chat.engine.commands import Command, SendReceipt, Trace
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.timers import Timers
from connect_chat.items import AttachmentMessage, Item, Message

__all__ = ["ReceiptKind", "Receipts", "deserves_receipt"]

ReceiptKind = Literal["delivered", "read"]

_Mark = tuple[datetime, str]


class Receipts:
    """Decides on our receipts.

    Attributes:
        on: Whether receipts are sent at all.
    """

    def __init__(
        self,
        options: SessionOptions,
        timers: Timers,
        emit: Callable[[Command], None],
        number: Callable[[], int],
    ) -> None:
        self.on = True
        self._options = options
        self._timers = timers
        self._emit = emit
        self._number = number
        self._due: dict[ReceiptKind, _Mark] = {}
        self._sent: dict[ReceiptKind, _Mark] = {}
        self._free_at: dict[ReceiptKind, float] = {"delivered": 0.0, "read": 0.0}

    def mark(self, kind: ReceiptKind, item: Item, now: float) -> None:
        """Note that somebody else's message was delivered to, or read by, our user."""
        if not self.on or item.id is None or item.absolute_time is None:
            return
        mark = (item.absolute_time, item.id)
        if not self._news(kind, mark):
            return
        self._due[kind] = mark
        if kind == "read":
            held = self._due.get("delivered")
            if held is not None and held <= mark:
                self._forget("delivered")
            at = now
        else:
            at = now + self._options.receipt_hold
        at = max(at, self._free_at[kind])
        if at <= now:
            self._send(kind, now)
        elif kind not in self._timers:
            self._timers.set(kind, at)

    def wake(self, kind: ReceiptKind, now: float) -> None:
        """Send the receipt that was held."""
        if kind in self._due:
            self._send(kind, now)

    def switch_off(self, why: str) -> None:
        """Send no more receipts; say so once."""
        if self.on:
            self.on = False
            self._emit(Trace("receipts.off", {"why": why}))
            self._forget("delivered")
            self._forget("read")

    def _news(self, kind: ReceiptKind, mark: _Mark) -> bool:
        """Whether a receipt would say anything that was not said, or is about to be."""
        known = [self._sent.get(kind), self._due.get(kind)]
        if kind == "delivered":
            known += [self._sent.get("read"), self._due.get("read")]
        return all(other is None or other < mark for other in known)

    def _send(self, kind: ReceiptKind, now: float) -> None:
        mark = self._due.pop(kind)
        self._timers.cancel(kind)
        self._sent[kind] = mark
        self._free_at[kind] = now + self._options.receipt_interval
        self._emit(SendReceipt(self._number(), kind, mark[1]))

    def _forget(self, kind: ReceiptKind) -> None:
        self._due.pop(kind, None)
        self._timers.cancel(kind)


def deserves_receipt(item: Item) -> bool:
    """Whether an item is one that people send receipts for: said by a participant, not by us."""
    return (
        isinstance(item, Message | AttachmentMessage)
        and not item.from_me
        and item.participant_role not in (None, "SYSTEM")
    )
