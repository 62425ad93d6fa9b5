"""The secrets that let participants in: participant tokens, connection tokens, websocket URLs."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass

from connect_chat.emulator.clock import Clock
from connect_chat.emulator.contact import Participant
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.settings import EmulatorSettings

__all__ = ["Ticket", "Tokens"]

_MOST_PER_PARTICIPANT = 1000
"""A participant's older connection tokens and URLs are forgotten, to bound memory."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to open one websocket, which is what a websocket URL carries.

    Attributes:
        participant: Whose it is.
        open_before: The time, in seconds, after which it is worth nothing.
        expires: The ConnectionExpiry of its websocket.
    """

    participant: Participant
    open_before: float
    expires: float


class Tokens:
    """Whose secret a secret is."""

    def __init__(self, settings: EmulatorSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._participants: dict[str, Participant] = {}
        self._connections: dict[str, tuple[Participant, float]] = {}
        self._tickets: dict[str, Ticket] = {}
        self._issued: dict[Participant, deque[str]] = {}

    def admit(self, participant: Participant) -> None:
        """Let a participant in with its ParticipantToken."""
        self._participants[participant.token] = participant
        self._issued[participant] = deque()

    def forget(self, participant: Participant) -> None:
        """Let a participant in no more."""
        self._participants.pop(participant.token, None)
        for secret in self._issued.pop(participant, ()):
            self._drop(secret)

    def participant(self, token: str | None) -> Participant:
        """Return whose ParticipantToken this is.

        Raises:
            Refusal: AccessDeniedException.
        """
        participant = self._participants.get(token or "")
        if participant is None:
            raise Refusal("AccessDeniedException", "The participant token is not valid.")
        return participant

    def connected(self, token: str | None) -> Participant:
        """Return whose ConnectionToken this is.

        Raises:
            Refusal: AccessDeniedException.
        """
        participant, expires = self._connections.get(token or "", (None, 0.0))
        if participant is None or self._clock.now() > expires:
            raise Refusal("AccessDeniedException", "The connection token is not valid.")
        return participant

    def issue_connection_token(self, participant: Participant) -> tuple[str, float]:
        """Return a new ConnectionToken and the time, in seconds, of its expiry."""
        secret = self._new(participant)
        expires = self._clock.now() + self._settings.connection_token_lifetime
        self._connections[secret] = (participant, expires)
        return secret, expires

    def issue_ticket(self, participant: Participant) -> tuple[str, float]:
        """Return the secret of a new websocket URL and its ConnectionExpiry, in seconds."""
        secret = self._new(participant)
        now = self._clock.now()
        expires = now + self._settings.websocket_lifetime
        self._tickets[secret] = Ticket(participant, now + self._settings.url_lifetime, expires)
        return secret, expires

    def redeem(self, secret: str) -> Ticket:
        """Take the secret of a websocket URL, which is good for one websocket.

        Raises:
            Refusal: AccessDeniedException if it is unknown, used or too old.
        """
        ticket = self._tickets.pop(secret, None)
        if ticket is None or self._clock.now() > min(ticket.open_before, ticket.expires):
            raise Refusal("AccessDeniedException", "The URL is not valid, or not any more.")
        return ticket

    def _new(self, participant: Participant) -> str:
        secret = secrets.token_urlsafe(48)
        issued = self._issued[participant]
        issued.append(secret)
        if len(issued) > _MOST_PER_PARTICIPANT:
            self._drop(issued.popleft())
        return secret

    def _drop(self, secret: str) -> None:
        self._connections.pop(secret, None)
        self._tickets.pop(secret, None)
