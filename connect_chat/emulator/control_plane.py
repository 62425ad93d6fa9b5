"""The part of the control plane that starts and stops chats.

Signatures (SigV4) are accepted unchecked, and so are instances and flows: every one exists.
"""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from connect_chat.emulator.api import Call, Handler, routes
from connect_chat.emulator.clock import timestamp
from connect_chat.emulator.faults import Faults
from connect_chat.emulator.messages import MESSAGE_CONTENT_TYPES
from connect_chat.emulator.model import CONTROL_PLANE
from connect_chat.emulator.participant_api import connection_shapes
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.service import Service

__all__ = ["ControlPlane"]

_Reply = dict[str, Any]

_ADDABLE_ROLES = ("CUSTOM_BOT", "AGENT", "SUPERVISOR")
"""Who may be added to a chat.

The service adds a CUSTOM_BOT only: its agents and supervisors come from the agent workspace,
for which there is no other way in here.
"""


class ControlPlane:
    """StartChatContact, CreateParticipant and StopContact."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._replies: dict[tuple[str, str], _Reply] = {}

    def routes(self, faults: Faults) -> list[Route]:
        """Return where the operations are called."""
        return routes(
            CONTROL_PLANE,
            {
                "StartChatContact": self._once(self._start_chat),
                "CreateParticipant": self._once(self._create_participant),
                "StopContact": self._stop,
            },
            clock=self._service.clock,
            faults=faults,
            invalid="InvalidRequestException",
            internal="InternalServiceException",
        )

    def _once(self, handler: Handler) -> Handler:
        """Do once what is asked twice with one ClientToken."""

        def handle(call: Call) -> _Reply:
            key = (call.operation, call.members.get("ClientToken") or "")
            if key in self._replies:
                return self._replies[key]
            reply = handler(call)
            if key[1]:
                self._replies[key] = reply
            return reply

        return handle

    def _start_chat(self, call: Call) -> _Reply:
        members = call.members
        types = members.get("SupportedMessagingContentTypes")
        # What a list may hold is documented, but not what no list means: here, everything.
        allowed = MESSAGE_CONTENT_TYPES if types is None else types
        if "text/plain" not in allowed or not set(allowed) <= set(MESSAGE_CONTENT_TYPES):
            raise Refusal(
                "InvalidRequestException",
                "SupportedMessagingContentTypes must be known types and contain text/plain.",
            )
        first = members.get("InitialMessage")
        try:
            customer = self._service.start_chat(
                display_name=members["ParticipantDetails"]["DisplayName"],
                attributes=members.get("Attributes"),
                initial_message=first and (first["ContentType"], first["Content"]),
                content_types=allowed,
            )
        except Refusal as refusal:  # of the initial message
            raise Refusal("InvalidRequestException", refusal.message) from None
        return {
            "ContactId": customer.contact.id,
            "ParticipantId": customer.id,
            "ParticipantToken": customer.token,
            **connection_shapes(
                self._service, customer, members.get("ConnectionTypes") or [], call.base_url
            ),
        }

    def _create_participant(self, call: Call) -> _Reply:
        contact = self._service.contact(call.members["ContactId"])
        details = call.members["ParticipantDetails"]
        role = details.get("ParticipantRole")
        if role not in _ADDABLE_ROLES:
            raise Refusal(
                "InvalidRequestException",
                f"ParticipantRole must be one of {', '.join(_ADDABLE_ROLES)}.",
            )
        participant = self._service.add_participant(
            contact, role=role, display_name=details.get("DisplayName") or role
        )
        return {
            "ParticipantId": participant.id,
            "ParticipantCredentials": {
                "ParticipantToken": participant.token,
                "Expiry": timestamp(int(participant.connect_before * 1000)),
            },
        }

    def _stop(self, call: Call) -> _Reply:
        contact = self._service.contacts.get(call.members["ContactId"])
        if contact is None:
            raise Refusal("ContactNotFoundException", "There is no such contact.")
        self._service.end(contact)
        return {}
