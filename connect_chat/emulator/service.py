"""Chats, who is in them, and how they end. No I/O, and no time of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from connect_chat.emulator.clock import Clock
from connect_chat.emulator.contact import (
    ChatOptions,
    Connection,
    Contact,
    Participant,
    Segment,
    Socket,
)
from connect_chat.emulator.idleness import Idleness
from connect_chat.emulator.ledger import Ledger
from connect_chat.emulator.messages import check_message, send_message
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.settings import EmulatorSettings
from connect_chat.emulator.tokens import Tokens
from connect_chat.emulator.transcript import Transcript

__all__ = ["GOING_AWAY", "Service"]

_NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
"""The code that a websocket is closed with at its ConnectionExpiry."""

_STAFF = ("AGENT", "SUPERVISOR")


class Service:
    """The emulated service.

    Chats that are over are forgotten, the oldest first, when there are too many of them or no
    room for others.

    Attributes:
        settings: Its times and limits.
        clock: Its time.
        tokens: Whose tokens and websocket URLs are whose.
        on_start: Called with each chat that is started.
        on_forget: Called with each chat that is forgotten.
    """

    def __init__(self, settings: EmulatorSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.tokens = Tokens(settings, clock)
        self.on_start: list[Callable[[Contact], object]] = []
        self.on_forget: list[Callable[[Contact], None]] = []
        self._by_contact_id: dict[str, Contact] = {}
        self._chats: dict[str, Contact] = {}
        self._ended: deque[Contact] = deque()
        self._idleness: dict[Contact, Idleness] = {}
        self._items = Ledger(settings.max_items, "items", self.forget_one)

    # --- Chats -----------------------------------------------------------------------------------

    def contact(self, contact_id: str) -> Contact:
        """Return a chat, over or not, by any of its ContactIds.

        Raises:
            Refusal: ResourceNotFoundException.
        """
        try:
            return self._by_contact_id[contact_id]
        except KeyError:
            raise Refusal("ResourceNotFoundException", "There is no such contact.") from None

    def running_contact(self, contact_id: str) -> Contact:
        """Return a chat that is not over.

        Raises:
            Refusal: ResourceNotFoundException if there is none, AccessDeniedException if it is
                over.
        """
        contact = self.contact(contact_id)
        self._check_running(contact)
        return contact

    def chats(self) -> list[Contact]:
        """Return all chats that are known, over or not, in the order of their beginning."""
        return list(self._chats.values())

    def ended_contact(self, contact_id: str) -> Contact:
        """Return a chat that is over.

        Raises:
            Refusal: ResourceNotFoundException if there is none, InvalidRequestException if it is
                not over.
        """
        contact = self.contact(contact_id)
        if not contact.ended:
            raise Refusal("InvalidRequestException", "The chat to go on from has not ended.")
        return contact

    def start_chat(
        self,
        options: ChatOptions,
        *,
        display_name: str,
        initial_message: tuple[str, str] | None = None,
        rehydrated: str | None = None,
    ) -> Participant:
        """Start a chat and return its customer.

        Args:
            options: What it is started with.
            display_name: The customer's name.
            initial_message: Content type and content of what the customer says first.
            rehydrated: A contact of a chat that is over, which this one goes on from.

        Raises:
            Refusal: As `ended_contact` for the contact to go on from,
                ValidationException for an initial message that the chat does not take,
                LimitExceededException or ThrottlingException if the emulator is full.
        """
        if len(self._chats) - len(self._ended) >= self.settings.max_chats:
            raise Refusal("LimitExceededException", "There are too many chats.")
        self._items.check()
        if initial_message is not None:
            check_message(options.content_types, *initial_message)
        past = self.ended_contact(rehydrated).transcript.until(rehydrated) if rehydrated else []
        contact = Contact(
            self.clock,
            options,
            transcript=Transcript(past, lag=self.settings.transcript_lag),
            ledger=self._items,
            after=past[-1].milliseconds if past else 0,
        )
        customer = self._add(contact, "CUSTOMER", display_name, self.settings.connect_within)
        if rehydrated:
            contact.post_event("chat.rehydrated")
        if initial_message is not None:
            send_message(customer, *initial_message)
        self._chats[contact.id] = self._by_contact_id[contact.id] = contact
        self.tokens.admit(customer)
        contact.at_end.append(self.clock.after(options.lasts, self.end, contact))
        for begin in self.on_start:
            begin(contact)
        return customer

    def end(self, contact: Contact) -> None:
        """End a chat and close its websockets; nothing happens if it is over."""
        if contact.ended:
            return
        contact.post_event("chat.ended")
        contact.ended = True
        contact.segments[-1].disconnected = self.clock.now()
        for socket in contact.sockets():
            socket.connection.close(_NORMAL_CLOSURE)
        for call_off in contact.at_end:
            call_off()
        self._ended.append(contact)
        if len(self._ended) > self.settings.ended_chats_kept:
            self.forget_one()

    def forget_one(self) -> bool:
        """Forget the chat that ended first; return False if no chat has ended."""
        if not self._ended:
            return False
        contact = self._ended.popleft()
        del self._chats[contact.initial_id]
        for segment in contact.segments:
            del self._by_contact_id[segment.id]
        for participant in contact.participants:
            self.tokens.forget(participant)
        self._items.kept -= len(contact.transcript)
        for forget in self.on_forget:
            forget(contact)
        return True

    # --- Participants ----------------------------------------------------------------------------

    def add_participant(self, contact: Contact, *, role: str, display_name: str) -> Participant:
        """Add a participant, which still has to connect, to a running chat.

        Raises:
            Refusal: ConflictException if the chat is over, ServiceQuotaExceededException for a
                second CUSTOM_BOT, ThrottlingException if the emulator is full.
        """
        if contact.ended:
            raise Refusal("ConflictException", "The contact has ended.")
        contact.check_room()
        if role == "CUSTOM_BOT" and any(
            participant.role == role and (participant.present or self._may_join(participant))
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
        self.tokens.admit(participant)
        return participant

    def _add(self, contact: Contact, role: str, display_name: str, within: float) -> Participant:
        participant = Participant(contact, role, display_name, self.clock.now() + within)
        contact.participants.append(participant)
        return participant

    def join(self, participant: Participant) -> None:
        """Mark a participant as connected; the first time this makes it join."""
        if participant.joined:
            return
        participant.joined = True
        contact = participant.contact
        if participant.role == "AGENT":
            contact.segments[-1].agent = participant
            contact.segments[-1].agent_joined = self.clock.now()
        contact.post_event("participant.joined", sender=participant.signature)

    def leave(self, participant: Participant) -> None:
        """Let a participant leave. The chat goes on without it, unless it is the customer's.

        Its tokens are refused from now on, while its websockets stay open until the chat ends.
        """
        self._leave(participant)
        contact = participant.contact
        if participant is not contact.customer:
            return
        for other in contact.present(*contact.options.leave_with_customer):
            self._leave(other)
        if self.settings.disconnect_flow_seconds:
            self.clock.after(self.settings.disconnect_flow_seconds, self.end, contact)
        else:
            self.end(contact)

    def _leave(self, participant: Participant) -> None:
        participant.left = True
        participant.contact.post_event("participant.left", sender=participant.signature)

    def transfer(self, contact: Contact) -> None:
        """Transfer a chat, which goes on as another contact of the same InitialContactId.

        Its agents' and supervisors' part ends with ``transfer.succeeded``: they leave, and their
        websockets are closed. Who takes over has to be added.
        """
        contact.post_event("transfer.succeeded")
        for participant in contact.present(*_STAFF):
            self._leave(participant)
            for socket in participant.sockets:
                socket.subscribed = False
                socket.connection.close(_NORMAL_CLOSURE)
        now = self.clock.now()
        contact.segments[-1].disconnected = now
        contact.segments.append(Segment(now, "TRANSFER", previous=contact.id))
        self._by_contact_id[contact.id] = contact

    def rename(self, participant: Participant, display_name: str) -> None:
        """Let a participant go by another name."""
        participant.display_name = display_name
        participant.contact.post_event(
            "participant.displayname.updated", sender=participant.signature
        )

    def idleness(self, contact: Contact) -> Idleness:
        """Return what watches over a chat's idle participants."""
        idleness = self._idleness.get(contact)
        if idleness is None:
            idleness = self._idleness[contact] = Idleness(contact, self.leave)
            contact.at_end += [idleness.stop, lambda: self._idleness.pop(contact)]
        return idleness

    def check_present(self, participant: Participant) -> None:
        """Check that a participant may still act.

        Raises:
            Refusal: AccessDeniedException if its chat is over, it has left it, or it did not
                connect in time.
        """
        self._check_running(participant.contact)
        if participant.left:
            raise Refusal("AccessDeniedException", "The participant has left the chat.")
        if not (participant.joined or self._may_join(participant)):
            raise Refusal("AccessDeniedException", "The participant did not connect in time.")

    def _may_join(self, participant: Participant) -> bool:
        return not participant.joined and self.clock.now() <= participant.connect_before

    def _check_running(self, contact: Contact) -> None:
        # Timers stop while a machine sleeps, so the time is looked at, too.
        if self.clock.now() > contact.ends_at:
            self.end(contact)
        if contact.ended:
            raise Refusal("AccessDeniedException", "The chat has ended.")

    # --- Websockets ------------------------------------------------------------------------------

    def open_socket(self, secret: str, connection: Connection) -> Socket:
        """Take a websocket whose upgrade presented the secret of a URL.

        Raises:
            Refusal: AccessDeniedException if the URL is unknown, used or too old, if the
                participant may not act any more, or if it has too many websockets. The limit is
                documented, but not what happens beyond it: here the new one is refused, since a
                client that rotates must not lose the socket it has.
        """
        ticket = self.tokens.redeem(secret)
        participant = ticket.participant
        self.check_present(participant)
        if len(participant.sockets) >= self.settings.max_websockets:
            raise Refusal("AccessDeniedException", "The participant has too many websockets.")
        remaining = ticket.expires - self.clock.now()
        cancel = self.clock.after(remaining, connection.close, GOING_AWAY)
        socket = Socket(participant, connection, cancel)
        participant.sockets.append(socket)
        return socket

    def close_socket(self, socket: Socket) -> None:
        """Forget a websocket; its participant stays in the chat."""
        socket.cancel_expiry()
        if socket in socket.participant.sockets:
            socket.participant.sockets.remove(socket)

    def drop_socket(self, socket: Socket) -> None:
        """Abort a websocket."""
        self.close_socket(socket)
        socket.connection.abort()

    def sockets(self, contact_id: str | None = None) -> list[Socket]:
        """Return the open websockets of a chat, or all of them."""
        chats = self._chats.values() if contact_id is None else [self.contact(contact_id)]
        return [socket for chat in chats for socket in chat.sockets()]
