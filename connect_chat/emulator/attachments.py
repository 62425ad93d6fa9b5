"""Files that participants send: announced, uploaded, scanned, fetched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from connect_chat.emulator.contact import Contact, Participant
from connect_chat.emulator.faults import RejectAttachment
from connect_chat.emulator.injection import Faults
from connect_chat.emulator.ledger import Ledger
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.service import Service

__all__ = ["Attachment", "Attachments"]

_CONTENT_TYPE = "application/vnd.amazonaws.connect.message.attachment"

_OVERHEAD = 1024
"""What an attachment takes besides its bytes, so that empty ones are bounded, too."""


@dataclass(slots=True, eq=False)
class Attachment:
    """One file. It is kept in memory, so that its name never becomes a path.

    Attributes:
        owner: Who sends it.
        name: The file's name.
        content_type: Its MIME type.
        size: Its size in bytes, as announced.
        id: Its AttachmentId.
        data: What was uploaded, None before.
        status: None until the upload is completed, then ``"IN_PROGRESS"``, ``"APPROVED"`` or
            ``"REJECTED"``.
    """

    owner: Participant
    name: str = field(repr=False)
    content_type: str
    size: int
    id: str = field(default_factory=lambda: str(uuid4()))
    data: bytes | None = field(default=None, repr=False)
    status: str | None = None

    @property
    def upload_headers(self) -> dict[str, str]:
        """The headers that the upload has to carry, which its URL's signature covers."""
        return {
            "Content-Type": self.content_type,
            "Content-Length": str(self.size),
            "x-amz-meta-initial_contact_id": self.owner.contact.initial_id,
        }


class Attachments:
    """The files of all chats."""

    def __init__(self, service: Service, faults: Faults) -> None:
        self._faults = faults
        self._settings = service.settings
        self._clock = service.clock
        self._by_id: dict[str, Attachment] = {}
        self._by_chat: dict[Contact, list[Attachment]] = {}
        most = self._settings.max_attachment_bytes
        self._bytes = Ledger(most, "bytes of attachments", service.forget_one)
        service.on_forget.append(self._forget)

    def _forget(self, contact: Contact) -> None:
        for attachment in self._by_chat.pop(contact, ()):
            del self._by_id[attachment.id]
            self._bytes.kept -= attachment.size + _OVERHEAD

    def get(self, attachment_id: str) -> Attachment | None:
        """Return a file in whatever state, or None."""
        return self._by_id.get(attachment_id)

    def start(self, owner: Participant, *, name: str, content_type: str, size: int) -> Attachment:
        """Announce a file.

        Raises:
            Refusal: ServiceQuotaExceededException if it is too large or the chat has too many,
                ThrottlingException if the emulator is full.
        """
        if size > self._settings.attachment_max_bytes:
            raise Refusal(
                "ServiceQuotaExceededException",
                f"An attachment has {self._settings.attachment_max_bytes} bytes at most.",
            )
        self._check_count(owner)
        self._bytes.check(size + _OVERHEAD)
        attachment = Attachment(owner, name, content_type, size)
        self._by_id[attachment.id] = attachment
        self._by_chat.setdefault(owner.contact, []).append(attachment)
        self._bytes.kept += size + _OVERHEAD
        return attachment

    def complete(self, owner: Participant, attachment_id: str) -> dict[str, Any]:
        """Hand an uploaded file to the scan, which shows it to everybody; return the Item.

        A scan that takes time is shown as an item that is IN_PROGRESS, followed by an item with
        its outcome. The published shapes do not say whether the two share an Id; here they
        don't, since everywhere else one Id is one item.

        Raises:
            Refusal: ValidationException if it is not an uploaded file of this participant,
                ConflictException if it was completed before, ServiceQuotaExceededException if
                the chat has too many, ThrottlingException if the emulator is full.
        """
        attachment = self._by_id.get(attachment_id)
        if attachment is None or attachment.owner is not owner or attachment.data is None:
            raise Refusal("ValidationException", "The attachment has not been uploaded.")
        if attachment.status is not None:
            raise Refusal("ConflictException", "The attachment is already being completed.")
        self._check_count(owner)
        owner.contact.check_room()
        owner.contact.attachments += 1
        rejected = self._faults.take(RejectAttachment, whom=owner) is not None
        outcome = "REJECTED" if rejected else "APPROVED"
        if not self._settings.scan_seconds:
            return _show(attachment, outcome)
        self._clock.after(self._settings.scan_seconds, self._finish_scan, attachment, outcome)
        return _show(attachment, "IN_PROGRESS")

    def _finish_scan(self, attachment: Attachment, outcome: str) -> None:
        if not attachment.owner.contact.ended:
            _show(attachment, outcome)

    def approved(self, reader: Participant, attachment_id: str) -> Attachment:
        """Return a file of the reader's chat that may be fetched.

        Raises:
            Refusal: AccessDeniedException for a CUSTOM_BOT; ValidationException if the chat has
                no such attachment, or it is not approved.
        """
        if reader.role == "CUSTOM_BOT":
            raise Refusal("AccessDeniedException", "A CUSTOM_BOT may not read attachments.")
        attachment = self._by_id.get(attachment_id)
        if attachment is None or attachment.owner.contact is not reader.contact:
            raise Refusal("ValidationException", "The chat has no such attachment.")
        if attachment.status != "APPROVED":
            raise Refusal("ValidationException", "The attachment is not approved.")
        return attachment

    def _check_count(self, owner: Participant) -> None:
        if owner.contact.attachments >= self._settings.attachments_per_chat:
            raise Refusal(
                "ServiceQuotaExceededException",
                f"A chat carries {self._settings.attachments_per_chat} attachments at most.",
            )


def _show(attachment: Attachment, status: str) -> dict[str, Any]:
    attachment.status = status
    return attachment.owner.contact.post(
        "ATTACHMENT",
        _CONTENT_TYPE,
        sender=attachment.owner.signature,
        Attachments=[
            {
                "ContentType": attachment.content_type,
                "AttachmentId": attachment.id,
                "AttachmentName": attachment.name,
                "Status": status,
            }
        ],
    )
