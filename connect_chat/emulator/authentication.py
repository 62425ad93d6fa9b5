"""Customers who are asked to sign in."""

from __future__ import annotations

import json
import secrets
from uuid import uuid4

from connect_chat.emulator.contact import Contact, Participant
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.service import Service

__all__ = ["Authentication"]


class Authentication:
    """The sign-ins that are under way."""

    def __init__(self, service: Service) -> None:
        self._settings = service.settings
        self._clock = service.clock
        self._sessions: dict[str, tuple[Contact, float]] = {}
        service.on_forget.append(self._forget)

    def _forget(self, contact: Contact) -> None:
        sessions = self._sessions.items()
        self._sessions = {key: session for key, session in sessions if session[0] is not contact}

    def request(self, contact: Contact) -> str:
        """Ask a chat's customer to sign in; return the session's id."""
        session_id = str(uuid4())
        deadline = self._clock.now() + self._settings.authentication_url_lifetime
        self._sessions[session_id] = (contact, deadline)
        contact.post_event(
            "authentication.initiated",
            sender={"ParticipantRole": "SYSTEM"},
            Content=json.dumps({"SessionId": session_id}),
        )
        return session_id

    def url(self, participant: Participant, session_id: str) -> str:
        """Return where the customer signs in, an address at which nothing is.

        Raises:
            Refusal: ValidationException if the chat has no such session, AccessDeniedException
                if it was initiated too long ago.
        """
        if self._clock.now() > self._deadline(participant, session_id):
            raise Refusal("AccessDeniedException", "The authentication was initiated too long ago.")
        state = secrets.token_urlsafe(24)
        return f"https://sign-in.example.com/oauth2/authorize?response_type=code&state={state}"

    def cancel(self, participant: Participant, session_id: str) -> None:
        """Call a sign-in off and tell everybody.

        Raises:
            Refusal: ValidationException if the chat has no such session.
        """
        self._deadline(participant, session_id)
        del self._sessions[session_id]
        participant.contact.post_event(
            "authentication.cancelled", sender={"ParticipantRole": "SYSTEM"}
        )

    def _deadline(self, participant: Participant, session_id: str) -> float:
        contact, deadline = self._sessions.get(session_id, (None, 0.0))
        if contact is not participant.contact:
            raise Refusal("ValidationException", "The chat has no such authentication session.")
        return deadline
