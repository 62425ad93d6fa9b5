"""The files of a chat: whether one more fits in, and what the scan has made of each.

Statuses are read off items as they arrive, before they are put in order and rid of duplicates: the
service does not say whether an item that is APPROVED has another Id than the same file's
IN_PROGRESS.
"""

from __future__ import annotations

from collections import OrderedDict

from connect_chat.engine.options import SessionOptions
from connect_chat.errors import AttachmentError, InvalidRequestError
from connect_chat.items import Item

__all__ = ["Files"]

_REMEMBERED = 1000
_VERDICTS = ("APPROVED", "REJECTED")


class Files:
    """What is known of the files of this contact.

    Args:
        options: Their limits.
    """

    def __init__(self, options: SessionOptions) -> None:
        self._options = options
        self._status: OrderedDict[str, str | None] = OrderedDict()

    def check(self, size: int) -> None:
        """Raise if a file cannot be sent.

        Raises:
            InvalidRequestError: It is empty or too large.
            AttachmentError: The chat has as many files as it may have.
        """
        most = self._options.attachment_max_bytes
        if not 1 <= size <= most:
            raise InvalidRequestError(
                "source",
                f"1 to {most:,} bytes; if an administrator has allowed more, raise "
                "SessionOptions.attachment_max_bytes",
                size=size,
            )
        if len(self._status) >= self._options.attachments_per_chat:
            raise AttachmentError(
                f"the chat has its {self._options.attachments_per_chat} attachments; send a link "
                "instead or, if an administrator has allowed more, raise "
                "SessionOptions.attachments_per_chat"
            )

    def announced(self, attachment_id: str) -> None:
        """Count a file of ours that is about to be uploaded."""
        self._status.setdefault(attachment_id, None)

    def withdrawn(self, attachment_id: str) -> None:
        """Forget a file of ours whose upload has failed, unless the chat has it after all."""
        if self._status.get(attachment_id, "") is None:
            del self._status[attachment_id]

    def seen(self, item: Item) -> None:
        """Note the files of an item."""
        if item.related_contact_id is not None:
            return
        for attachment in item.attachments:
            if attachment.attachment_id is None or self.verdict(attachment.attachment_id):
                continue
            self._status[attachment.attachment_id] = attachment.status
            if len(self._status) > _REMEMBERED:
                self._status.popitem(last=False)

    def status(self, attachment_id: str) -> str | None:
        """Return ``"IN_PROGRESS"``, ``"APPROVED"``, ``"REJECTED"`` or, while unknown, None."""
        return self._status.get(attachment_id)

    def verdict(self, attachment_id: str) -> str | None:
        """Return ``"APPROVED"`` or ``"REJECTED"``, or None before the scan has ended."""
        status = self.status(attachment_id)
        return status if status in _VERDICTS else None
