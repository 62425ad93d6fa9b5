"""The part of the control plane that starts, describes and stops chats.

Signatures (SigV4) are accepted unchecked, and so are instances and flows: every one exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json
from starlette.routing import Route

from connect_chat.emulator.api import Call, Handler, routes
from connect_chat.emulator.clock import timestamp
from connect_chat.emulator.contact import ChatOptions, Contact, Segment
from connect_chat.emulator.exchanges import Exchanges
from connect_chat.emulator.idempotency import Replies
from connect_chat.emulator.messages import MESSAGE_CONTENT_TYPES
from connect_chat.emulator.model import CONTROL_PLANE
from connect_chat.emulator.participant_api import connection_shapes
from connect_chat.emulator.recording import Whom
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.service import Service

__all__ = ["ControlPlane"]

_Reply = dict[str, Any]

_ADDABLE_ROLES = ("CUSTOM_BOT", "AGENT", "SUPERVISOR")
"""Who may be added to a chat.

The service adds a CUSTOM_BOT only: its agents and supervisors come from the agent workspace,
for which there is no other way in here.
"""

_MOST_REPLIES = 10_000


class ControlPlane:
    """StartChatContact, CreateParticipant, DescribeContact and what else there is of `connect`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._replies = Replies(_MOST_REPLIES)

    def routes(self, exchanges: Exchanges) -> list[Route]:
        """Return where the operations are called."""
        return routes(
            CONTROL_PLANE,
            {
                "StartChatContact": self._once(self._start_chat),
                "CreateParticipant": self._once(self._create_participant),
                "StopContact": self._stop,
                "DescribeContact": self._describe,
                "UpdateParticipantRoleConfig": self._configure_roles,
            },
            clock=self._service.clock,
            exchanges=exchanges,
            whose=self._concerned,
            invalid="InvalidRequestException",
            internal="InternalServiceException",
        )

    def _concerned(self, _: str | None, body: bytes) -> Whom:
        """Return the chat that a request names, if it is one."""
        try:
            members = from_json(body)
            return self._service.contact(members.get("ContactId", ""))
        except (ValueError, AttributeError, Refusal):
            return None

    def _once(self, handler: Handler) -> Handler:
        """Do once what is asked twice with one ClientToken."""

        def handle(call: Call) -> _Reply:
            token = call.members.get("ClientToken")
            return self._replies.once(call.operation, token, lambda: handler(call))

        return handle

    def _start_chat(self, call: Call) -> _Reply:
        members = call.members
        first = members.get("InitialMessage")
        rehydrated = self._rehydrated(members)
        try:
            customer = self._service.start_chat(
                self._options(members, rehydrated),
                display_name=members["ParticipantDetails"]["DisplayName"],
                initial_message=first and (first["ContentType"], first["Content"]),
                rehydrated=rehydrated,
            )
        except Refusal as refusal:
            if refusal.code == "ValidationException":  # of the initial message
                raise Refusal("InvalidRequestException", refusal.message) from None
            if refusal.code == "ThrottlingException":  # which this operation doesn't name
                raise Refusal("LimitExceededException", refusal.message) from None
            raise
        return {
            "ContactId": customer.contact.id,
            "ParticipantId": customer.id,
            "ParticipantToken": customer.token,
            **({"ContinuedFromContactId": rehydrated} if rehydrated else {}),
            **connection_shapes(
                self._service, customer, members.get("ConnectionTypes") or [], call.base_url
            ),
        }

    def _options(self, members: Mapping[str, Any], rehydrated: str | None) -> ChatOptions:
        types = members.get("SupportedMessagingContentTypes")
        # What a list may hold is documented, but not what no list means: here, everything.
        allowed = MESSAGE_CONTENT_TYPES if types is None else types
        if "text/plain" not in allowed or not set(allowed) <= set(MESSAGE_CONTENT_TYPES):
            raise Refusal(
                "InvalidRequestException",
                "SupportedMessagingContentTypes must be known types and contain text/plain.",
            )
        settings = self._service.settings
        minutes = members.get("ChatDurationInMinutes")
        # What no ResponseMode means is not published: here, what shows what a client can do.
        mode = (members.get("ParticipantConfiguration") or {}).get("ResponseMode")
        return ChatOptions(
            instance_id=members["InstanceId"],
            content_types=frozenset(allowed),
            attributes=members.get("Attributes") or {},
            segment_attributes=members.get("SegmentAttributes") or {},
            customer_id=members.get("CustomerId"),
            related_contact_id=rehydrated or members.get("RelatedContactId"),
            response_mode=mode or "INCREMENTAL",
            leave_with_customer=frozenset(members.get("DisconnectOnCustomerExit") or ()),
            lasts=settings.chat_duration
            if minutes is None
            else minutes * settings.seconds_per_minute,
        )

    def _rehydrated(self, members: Mapping[str, Any]) -> str | None:
        """Return the contact that a persistent chat goes on from; None for another chat.

        Raises:
            Refusal: InvalidRequestException for what is contradictory, or a chat that is not
                over; ResourceNotFoundException for a contact that is unknown (or forgotten).
        """
        persistent = members.get("PersistentChat")
        if persistent is None:
            return None
        if members.get("RelatedContactId") is not None:
            raise Refusal(
                "InvalidRequestException",
                "RelatedContactId and PersistentChat exclude each other.",
            )
        how, source = persistent.get("RehydrationType"), persistent.get("SourceContactId")
        if how is None or source is None:
            raise Refusal(
                "InvalidRequestException",
                "PersistentChat needs RehydrationType and SourceContactId.",
            )
        contact = self._service.ended_contact(source)
        if how == "FROM_SEGMENT":
            return str(source)
        if source != contact.initial_id:
            raise Refusal(
                "InvalidRequestException",
                "For ENTIRE_PAST_SESSION the SourceContactId is an InitialContactId.",
            )
        return contact.id

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
        try:
            contact = self._service.contact(call.members["ContactId"])
        except Refusal as refusal:
            raise Refusal("ContactNotFoundException", refusal.message) from None
        self._service.end(contact)
        return {}

    def _describe(self, call: Call) -> _Reply:
        contact = self._service.contact(call.members["ContactId"])
        segment = next(part for part in contact.segments if part.id == call.members["ContactId"])
        return {"Contact": _description(contact, segment)}

    def _configure_roles(self, call: Call) -> _Reply:
        contact = self._service.contact(call.members["ContactId"])
        if contact.ended:
            raise Refusal("InvalidRequestException", "The contact has ended.")
        idleness = self._service.idleness(contact)
        chat = call.members["ChannelConfiguration"]["Chat"]
        for timer in chat["ParticipantTimerConfigList"]:
            minutes = timer["TimerValue"].get("ParticipantTimerDurationInMinutes")
            seconds = (
                None if minutes is None else minutes * self._service.settings.seconds_per_minute
            )
            idleness.set(timer["ParticipantRole"], timer["TimerType"], seconds)
        return {}


def _description(contact: Contact, segment: Segment) -> _Reply:
    """Return the Contact of DescribeContact, with times in seconds since 1970 as JSON has them."""
    options = contact.options
    arn = f"arn:aws:connect:us-east-1:000000000000:instance/{options.instance_id}"
    described: _Reply = {
        "Arn": f"{arn}/contact/{segment.id}",
        "Id": segment.id,
        "InitialContactId": contact.initial_id if segment.previous else None,
        "PreviousContactId": segment.previous,
        "RelatedContactId": options.related_contact_id,
        "InitiationMethod": segment.method,
        "Channel": "CHAT",
        "InitiationTimestamp": segment.initiated,
        "DisconnectTimestamp": segment.disconnected,
        "LastUpdateTimestamp": segment.disconnected or segment.agent_joined or segment.initiated,
        "CustomerId": options.customer_id,
        "SegmentAttributes": options.segment_attributes or None,
        "Attributes": options.attributes or None,
    }
    if segment.agent is not None:
        described["AgentInfo"] = {
            "Id": segment.agent.id,
            "ConnectedToAgentTimestamp": segment.agent_joined,
        }
    return {name: value for name, value in described.items() if value is not None}
