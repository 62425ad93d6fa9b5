"""A chat and who takes part in it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from connect_chat.emulator import frames
from connect_chat.emulator.clock import Clock, timestamp
from connect_chat.emulator.transcript import Transcript
from connect_chat.items import EVENT_PREFIX

__all__ = ["SYSTEM", "Connection", "Contact", "Participant", "Socket"]

SYSTEM: Mapping[str, str] = {
    "ParticipantId": "",
    "DisplayName": "SYSTEM_MESSAGE",
    "ParticipantRole": "SYSTEM",
}
"""How an item says that the flow sent it."""


class Connection(Protocol):
    """The server's end of a websocket. Nothing here waits."""

    def write(self, frame: bytes) -> None:
        """Send an encoded frame."""

    def close(self, code: int) -> None:
        """Begin the closing handshake."""

    def abort(self) -> None:
        """Drop the TCP connection."""


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
        replies: What was answered to requests with a ClientToken, by operation and token.
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
    replies: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def signature(self) -> dict[str, str]:
        """How an item says that this participant sent it."""
        return {
            "ParticipantId": self.id,
            "DisplayName": self.display_name,
            "ParticipantRole": self.role,
        }


class Contact:
    """One chat: its participants, its transcript and the pushing of its items.

    Attributes:
        clock: Its time.
        id: Its ContactId.
        attributes: The contact attributes it was started with.
        content_types: The types of message it takes.
        participants: Everybody who was ever in it, the customer first.
        transcript: What it keeps.
        receipts: When messages were delivered and read, by message and recipient.
        attachments: How many uploads were completed.
        ended: Whether it is over.
    """

    def __init__(
        self, clock: Clock, *, attributes: Mapping[str, str], content_types: frozenset[str]
    ) -> None:
        self.clock = clock
        self._last = 0
        self.id = str(uuid4())
        self.attributes = dict(attributes)
        self.content_types = content_types
        self.participants: list[Participant] = []
        self.transcript = Transcript()
        self.receipts: dict[tuple[str, str], dict[str, str]] = {}
        self.attachments = 0
        self.ended = False

    def has_present(self, role: str) -> bool:
        """Return whether somebody in that role has joined and not left."""
        return any(p.role == role and p.joined and not p.left for p in self.participants)

    def sockets(self) -> Iterator[Socket]:
        """Yield everybody's open websockets."""
        for participant in self.participants:
            yield from participant.sockets

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
        now = self.clock.now()
        # Strictly increasing, so that the times of a contact's items put them in a total order.
        self._last = max(int(now * 1000), self._last + 1)
        item = {
            "AbsoluteTime": timestamp(self._last),
            "Id": str(uuid4()),
            "InitialContactId": self.id,
            "ContactId": self.id,
            "Type": type_,
            "ContentType": content_type,
            **members,
            **(sender or {}),
        }
        if keep:
            self.transcript.append(item, milliseconds=self._last, now=now)
        frame = frames.item(item)
        for socket in self.sockets():
            if socket.subscribed:
                socket.connection.write(frame)
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
