"""Participants that live in this process, to talk to what is under test."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connect_chat.emulator.attachments import Attachments
from connect_chat.emulator.contact import Participant
from connect_chat.emulator.messages import send_event, send_message
from connect_chat.emulator.service import Service
from connect_chat.emulator.streams import Stream, stream
from connect_chat.errors import ChatEndedError
from connect_chat.items import EVENT_PREFIX, Item, parse_item

__all__ = ["EmulatedParticipant", "StartedChat"]

_MOST_HEARD = 1000
"""Items that wait to be received; older ones are dropped, since most tests receive none."""


@dataclass(frozen=True, slots=True)
class StartedChat:
    """A chat that was started, as StartChatContact answers.

    Attributes:
        contact_id: The chat.
        participant_id: Its customer.
        participant_token: What the customer connects with. Not in the repr.
    """

    contact_id: str
    participant_id: str
    participant_token: str = field(repr=False)


class EmulatedParticipant:
    """A participant in this process: an agent, a supervisor, a bot or a further customer.

    Every method may raise `Refusal`, for what the service would refuse: AccessDeniedException
    once it has left or the chat has ended, ValidationException for a content of a wrong type or
    length, ConflictException for a receipt while a supervisor has barged in.
    """

    def __init__(
        self, participant: Participant, *, service: Service, attachments: Attachments
    ) -> None:
        self._participant = participant
        self._service = service
        self._attachments = attachments
        self._heard: deque[Mapping[str, Any]] = deque(maxlen=_MOST_HEARD)
        self._news = asyncio.Event()
        participant.contact.watch(self._hear)

    @property
    def contact_id(self) -> str:
        """The contact it is in, which is another one once the chat was transferred."""
        return self._participant.contact.id

    @property
    def participant_id(self) -> str:
        """Its own id."""
        return self._participant.id

    def __repr__(self) -> str:
        return f"<EmulatedParticipant {self._participant.role} {self.participant_id}>"

    async def receive(self, timeout: float | None = 10.0) -> Item:
        """Return the next message or file of somebody else, of those since it is here.

        Args:
            timeout: How long to wait, in seconds; None for as long as it takes.

        Raises:
            TimeoutError: There was none in time.
            ChatEndedError: The chat has ended without another one.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self._heard:
                    if self._participant.contact.ended:
                        raise ChatEndedError("the chat has ended, and nothing more was said")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"nobody said anything within {timeout:g} s") from None
        return parse_item(self._heard.popleft())

    def _hear(self, item: Mapping[str, Any]) -> None:
        if item.get("ParticipantId") != self.participant_id and _is_said(item):
            self._heard.append(item)
        self._news.set()

    async def say(self, content: str, *, content_type: str = "text/plain") -> Item:
        """Send a message; return the item that everybody gets."""
        return parse_item(send_message(self._present(), content_type, content))

    async def stream(
        self, pieces: Iterable[str], *, interval: float = 0, content_type: str = "text/plain"
    ) -> Item:
        """Send a message piece by piece, ``interval`` seconds apart; return the whole.

        The service streams what bots answer as SYSTEM (see `Emulator.stream`); clients may not
        put together the pieces of other roles.
        """
        message = Stream(self._present().contact, self._participant.signature, content_type)
        return parse_item(await stream(message, pieces, interval=interval, check=self._present))

    async def type(self) -> None:
        """Show that it is typing."""
        send_event(self._present(), EVENT_PREFIX + "typing", None)

    async def send_file(self, name: str, data: bytes, *, content_type: str) -> Item:
        """Send a file; return the item, IN_PROGRESS or with the outcome of the scan.

        Raises:
            Refusal: Also ServiceQuotaExceededException for a file that is too large or one too
                many.
        """
        owner = self._present()
        attachment = self._attachments.start(
            owner, name=name, content_type=content_type, size=len(data)
        )
        attachment.data = data
        return parse_item(self._attachments.complete(owner, attachment.id))

    async def mark_delivered(self, message_id: str) -> None:
        """Send the receipt that says that it has got a message."""
        self._receipt("message.delivered", message_id)

    async def mark_read(self, message_id: str) -> None:
        """Send the receipt that says that it has read a message."""
        self._receipt("message.read", message_id)

    async def transfer(self, *, display_name: str = "Agent") -> EmulatedParticipant:
        """Transfer the chat to another agent; return that one.

        With ``transfer.succeeded`` the part of all agents and supervisors in it ends, and the
        chat goes on as another contact of the same InitialContactId.
        """
        contact = self._present().contact
        self._service.transfer(contact)
        agent = self._service.add_participant(contact, role="AGENT", display_name=display_name)
        self._service.join(agent)
        return EmulatedParticipant(agent, service=self._service, attachments=self._attachments)

    async def rename(self, display_name: str) -> None:
        """Go by another name, which everybody is told of."""
        self._service.rename(self._present(), display_name)

    async def leave(self) -> None:
        """Leave the chat."""
        self._service.leave(self._present())

    def _receipt(self, name: str, message_id: str) -> None:
        send_event(self._present(), EVENT_PREFIX + name, f'{{"messageId": "{message_id}"}}')

    def _present(self) -> Participant:
        self._service.check_present(self._participant)
        return self._participant


def _is_said(item: Mapping[str, Any]) -> bool:
    """Return whether an item is a message or a file, and final."""
    if item["Type"] == "ATTACHMENT":
        return bool(item["Attachments"][0]["Status"] != "IN_PROGRESS")
    metadata = item.get("MessageMetadata") or {}
    return item["Type"] == "MESSAGE" and bool(metadata.get("MessageCompleted", True))
