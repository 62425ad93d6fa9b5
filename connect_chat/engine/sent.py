"""What has become of the messages that we sent.

Receipts are sent for the newest message only, so that one of them stands for all our messages up
to the one that it names.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from connect_chat.items import Receipt

__all__ = ["SentMessages", "SentStatus"]

SentStatus = Literal["sent", "delivered", "read"]

_RANK: dict[SentStatus, int] = {"sent": 0, "delivered": 1, "read": 2}
_REMEMBERED = 256


class SentMessages:
    """The status of our messages, the last `_REMEMBERED` of them, in the order of sending."""

    def __init__(self) -> None:
        self._status: OrderedDict[str, SentStatus] = OrderedDict()

    def add(self, item_id: str) -> None:
        """Note that a message was sent."""
        self._status.setdefault(item_id, "sent")
        if len(self._status) > _REMEMBERED:
            self._status.popitem(last=False)

    def take(self, receipt: Receipt) -> None:
        """Take a receipt that somebody else has given."""
        if receipt.message_id not in self._status:
            return
        for item_id, status in self._status.items():
            if _RANK[status] < _RANK[receipt.status]:
                self._status[item_id] = receipt.status
            if item_id == receipt.message_id:
                return

    def status(self, item_id: str) -> SentStatus | None:
        """Return a message's status; None if it is not remembered."""
        return self._status.get(item_id)

    @staticmethod
    def reached(status: SentStatus | None, wanted: SentStatus) -> bool:
        """Whether a status is ``wanted`` or beyond."""
        return status is not None and _RANK[status] >= _RANK[wanted]
