"""What a chat carries: one frozen type per kind of item.

Items are parsed from websocket frames, transcript pages and SNS notifications alike, with
`parse_item`. Shapes follow the ``Item`` of the Amazon Connect Participant Service's API model and
what the service pushes beyond it. Any field but ``type`` may be missing: it is ``None`` then, or
empty. A malformed field is treated as missing and costs nothing else; the item as it came is
in ``raw``.

Match on the type and on fields::

    match item:
        case Message(text=text, participant_role="AGENT"):
            ...
        case ChatEnded():
            ...
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import AwareDatetime, BeforeValidator, Field
from pydantic_core import from_json

from connect_chat._shape import Shape, json_object
from connect_chat.errors import InvalidRequestError
from connect_chat.interactive import (
    INTERACTIVE_CONTENT_TYPE,
    INTERACTIVE_RESPONSE_CONTENT_TYPE,
    Carousel,
    Choice,
    Element,
    InteractiveAnswer,
    ListPicker,
    Panel,
    PanelChoice,
    QuickReply,
    Template,
    TimePicker,
    TimeSlot,
    ViewResource,
    parse_template,
)

__all__ = [
    "EVENT_PREFIX",
    "INTERACTIVE_CONTENT_TYPE",
    "INTERACTIVE_RESPONSE_CONTENT_TYPE",
    "Attachment",
    "AttachmentMessage",
    "AuthenticationCancelled",
    "AuthenticationExpired",
    "AuthenticationFailed",
    "AuthenticationInitiated",
    "AuthenticationSucceeded",
    "AuthenticationTimedOut",
    "ChatEnded",
    "ChatRehydrated",
    "ConnectionAcknowledged",
    "InteractiveMessage",
    "InteractiveResponse",
    "Item",
    "Message",
    "MessageMetadata",
    "MessageUpdate",
    "ParticipantActive",
    "ParticipantAutoDisconnected",
    "ParticipantDisplayNameUpdated",
    "ParticipantIdle",
    "ParticipantInactive",
    "ParticipantInvited",
    "ParticipantJoined",
    "ParticipantLeft",
    "ParticipantReturned",
    "Receipt",
    "ReceiptDetail",
    "TransferFailed",
    "TransferSucceeded",
    "Typing",
    "UnknownItem",
    "WorkflowCancelled",
    "parse_item",
]

EVENT_PREFIX = "application/vnd.amazonaws.connect.event."


def _none_if_empty(value: object) -> object:
    """Return None for the empty string, which the service writes for "nobody"."""
    return None if value == "" else value


Name = Annotated[str | None, BeforeValidator(_none_if_empty)]

# Near the ends of what a datetime can hold, adding to one overflows. No item was said then, so
# that such a time counts as malformed.
Moment = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC))
]


class Attachment(Shape):
    """One file of an `AttachmentMessage` (the service's ``AttachmentItem``).

    Attributes:
        attachment_id: What ``download_attachment`` and GetAttachment take.
        attachment_name: The file's name as its sender gave it. Not safe as a path.
        content_type: Its MIME type.
        status: ``"APPROVED"``, ``"REJECTED"`` or ``"IN_PROGRESS"`` (still being scanned).
    """

    attachment_id: str | None = None
    attachment_name: str | None = Field(None, repr=False)
    content_type: str | None = None
    status: str | None = None


class ReceiptDetail(Shape):
    """When one recipient got or read a message (the service's ``Receipt``)."""

    delivered_timestamp: AwareDatetime | None = None
    read_timestamp: AwareDatetime | None = None
    recipient_participant_id: str | None = None


class MessageMetadata(Shape):
    """What the service says about a message.

    Attributes:
        message_id: The message that receipts or pieces belong to.
        receipts: Who has got or read it.
        message_processing_status: ``"PROCESSING"``, ``"FAILED"`` or ``"REJECTED"``.
        chunk_number: The place of a piece of a streamed message, from 1.
        message_completed: False on a piece of a streamed message, True on the whole.
    """

    message_id: str | None = None
    receipts: tuple[ReceiptDetail, ...] = ()
    message_processing_status: str | None = None
    chunk_number: int | None = None
    message_completed: bool | None = None


class Item(Shape):
    """What every item of a chat has.

    Attributes:
        id: The item's identity within the chat; the same Id is the same item.
        type: ``"MESSAGE"``, ``"EVENT"``, ``"ATTACHMENT"``, ``"MESSAGEMETADATA"``, …
        content_type: The MIME type that tells the kinds apart.
        content: The content as it came. Not in the repr.
        absolute_time: When the service took the item, an aware datetime; items are in its order.
        contact_id: The contact the item belongs to.
        initial_contact_id: The first contact of the chain that this one belongs to.
        related_contact_id: For an item of a past contact (persistent chat), that contact.
        participant_id: Who said it; None for the system.
        participant_role: ``"AGENT"``, ``"CUSTOMER"``, ``"SYSTEM"``, ``"CUSTOM_BOT"`` or
            ``"SUPERVISOR"``.
        display_name: The name that participants see. Not in the repr.
        attachments: The files of an `AttachmentMessage`; else empty.
        message_metadata: Receipts and streaming details, where there are any.
        from_me: Whether it was said by the participant whose session delivered it.
        late: Whether later items had been delivered before it was found (see ``ChatSession``).
        raw: The item as the service sent it, not to be changed. Not in the repr nor in dumps.
    """

    type: str
    id: Name = None
    content_type: str | None = None
    content: str | None = Field(None, repr=False)
    absolute_time: Moment | None = None
    contact_id: Name = Field(None, repr=False)
    initial_contact_id: Name = Field(None, repr=False)
    related_contact_id: Name = Field(None, repr=False)
    participant_id: Name = None
    participant_role: str | None = None
    display_name: Name = Field(None, repr=False)
    attachments: tuple[Attachment, ...] = Field((), repr=False)
    message_metadata: MessageMetadata | None = Field(None, repr=False)
    from_me: bool = False
    late: bool = False

    in_transcript: ClassVar[bool] = True
    """Whether GetTranscript keeps items of this kind; what it doesn't is gone if missed."""

    @property
    def raw(self) -> Mapping[str, Any]:
        """The item as the service sent it; empty for an item made by hand."""
        raw: Mapping[str, Any] | str = self.__dict__.get("_raw", {})
        if isinstance(raw, str):
            raw = cast("Mapping[str, Any]", from_json(raw))
            self.__dict__["_raw"] = raw
        return raw


class Message(Item):
    """A message of text, Markdown or JSON.

    Attributes:
        text: The content, ``""`` when there is none.
        incomplete: True for a streamed message whose end did not come, with what there is of it.
    """

    incomplete: bool = False

    __match_args__ = ("text",)

    @property
    def text(self) -> str:
        """What was said: plain text, Markdown or JSON, as `content_type` says."""
        return self.content or ""

    @property
    def streaming(self) -> bool:
        """Whether this is a piece of a streamed message rather than the whole."""
        metadata = self.message_metadata
        return metadata is not None and metadata.message_completed is False


class MessageUpdate(Item):
    """A streamed message as far as it has come; its `Message` follows when it is complete.

    Only delivered by sessions that were asked to. Not kept by the transcript.

    Attributes:
        id: The Id of the message that is growing.
        text: All of it so far. Not in the repr.
        piece: What is new in it. Not in the repr.
    """

    __match_args__ = ("text",)

    in_transcript = False
    piece: str = Field("", repr=False)

    @property
    def text(self) -> str:
        """All of the message so far."""
        return self.content or ""

    @classmethod
    def of(cls, first: Message, *, text: str, piece: str) -> MessageUpdate:
        """Return the update that a piece makes of what its message's first piece began."""
        return cls.model_construct(**{**dict(first), "content": text, "piece": piece})


class InteractiveMessage(Message):
    """A list picker, time picker, panel, carousel, quick reply, view or unknown template.

    What it offers is answered with ``await chat.reply(message.choose("Apple"))``.
    """

    @cached_property
    def template(self) -> Template | None:
        """What it shows; None if its content is no JSON object, and so is in `content` only."""
        return parse_template(self.content)

    @property
    def choices(self) -> tuple[Element | TimeSlot, ...]:
        """What can be chosen, in order; empty if there is nothing to choose."""
        template = self.template
        if isinstance(template, ListPicker | Panel | QuickReply | TimePicker | Carousel):
            return template.choices
        return ()

    @property
    def view_token(self) -> str | None:
        """What ``chat.describe_view`` takes; None if it is no view. A secret."""
        return self.template.view_token if isinstance(self.template, ViewResource) else None

    def choose(self, choice: Choice, *, panel: PanelChoice | None = None) -> InteractiveAnswer:
        """Return the answer that choosing something gives, to be sent with ``chat.reply``.

        Args:
            choice: One of `choices`, or its title, its index there or, for a time slot, its date
                or when it begins (an aware datetime).
            panel: For a carousel, where: a list picker or panel of it, or its
                ``template_identifier``, title or index. Needed if several have such a choice.

        Raises:
            InvalidRequestError: There is no such choice or panel, or the choice is a link.
        """
        template = self.template
        if isinstance(template, Carousel):
            return template.choose(choice, panel=panel)
        if panel is not None:
            raise InvalidRequestError("panel", "left out: the message is no carousel")
        if isinstance(template, ListPicker | Panel | QuickReply | TimePicker):
            return template.choose(choice)
        raise InvalidRequestError("message", "one that offers a choice; see its template and raw")

    def show_more(self) -> InteractiveAnswer:
        """Return the answer that asks a list picker or panel for its next page.

        Raises:
            InvalidRequestError: It does not offer one.
        """
        return self._paged().show_more()

    def previous_options(self) -> InteractiveAnswer:
        """Return the answer that asks a list picker or panel for the page before.

        Raises:
            InvalidRequestError: It does not offer one.
        """
        return self._paged().previous_options()

    def respond(self, action: str, data: Mapping[str, Any] | None = None) -> InteractiveAnswer:
        """Return the answer that an action of a view gives.

        Args:
            action: One of the view's ``actions``, which ``chat.describe_view`` tells.
            data: What was filled in, anything that JSON can hold.

        Raises:
            InvalidRequestError: It is no view.
        """
        if not isinstance(self.template, ViewResource):
            raise InvalidRequestError("message", "a view, to be answered with an action")
        return self.template.respond(action, data)

    def _paged(self) -> ListPicker | Panel:
        if not isinstance(self.template, ListPicker | Panel):
            raise InvalidRequestError("message", "a list picker or a panel, which may have pages")
        return self.template


class InteractiveResponse(Message):
    """An answer to an interactive message that is more than text."""

    @property
    def action(self) -> str | None:
        """What was done: ``"SHOW_MORE"``, ``"PREVIOUS_OPTIONS"`` or the action of a view."""
        action = (json_object(self.content) or {}).get("action")
        return action if isinstance(action, str) else None

    @property
    def data(self) -> Mapping[str, Any]:
        """What was answered; empty if there is nothing."""
        data = (json_object(self.content) or {}).get("data")
        return data if isinstance(data, dict) else {}


class AttachmentMessage(Item):
    """Files that somebody sent, one per item in practice; see `Attachment`."""


class Event(Item):
    """Anything that happens in a chat without being said."""


class Typing(Event):
    """Somebody is typing. Not kept by the transcript."""

    in_transcript = False


class Receipt(Event):
    """A recipient has got or read one of the chat's messages. Not kept by the transcript.

    Attributes:
        status: ``"read"`` if it has been read, else ``"delivered"``.
        message_id: The message.
        recipient_participant_id: Who has got or read it.
    """

    in_transcript = False

    @property
    def _detail(self) -> ReceiptDetail:
        metadata = self.message_metadata
        return metadata.receipts[0] if metadata and metadata.receipts else ReceiptDetail()

    @property
    def message_id(self) -> str | None:
        """The id of the message that was delivered or read."""
        return self.message_metadata.message_id if self.message_metadata else None

    @property
    def recipient_participant_id(self) -> str | None:
        """The participant who has got or read the message."""
        return self._detail.recipient_participant_id

    @property
    def status(self) -> Literal["delivered", "read"]:
        """``"read"`` if it has been read, else ``"delivered"``."""
        return "delivered" if self._detail.read_timestamp is None else "read"

    @property
    def timestamp(self) -> datetime | None:
        """When it was read, or else delivered."""
        return self._detail.read_timestamp or self._detail.delivered_timestamp


class ParticipantJoined(Event):
    """A participant has joined."""


class ParticipantLeft(Event):
    """A participant has left."""


class ParticipantInvited(Event):
    """A participant has been invited."""


class ParticipantIdle(Event):
    """A participant has been silent for long. Not kept by the transcript."""

    in_transcript = False


class ParticipantReturned(Event):
    """An idle participant has returned. Not kept by the transcript."""

    in_transcript = False


class ParticipantAutoDisconnected(Event):
    """A participant was disconnected for being idle. Not kept by the transcript."""

    in_transcript = False


class ParticipantActive(Event):
    """A participant's connection is active."""


class ParticipantInactive(Event):
    """A participant's connection is inactive."""


class ParticipantDisplayNameUpdated(Event):
    """A participant goes by a new name, in `display_name`."""


class TransferSucceeded(Event):
    """The chat was transferred. For an agent or a supervisor this ends their part of it."""


class TransferFailed(Event):
    """The chat could not be transferred."""


class AuthenticationInitiated(Event):
    """The customer is asked to sign in; GetAuthenticationUrl works for a minute from now.

    Attributes:
        session_id: What GetAuthenticationUrl and CancelParticipantAuthentication take.
    """

    @property
    def session_id(self) -> str | None:
        """The authentication session, 36 characters, or None if the item names none."""
        found = (json_object(self.content) or {}).get("SessionId")
        return found if isinstance(found, str) else None


class AuthenticationSucceeded(Event):
    """The customer has signed in."""


class AuthenticationFailed(Event):
    """The customer could not sign in."""


class AuthenticationTimedOut(Event):
    """The customer did not sign in in time."""


class AuthenticationExpired(Event):
    """The sign-in has expired."""


class AuthenticationCancelled(Event):
    """The sign-in was cancelled."""


class ChatRehydrated(Event):
    """A persistent chat goes on from a past contact."""


class ChatEnded(Event):
    """The chat is over; a session delivers nothing after it.

    Attributes:
        inferred: True if the service did not say so itself: a connection was refused (403) while
            we were away, which is how a chat that has ended answers.
    """

    inferred: bool = False


class WorkflowCancelled(Event):
    """A workflow was cancelled."""


class ConnectionAcknowledged(Event):
    """A participant's connection was acknowledged (retired by the service)."""


class UnknownItem(Item):
    """An item of a kind that this version does not know; read it through `raw`."""


_BY_EVENT: dict[str, type[Item]] = {
    EVENT_PREFIX + name: kind
    for name, kind in {
        "typing": Typing,
        "message.delivered": Receipt,
        "message.read": Receipt,
        "message.metadata": Receipt,
        "participant.joined": ParticipantJoined,
        "participant.left": ParticipantLeft,
        "participant.invited": ParticipantInvited,
        "participant.idle": ParticipantIdle,
        "participant.returned": ParticipantReturned,
        "participant.autodisconnection": ParticipantAutoDisconnected,
        "participant.active": ParticipantActive,
        "participant.inactive": ParticipantInactive,
        "participant.displayname.updated": ParticipantDisplayNameUpdated,
        "transfer.succeeded": TransferSucceeded,
        "transfer.failed": TransferFailed,
        "authentication.initiated": AuthenticationInitiated,
        "authentication.succeeded": AuthenticationSucceeded,
        "authentication.failed": AuthenticationFailed,
        "authentication.timeout": AuthenticationTimedOut,
        "authentication.expired": AuthenticationExpired,
        "authentication.cancelled": AuthenticationCancelled,
        "chat.ended": ChatEnded,
        "chat.rehydrated": ChatRehydrated,
        "workflow.cancelled": WorkflowCancelled,
        "connection.acknowledged": ConnectionAcknowledged,
    }.items()
}
_BY_TYPE: dict[str, type[Item]] = {
    "MESSAGE": Message,
    "ATTACHMENT": AttachmentMessage,
    "MESSAGEMETADATA": Receipt,
    "MESSAGE_METADATA": Receipt,
    # The spellings of the API model's ChatItemType that came before EVENT.
    "TYPING": Typing,
    "PARTICIPANT_JOINED": ParticipantJoined,
    "PARTICIPANT_LEFT": ParticipantLeft,
    "CHAT_ENDED": ChatEnded,
    "TRANSFER_SUCCEEDED": TransferSucceeded,
    "TRANSFER_FAILED": TransferFailed,
    "CONNECTION_ACK": ConnectionAcknowledged,
    "MESSAGE_DELIVERED": Receipt,
    "MESSAGE_READ": Receipt,
}
_BY_MESSAGE: dict[str, type[Item]] = {
    INTERACTIVE_CONTENT_TYPE: InteractiveMessage,
    INTERACTIVE_RESPONSE_CONTENT_TYPE: InteractiveResponse,
}


def _kind(type_: str, content_type: object) -> type[Item]:
    if type_ == "MESSAGE" and isinstance(content_type, str):
        return _BY_MESSAGE.get(content_type, Message)
    if type_ == "EVENT" and isinstance(content_type, str):
        return _BY_EVENT.get(content_type, UnknownItem)
    return _BY_TYPE.get(type_, UnknownItem)


def parse_item(raw: Mapping[str, Any], *, from_me: bool = False, late: bool = False) -> Item:
    """Return the typed item that ``raw``, an ``Item`` in the service's spelling, stands for.

    Args:
        raw: The decoded JSON object. It is kept in the item's ``raw``.
        from_me: Becomes the item's ``from_me``.
        late: Becomes the item's ``late``.

    Raises:
        ValueError: ``raw`` is not a JSON object with a ``Type`` (the one field that every item
            has); the message quotes nothing of it.
    """
    # Asking for a dict first is much cheaper than for a Mapping, and this is done for every item.
    is_object = isinstance(raw, dict) or isinstance(raw, Mapping)  # noqa: SIM101
    type_ = raw.get("Type") if is_object else None
    if not isinstance(type_, str):
        raise ValueError("not an Item: it is not an object with a Type")
    item = _kind(type_, raw.get("ContentType")).leniently(raw)
    # Frozen for users; filled in here, once, rather than validated and copied.
    item.__dict__["_raw"] = raw
    if from_me:
        item.__dict__["from_me"] = True
    if late:
        item.__dict__["late"] = True
    return item
