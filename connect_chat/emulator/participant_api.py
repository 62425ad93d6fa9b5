"""The participant service's operations, for the participant whose token they carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.routing import Route

from connect_chat.emulator.api import Call, Handler, routes
from connect_chat.emulator.attachments import Attachments
from connect_chat.emulator.authentication import Authentication
from connect_chat.emulator.clock import timestamp
from connect_chat.emulator.contact import Participant
from connect_chat.emulator.exchanges import Exchanges
from connect_chat.emulator.messages import send_event, send_message
from connect_chat.emulator.model import PARTICIPANT_SERVICE
from connect_chat.emulator.quotas import Quotas
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.service import Service
from connect_chat.emulator.storage import Storage
from connect_chat.emulator.views import Views

__all__ = ["ParticipantApi", "connection_shapes"]

_Reply = dict[str, Any]


class ParticipantApi:
    """The eleven operations."""

    def __init__(
        self,
        service: Service,
        *,
        quotas: Quotas,
        attachments: Attachments,
        authentication: Authentication,
        storage: Storage,
        views: Views,
    ) -> None:
        self._service = service
        self._quotas = quotas
        self._attachments = attachments
        self._authentication = authentication
        self._storage = storage
        self._views = views

    def routes(self, exchanges: Exchanges) -> list[Route]:
        """Return where the operations are called."""
        by_participant_token = {"CreateParticipantConnection": self._connect}
        by_connection_token = {
            "SendMessage": self._send_message,
            "SendEvent": self._send_event,
            "GetTranscript": self._get_transcript,
            "DisconnectParticipant": self._disconnect,
            "StartAttachmentUpload": self._start_upload,
            "CompleteAttachmentUpload": self._complete_upload,
            "GetAttachment": self._get_attachment,
            "DescribeView": self._describe_view,
            "GetAuthenticationUrl": self._authentication_url,
            "CancelParticipantAuthentication": self._cancel_authentication,
        }
        return routes(
            PARTICIPANT_SERVICE,
            {
                name: self._for(whose, handler)
                for whose, handlers in (
                    (self._service.tokens.participant, by_participant_token),
                    (self._service.tokens.connected, by_connection_token),
                )
                for name, handler in handlers.items()
            },
            clock=self._service.clock,
            exchanges=exchanges,
            whose=lambda token, _: self._service.tokens.holder(token),
            invalid="ValidationException",
            internal="InternalServerException",
        )

    def _for(
        self,
        whose: Callable[[str | None], Participant],
        handler: Callable[[Participant, Call], _Reply],
    ) -> Handler:
        """Let an operation know its caller, and do once what is asked twice."""

        def handle(call: Call) -> _Reply:
            caller = whose(call.token)
            self._quotas.take(caller.contact.options.instance_id, call.operation)

            def do() -> _Reply:
                self._service.check_present(caller)
                return handler(caller, call)

            # A repetition is answered whatever else: the first try may have been what ended the
            # caller's rights.
            return caller.replies.once(call.operation, call.members.get("ClientToken"), do)

        return handle

    def _connect(self, caller: Participant, call: Call) -> _Reply:
        types = call.members.get("Type") or []
        connect = call.members.get("ConnectParticipant")
        if not types and not connect:
            raise Refusal("ValidationException", "Type or ConnectParticipant is needed.")
        if "WEBRTC_CONNECTION" in types:
            # There are no calls here; the published model does not say how a chat answers.
            raise Refusal("ValidationException", "WEBRTC_CONNECTION is not for chats.")
        if connect:
            self._service.join(caller)
        return connection_shapes(self._service, caller, types, call.base_url)

    def _send_message(self, caller: Participant, call: Call) -> _Reply:
        item = send_message(caller, call.members["ContentType"], call.members["Content"])
        return {"Id": item["Id"], "AbsoluteTime": item["AbsoluteTime"]}

    def _send_event(self, caller: Participant, call: Call) -> _Reply:
        item = send_event(caller, call.members["ContentType"], call.members.get("Content"))
        return {"Id": item["Id"], "AbsoluteTime": item["AbsoluteTime"]}

    def _get_transcript(self, caller: Participant, call: Call) -> _Reply:
        contact = caller.contact
        contact_id = call.members.get("ContactId")
        if contact_id is not None and contact_id not in (part.id for part in contact.segments):
            raise Refusal("ValidationException", "The ContactId is not this chat's.")
        items, next_token = contact.transcript.page(call.members, now=self._service.clock.now())
        reply: _Reply = {
            "InitialContactId": contact.initial_id,
            "Transcript": [_without_initial_contact(item) for item in items],
        }
        return reply if next_token is None else {**reply, "NextToken": next_token}

    def _disconnect(self, caller: Participant, call: Call) -> _Reply:
        self._service.leave(caller)
        return {}

    def _start_upload(self, caller: Participant, call: Call) -> _Reply:
        attachment = self._attachments.start(
            caller,
            name=call.members["AttachmentName"],
            content_type=call.members["ContentType"],
            size=call.members["AttachmentSizeInBytes"],
        )
        url, expires = self._storage.upload_url(call.base_url, attachment)
        return {
            "AttachmentId": attachment.id,
            "UploadMetadata": {
                "Url": url,
                "UrlExpiry": timestamp(int(expires * 1000)),
                "HeadersToInclude": attachment.upload_headers,
            },
        }

    def _complete_upload(self, caller: Participant, call: Call) -> _Reply:
        self._attachments.complete(caller, call.members["AttachmentIds"][0])
        return {}

    def _get_attachment(self, caller: Participant, call: Call) -> _Reply:
        attachment = self._attachments.approved(caller, call.members["AttachmentId"])
        url, expires = self._storage.download_url(
            call.base_url,
            attachment,
            lifetime=call.members.get("UrlExpiryInSeconds"),
            disposition=call.members.get("UrlContentDisposition") or "ATTACHMENT",
        )
        return {
            "Url": url,
            "UrlExpiry": timestamp(int(expires * 1000)),
            "AttachmentSizeInBytes": attachment.size,
        }

    def _describe_view(self, caller: Participant, call: Call) -> _Reply:
        return {"View": self._views.describe(call.members["ViewToken"])}

    def _authentication_url(self, caller: Participant, call: Call) -> _Reply:
        return {"AuthenticationUrl": self._authentication.url(caller, call.members["SessionId"])}

    def _cancel_authentication(self, caller: Participant, call: Call) -> _Reply:
        self._authentication.cancel(caller, call.members["SessionId"])
        return {}


def connection_shapes(
    service: Service, participant: Participant, types: list[str], base_url: str
) -> _Reply:
    """Return new ``Websocket`` and ``ConnectionCredentials``, those of them that are asked for."""
    shapes: _Reply = {}
    if "WEBSOCKET" in types:
        secret, expires = service.tokens.issue_ticket(participant)
        shapes["Websocket"] = {
            "Url": f"{base_url.replace('http', 'ws', 1)}/chat?ticket={secret}",
            "ConnectionExpiry": timestamp(int(expires * 1000)),
        }
    if "CONNECTION_CREDENTIALS" in types:
        token, expires = service.tokens.issue_connection_token(participant)
        shapes["ConnectionCredentials"] = {
            "ConnectionToken": token,
            "Expiry": timestamp(int(expires * 1000)),
        }
    return shapes


def _without_initial_contact(item: Mapping[str, Any]) -> _Reply:
    """Return an Item as the transcript spells it: it names the initial contact once, outside."""
    spelled = dict(item)
    del spelled["InitialContactId"]
    return spelled
