"""The secrets that let participants in: participant tokens, connection tokens, websocket URLs."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from connect_chat.emulator.clock import Clock
from connect_chat.emulator.contact import Participant
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.settings import EmulatorSettings

__all__ = ["Ticket", "Tokens"]

_MOST_PER_PARTICIPANT = 100
"""A participant's older connection tokens, and URLs, are forgotten, to bound memory."""

T = TypeVar("T")


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


class _Issued(Generic[T]):
    """Secrets of one kind, and what each of them stands for."""

    def __init__(self) -> None:
        self._by_secret: dict[str, T] = {}
        self._by_participant: dict[Participant, deque[str]] = {}

    def issue(self, participant: Participant, meaning: T) -> str:
        secret = secrets.token_urlsafe(48)
        self._by_secret[secret] = meaning
        issued = self._by_participant.setdefault(participant, deque())
        issued.append(secret)
        if len(issued) > _MOST_PER_PARTICIPANT:
            self.take(issued.popleft())
        return secret

    def get(self, secret: str) -> T | None:
        return self._by_secret.get(secret)

    def take(self, secret: str) -> T | None:
        return self._by_secret.pop(secret, None)

    def change(self, participant: Participant, meaning: T) -> None:
        for secret in self._by_participant.get(participant, ()):
            if secret in self._by_secret:
                self._by_secret[secret] = meaning

    def forget(self, participant: Participant) -> None:
        for secret in self._by_participant.pop(participant, ()):
            self.take(secret)


class Tokens:
    """Whose secret a secret is."""

    def __init__(self, settings: EmulatorSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._participants: dict[str, Participant] = {}
        self._connections: _Issued[tuple[Participant, float]] = _Issued()
        self._tickets: _Issued[Ticket] = _Issued()

    def admit(self, participant: Participant) -> None:
        """Let a participant in with its ParticipantToken."""
        self._participants[participant.token] = participant

    def forget(self, participant: Participant) -> None:
        """Let a participant in no more."""
        self._participants.pop(participant.token, None)
        self._connections.forget(participant)
        self._tickets.forget(participant)

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
        participant, expires = self._connections.get(token or "") or (None, 0.0)
        if participant is None or self._clock.now() > expires:
            raise Refusal("AccessDeniedException", "The connection token is not valid.")
        return participant

    def holder(self, secret: str | None) -> Participant | None:
        """Return whose secret of whatever kind this is, good or too old, or None."""
        if secret is None:
            return None
        ticket = self._tickets.get(secret)
        if ticket is not None:
            return ticket.participant
        connected, _ = self._connections.get(secret) or (None, 0.0)
        return connected or self._participants.get(secret)

    def expire_connection_tokens(self, participant: Participant) -> None:
        """Refuse the connection tokens that a participant was given so far."""
        self._connections.change(participant, (participant, float("-inf")))

    def issue_connection_token(self, participant: Participant) -> tuple[str, float]:
        """Return a new ConnectionToken and the time, in seconds, of its expiry."""
        expires = self._clock.now() + self._settings.connection_token_lifetime
        return self._connections.issue(participant, (participant, expires)), expires

    def issue_ticket(self, participant: Participant) -> tuple[str, float]:
        """Return the secret of a new websocket URL and its ConnectionExpiry, in seconds."""
        now = self._clock.now()
        expires = now + self._settings.websocket_lifetime
        ticket = Ticket(participant, now + self._settings.url_lifetime, expires)
        return self._tickets.issue(participant, ticket), expires

    def redeem(self, secret: str) -> Ticket:
        """Take the secret of a websocket URL, which is good for one websocket.

        Raises:
            Refusal: AccessDeniedException if it is unknown, used or too old.
        """
        ticket = self._tickets.take(secret)
        if ticket is None or self._clock.now() > min(ticket.open_before, ticket.expires):
            raise Refusal("AccessDeniedException", "The URL is not valid, or not any more.")
        return ticket
