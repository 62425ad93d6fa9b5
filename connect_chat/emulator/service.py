"""Chats, who is in them, and the tokens that let them in. No I/O, and no time of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connect_chat.emulator.clock import Clock
from connect_chat.emulator.contact import Connection, Contact, Participant, Socket
from connect_chat.emulator.messages import MESSAGE_CONTENT_TYPES, send_message
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.settings import EmulatorSettings

__all__ = ["Service"]

_NORMAL_CLOSURE = 1000
_GOING_AWAY = 1001


@dataclass(frozen=True, slots=True)
class _Ticket:
    """The right to open one websocket, which is what a websocket URL carries."""

    participant: Participant
    open_before: float
    expires: float


class Service:
    """The emulated service.

    Attributes:
        settings: Its times and limits.
        clock: Its time.
        contacts: All chats since it started, by ContactId.
    """

    def __init__(self, settings: EmulatorSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.contacts: dict[str, Contact] = {}
        self._by_participant_token: dict[str, Participant] = {}
        self._by_connection_token: dict[str, tuple[Participant, float]] = {}
        self._tickets: dict[str, _Ticket] = {}

    def contact(self, contact_id: str) -> Contact:
        """Return a chat, over or not.

        Raises:
            Refusal: ResourceNotFoundException.
        """
        try:
            return self.contacts[contact_id]
        except KeyError:
            raise Refusal("ResourceNotFoundException", "There is no such contact.") from None

    def running_contact(self, contact_id: str) -> Contact:
        """Return a chat that is not over.

        Raises:
            Refusal: ResourceNotFoundException if there is none, AccessDeniedException if it is
                over.
        """
        contact = self.contact(contact_id)
        if contact.ended:
            raise Refusal("AccessDeniedException", "The chat has ended.")
        return contact

    # --- Chats and participants ------------------------------------------------------------------

    def start_chat(
        self,
        *,
        display_name: str,
        attributes: Mapping[str, str] | None = None,
        initial_message: tuple[str, str] | None = None,
        content_types: Iterable[str] = MESSAGE_CONTENT_TYPES,
    ) -> Participant:
        """Start a chat and return its customer.

        Args:
            display_name: The customer's name.
            attributes: Contact attributes.
            initial_message: Content type and content of what the customer says first.
            content_types: The types of message that participants may send.
        """
        contact = Contact(
            self.clock, attributes=attributes or {}, content_types=frozenset(content_types)
        )
        customer = self._add(contact, "CUSTOMER", display_name, self.settings.connect_within)
        if initial_message is not None:
            send_message(customer, *initial_message)
        self.contacts[contact.id] = contact
        self._by_participant_token[customer.token] = customer
        return customer

    def add_participant(self, contact: Contact, *, role: str, display_name: str) -> Participant:
        """Add a participant, which still has to connect, to a running chat.

        Raises:
            Refusal: ConflictException if the chat is over, ServiceQuotaExceededException for a
                second CUSTOM_BOT.
        """
        if contact.ended:
            raise Refusal("ConflictException", "The contact has ended.")
        if role == "CUSTOM_BOT" and any(
            participant.role == role and not participant.left
            for participant in contact.participants
        ):
            raise Refusal(
                "ServiceQuotaExceededException", "A contact has one custom participant at most."
            )
        within = (
            self.settings.custom_bot_connect_within
            if role == "CUSTOM_BOT"
            else self.settings.connect_within
        )
        participant = self._add(contact, role, display_name, within)
        self._by_participant_token[participant.token] = participant
        return participant

    def _add(self, contact: Contact, role: str, display_name: str, within: float) -> Participant:
        participant = Participant(contact, role, display_name, self.clock.now() + within)
        contact.participants.append(participant)
        return participant

    def join(self, participant: Participant) -> None:
        """Mark a participant as connected; the first time this makes it join."""
        if not participant.joined:
            participant.joined = True
            participant.contact.post_event("participant.joined", sender=participant.signature)

    def leave(self, participant: Participant) -> None:
        """Let a participant leave. The chat goes on without it, unless it is the customer's.

        Its tokens are refused from now on, while its websockets stay open until the chat ends.
        """
        contact = participant.contact
        participant.left = True
        contact.post_event("participant.left", sender=participant.signature)
        if participant is contact.participants[0]:
            if self.settings.disconnect_flow_seconds:
                self.clock.after(self.settings.disconnect_flow_seconds, self.end, contact)
            else:
                self.end(contact)

    def end(self, contact: Contact) -> None:
        """End a chat and close its websockets; nothing happens if it is over."""
        if contact.ended:
            return
        contact.post_event("chat.ended")
        contact.ended = True
        for socket in contact.sockets():
            socket.connection.close(_NORMAL_CLOSURE)

    # --- Tokens ----------------------------------------------------------------------------------

    def by_participant_token(self, token: str | None) -> Participant:
        """Return whose ParticipantToken this is.

        Raises:
            Refusal: AccessDeniedException.
        """
        participant = self._by_participant_token.get(token or "")
        if participant is None:
            raise Refusal("AccessDeniedException", "The participant token is not valid.")
        return participant

    def by_connection_token(self, token: str | None) -> Participant:
        """Return whose ConnectionToken this is.

        Raises:
            Refusal: AccessDeniedException.
        """
        participant, expires = self._by_connection_token.get(token or "", (None, 0.0))
        if participant is None or self.clock.now() > expires:
            raise Refusal("AccessDeniedException", "The connection token is not valid.")
        return participant

    def check_present(self, participant: Participant) -> None:
        """Check that a participant may still act.

        Raises:
            Refusal: AccessDeniedException if its chat is over, it has left it, or it did not
                connect in time.
        """
        if participant.contact.ended:
            raise Refusal("AccessDeniedException", "The chat has ended.")
        if participant.left:
            raise Refusal("AccessDeniedException", "The participant has left the chat.")
        if not participant.joined and self.clock.now() > participant.connect_before:
            raise Refusal("AccessDeniedException", "The participant did not connect in time.")

    def issue_connection_token(self, participant: Participant) -> tuple[str, float]:
        """Return a new ConnectionToken and the time, in seconds, of its expiry."""
        token = secrets.token_urlsafe(48)
        expires = self.clock.now() + self.settings.connection_token_lifetime
        self._by_connection_token[token] = (participant, expires)
        return token, expires

    # --- Websockets ------------------------------------------------------------------------------

    def issue_ticket(self, participant: Participant) -> tuple[str, float]:
        """Return the secret of a new websocket URL and its ConnectionExpiry, in seconds."""
        secret = secrets.token_urlsafe(48)
        now = self.clock.now()
        expires = now + self.settings.websocket_lifetime
        self._tickets[secret] = _Ticket(participant, now + self.settings.url_lifetime, expires)
        return secret, expires

    def open_socket(self, secret: str, connection: Connection) -> Socket:
        """Take a websocket whose upgrade presented the secret of a URL.

        Raises:
            Refusal: AccessDeniedException if the URL is unknown, used or too old, if the
                participant may not act any more, or if it has too many websockets. The limit is
                documented, but not what happens beyond it: here the new one is refused, since a
                client that rotates must not lose the socket it has.
        """
        ticket = self._tickets.pop(secret, None)
        now = self.clock.now()
        if ticket is None or now > min(ticket.open_before, ticket.expires):
            raise Refusal("AccessDeniedException", "The URL is not valid, or not any more.")
        participant = ticket.participant
        self.check_present(participant)
        if len(participant.sockets) >= self.settings.max_websockets:
            raise Refusal("AccessDeniedException", "The participant has too many websockets.")
        cancel = self.clock.after(ticket.expires - now, connection.close, _GOING_AWAY)
        socket = Socket(participant, connection, cancel)
        participant.sockets.append(socket)
        return socket

    def close_socket(self, socket: Socket) -> None:
        """Forget a websocket; its participant stays in the chat."""
        socket.cancel_expiry()
        if socket in socket.participant.sockets:
            socket.participant.sockets.remove(socket)

    def drop_sockets(self, contact_id: str | None = None) -> int:
        """Abort the websockets of a chat, or all of them; return how many there were."""
        sockets = self.sockets(contact_id)
        for socket in sockets:
            self.close_socket(socket)
            socket.connection.abort()
        return len(sockets)

    def sockets(self, contact_id: str | None = None) -> list[Socket]:
        """Return the open websockets of a chat, or all of them."""
        contacts = self.contacts.values() if contact_id is None else [self.contact(contact_id)]
        return [socket for contact in contacts for socket in contact.sockets()]
