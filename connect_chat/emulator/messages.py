"""What participants say: messages, typing and receipts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic_core import from_json

from connect_chat.emulator.clock import timestamp
from connect_chat.emulator.contact import SYSTEM, Contact, Participant
from connect_chat.emulator.refusal import Refusal
from connect_chat.items import (
    EVENT_PREFIX,
    INTERACTIVE_CONTENT_TYPE,
    INTERACTIVE_RESPONSE_CONTENT_TYPE,
)

__all__ = [
    "MESSAGE_CONTENT_TYPES",
    "check_message",
    "push_event",
    "say_as_system",
    "send_event",
    "send_message",
]

_MOST_CHARACTERS = {
    "text/plain": 1024,
    "text/markdown": 1024,
    "application/json": 12000,
    INTERACTIVE_RESPONSE_CONTENT_TYPE: 12288,
}

MESSAGE_CONTENT_TYPES = (*_MOST_CHARACTERS, INTERACTIVE_CONTENT_TYPE)
"""The types of message there are; the last is what only a flow sends."""

_MOST_TEMPLATE_BYTES = 20 * 1024

_RECEIPTS = {
    EVENT_PREFIX + "message.delivered": "DeliveredTimestamp",
    EVENT_PREFIX + "message.read": "ReadTimestamp",
}
_NOT_KEPT = {
    "typing",
    "message.delivered",
    "message.read",
    "message.metadata",
    "participant.idle",
    "participant.returned",
    "participant.autodisconnection",
}
"""The events that the transcript does not keep."""

_TYPING = EVENT_PREFIX + "typing"
_ACKNOWLEDGED = EVENT_PREFIX + "connection.acknowledged"


def check_message(content_types: Collection[str], content_type: str, content: str) -> None:
    """Check what a participant wants to say in a chat that takes these types.

    Raises:
        Refusal: ValidationException for a type that the API or the chat does not take, or for a
            content that is empty or too long for its type.
    """
    most = _MOST_CHARACTERS.get(content_type)
    if most is None or content_type not in content_types:
        raise Refusal("ValidationException", "The ContentType is not supported by this chat.")
    if not 1 <= len(content) <= most:
        raise Refusal(
            "ValidationException", f"The Content must have 1 to {most} characters for its type."
        )


def send_message(sender: Participant, content_type: str, content: str) -> dict[str, Any]:
    """Let a participant say something, as with SendMessage; return the Item.

    Raises:
        Refusal: As `check_message`; ThrottlingException if the emulator is full.
    """
    contact = sender.contact
    check_message(contact.options.content_types, content_type, content)
    contact.check_room()
    return contact.post("MESSAGE", content_type, sender=sender.signature, Content=content)


def say_as_system(contact: Contact, content: str, *, content_type: str) -> dict[str, Any]:
    """Let the flow say something; return the Item.

    Raises:
        Refusal: ValidationException for a type of message that does not exist or an interactive
            message that is too large, ThrottlingException if the emulator is full.
    """
    if content_type not in MESSAGE_CONTENT_TYPES:
        raise Refusal("ValidationException", "The ContentType is not supported.")
    if content_type == INTERACTIVE_CONTENT_TYPE and len(content.encode()) > _MOST_TEMPLATE_BYTES:
        raise Refusal(
            "ValidationException",
            f"An interactive message has {_MOST_TEMPLATE_BYTES} bytes at most.",
        )
    contact.check_room()
    return contact.post("MESSAGE", content_type, sender=SYSTEM, Content=content)


def send_event(sender: Participant, content_type: str, content: str | None) -> dict[str, Any]:
    """Let a participant send an event, as with SendEvent; return the Item.

    Raises:
        Refusal: ValidationException for another type of event or a receipt of no message of the
            chat, ConflictException for a receipt while a supervisor has barged in.
    """
    contact = sender.contact
    if content_type in _RECEIPTS:
        return _receipt(sender, _RECEIPTS[content_type], content)
    if content_type not in (_TYPING, _ACKNOWLEDGED):
        raise Refusal("ValidationException", "The ContentType is not supported by SendEvent.")
    kept = content_type != _TYPING
    return contact.post("EVENT", content_type, sender=sender.signature, keep=kept)


def push_event(
    contact: Contact, name: str, *, sender: Participant | None, content: str | None
) -> dict[str, Any]:
    """Let the service say that something has happened; return the Item.

    Args:
        contact: The chat.
        name: The short name of the event's content type, for example ``"transfer.failed"``.
        sender: Whom it is about.
        content: Its Content.
    """
    if sender is not None:
        who: Mapping[str, str] = sender.signature
    else:
        who = {"ParticipantRole": "SYSTEM"} if name.startswith("authentication.") else {}
    members = {} if content is None else {"Content": content}
    return contact.post_event(name, sender=who, keep=name not in _NOT_KEPT, **members)


def _receipt(sender: Participant, kind: str, content: str | None) -> dict[str, Any]:
    contact = sender.contact
    message_id = _message_id(content)
    if message_id not in contact.transcript:
        raise Refusal("ValidationException", "The messageId is not in this chat.")
    if contact.present("SUPERVISOR"):
        raise Refusal("ConflictException", "Receipts are off while a supervisor has barged in.")
    stamps = contact.receipts.setdefault((message_id, sender.id), {})
    stamps.setdefault(kind, timestamp(int(contact.clock.now() * 1000)))
    receipt = {**dict(sorted(stamps.items())), "RecipientParticipantId": sender.id}
    return contact.post(
        "MESSAGEMETADATA",
        EVENT_PREFIX + "message.metadata",
        keep=False,
        MessageMetadata={"MessageId": message_id, "Receipts": [receipt]},
    )


def _message_id(content: str | None) -> str:
    try:
        said = from_json(content or "")
    except ValueError:
        said = None
    found = said.get("messageId") if isinstance(said, dict) else None
    if not isinstance(found, str):
        raise Refusal("ValidationException", 'The Content must be {"messageId": "…"}.')
    return found
