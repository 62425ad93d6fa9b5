"""A chat and who takes part in it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from uuid import uuid4

from connect_chat.emulator import frames
from connect_chat.emulator.clock import Clock, timestamp
from connect_chat.emulator.idempotency import Replies
from connect_chat.emulator.ledger import Ledger
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.transcript import Transcript
from connect_chat.items import EVENT_PREFIX

__all__ = [
    "SYSTEM",
    "ChatOptions",
    "Connection",
    "Contact",
    "Direction",
    "Participant",
    "Segment",
    "Socket",
]

SYSTEM: Mapping[str, str] = {
    "ParticipantId": "",
    "DisplayName": "SYSTEM_MESSAGE",
    "ParticipantRole": "SYSTEM",
}
"""How an item says that the flow sent it."""

_MOST_REPLIES = 1000

Direction = Literal["up", "down", "both"]
"""To the service, to the client, or both."""


class Connection(Protocol):
    """The server's end of a websocket. Nothing here waits."""

    def write(self, frame: bytes) -> None:
        """Send an encoded frame."""

    def close(self, code: int) -> None:
        """Begin the closing handshake."""

    def abort(self) -> None:
        """Drop the TCP connection."""

    def hold(self, direction: Direction) -> Callable[[], None]:
        """Let nothing through in a direction; return what ends that."""


@dataclass(slots=True, eq=False)
class Socket:
    """An open websocket of a participant.

    Attributes:
        participant: Whose it is.
        connection: What carries it.
        cancel_expiry: Calls off its closing at ConnectionExpiry.
        subscribed: Whether it gets items.
    """

    participant: Participant
    connection: Connection
    cancel_expiry: Callable[[], None]
    subscribed: bool = False


@dataclass(slots=True, eq=False)
class Participant:
    """Somebody in a chat.

    Attributes:
        contact: The chat.
        role: ``"CUSTOMER"``, ``"AGENT"``, ``"CUSTOM_BOT"`` or ``"SUPERVISOR"``.
        display_name: The name that the others see.
        connect_before: The time, in seconds, after which its tokens are refused unless it has
            joined by then.
        id: Its ParticipantId.
        token: Its ParticipantToken.
        joined: Whether it has connected at least once.
        left: Whether it has disconnected.
        sockets: Its open websockets.
        replies: What was answered to its requests with a ClientToken.
    """

    contact: Contact = field(repr=False)
    role: str
    display_name: str = field(repr=False)
    connect_before: float
    id: str = field(default_factory=lambda: str(uuid4()))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    joined: bool = False
    left: bool = False
    sockets: list[Socket] = field(default_factory=list, repr=False)
    replies: Replies = field(default_factory=lambda: Replies(_MOST_REPLIES), repr=False)

    @property
    def present(self) -> bool:
        """Whether it has joined and not left."""
        return self.joined and not self.left

    @property
    def signature(self) -> dict[str, str]:
        """How an item says that this participant sent it."""
        return {
            "ParticipantId": self.id,
            "DisplayName": self.display_name,
            "ParticipantRole": self.role,
        }


@dataclass(slots=True, eq=False)
class Segment:
    """One contact of a chat. A chat that is transferred goes on as another contact.

    Attributes:
        initiated: When it began, in seconds.
        method: Its InitiationMethod.
        previous: The ContactId of the one before.
        id: Its ContactId.
        disconnected: When it ended, in seconds, or None.
        agent: The agent who joined it last.
        agent_joined: When that was, in seconds.
    """

    initiated: float
    method: str
    previous: str | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    disconnected: float | None = None
    agent: Participant | None = field(default=None, repr=False)
    agent_joined: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """What a chat is started with.

    Attributes:
        instance_id: The Connect instance, which quotas are counted for.
        content_types: The types of message it takes.
        attributes: Contact attributes.
        segment_attributes: SegmentAttributes.
        customer_id: CustomerId.
        related_contact_id: The contact that it is related to or goes on from.
        response_mode: ``"INCREMENTAL"``, answers may stream; or ``"COMPLETE"``, they do not.
        leave_with_customer: Roles that leave the chat when its customer does.
        lasts: Its duration in seconds.
    """

    instance_id: str
    content_types: frozenset[str]
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    segment_attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    customer_id: str | None = None
    related_contact_id: str | None = None
    response_mode: str = "INCREMENTAL"
    leave_with_customer: frozenset[str] = frozenset()
    lasts: float


class Contact:
    """One chat: its participants, its transcript and the pushing of its items.

    Attributes:
        clock: Its time.
        options: What it was started with.
        segments: Its contacts, the initial one first.
        participants: Everybody who was ever in it, the customer first.
        transcript: What it keeps.
        receipts: When messages were delivered and read, by message and recipient.
        attachments: How many uploads were completed.
        ends_at: The time, in seconds, at which it has lasted long enough.
        ended: Whether it is over.
        at_end: What is called when it ends.

    Args:
        after: A time in milliseconds that the times of its items are later than.
    """

    def __init__(
        self,
        clock: Clock,
        options: ChatOptions,
        *,
        transcript: Transcript,
        ledger: Ledger,
        after: int = 0,
    ) -> None:
        self.clock = clock
        self.options = options
        self._ledger = ledger
        self._last = after
        self._watchers: list[Callable[[Mapping[str, Any]], None]] = []
        self.segments = [Segment(clock.now(), "API")]
        self.participants: list[Participant] = []
        self.transcript = transcript
        self.receipts: dict[tuple[str, str], dict[str, str]] = {}
        self.attachments = 0
        self.ends_at = clock.now() + options.lasts
        self.ended = False
        self.at_end: list[Callable[[], object]] = []

    @property
    def id(self) -> str:
        """The ContactId of now."""
        return self.segments[-1].id

    @property
    def initial_id(self) -> str:
        """The InitialContactId."""
        return self.segments[0].id

    @property
    def customer(self) -> Participant:
        """Whose chat it is."""
        return self.participants[0]

    def present(self, *roles: str) -> list[Participant]:
        """Return who is in it, in these roles."""
        return [p for p in self.participants if p.role in roles and p.present]

    def participant(self, participant_id: str) -> Participant:
        """Return who has this ParticipantId.

        Raises:
            Refusal: ResourceNotFoundException.
        """
        for participant in self.participants:
            if participant.id == participant_id:
                return participant
        raise Refusal("ResourceNotFoundException", "There is no such participant in this chat.")

    def sockets(self) -> Iterator[Socket]:
        """Yield everybody's open websockets."""
        for participant in self.participants:
            yield from participant.sockets

    def watch(self, watcher: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        """Call ``watcher`` with every Item from now on; return what calls that off."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def check_room(self) -> None:
        """Check that there is memory for one more item.

        Raises:
            Refusal: ThrottlingException.
        """
        self._ledger.check()

    def tick(self) -> int:
        """Return the time in milliseconds, later than ever before.

        Strictly increasing, so that the times of a chat's items put them in a total order.
        """
        self._last = max(int(self.clock.now() * 1000), self._last + 1)
        return self._last

    def post(
        self,
        type_: str,
        content_type: str,
        *,
        sender: Mapping[str, str] | None = None,
        keep: bool = True,
        **members: Any,
    ) -> dict[str, Any]:
        """Stamp an item, keep it in the transcript and push it to everybody, the sender too.

        Args:
            type_: Its Type.
            content_type: Its ContentType.
            sender: The members that say who sent it, if anybody did.
            keep: Whether the transcript keeps it.
            **members: Its further members.

        Returns:
            The Item, in the service's spelling.
        """
        milliseconds = self.tick()
        item = self.stamped(
            {"Type": type_, "ContentType": content_type, **members, **(sender or {})}, milliseconds
        )
        if keep:
            self.keep(item, milliseconds)
        self.push(item)
        return item

    def post_event(
        self,
        name: str,
        *,
        sender: Mapping[str, str] | None = None,
        keep: bool = True,
        **members: Any,
    ) -> dict[str, Any]:
        """Post an event by the short name of its content type, for example ``"chat.ended"``."""
        return self.post("EVENT", EVENT_PREFIX + name, sender=sender, keep=keep, **members)

    def stamped(self, members: Mapping[str, Any], milliseconds: int) -> dict[str, Any]:
        """Return an Item of these members that belongs to the contact of now."""
        return {
            "AbsoluteTime": timestamp(milliseconds),
            "Id": str(uuid4()),
            "InitialContactId": self.initial_id,
            "ContactId": self.id,
            **members,
        }

    def keep(self, item: Mapping[str, Any], milliseconds: int) -> None:
        """Keep an item in the transcript.

        Args:
            item: The Item.
            milliseconds: Its AbsoluteTime.
        """
        self.transcript.keep(item, milliseconds=milliseconds, now=self.clock.now())
        self._ledger.kept += 1

    def push(self, item: Mapping[str, Any]) -> None:
        """Push an item to everybody, and show it to those who watch."""
        frame = frames.item(item)
        for socket in self.sockets():
            if socket.subscribed:
                socket.connection.write(frame)
        for watcher in list(self._watchers):
            watcher(item)
