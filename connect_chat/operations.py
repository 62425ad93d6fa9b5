"""The operations of the service, and which of them may be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CANCEL_PARTICIPANT_AUTHENTICATION",
    "COMPLETE_ATTACHMENT_UPLOAD",
    "CREATE_PARTICIPANT_CONNECTION",
    "DESCRIBE_VIEW",
    "DISCONNECT_PARTICIPANT",
    "GET_ATTACHMENT",
    "GET_AUTHENTICATION_URL",
    "GET_TRANSCRIPT",
    "OPERATIONS",
    "SEND_EVENT",
    "SEND_MESSAGE",
    "START_ATTACHMENT_UPLOAD",
    "Operation",
]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the service.

    Attributes:
        name: Its name, for example ``"SendMessage"``.
        method: The HTTP method.
        path: The path, in which ``{ViewToken}`` stands for a value.
        by_client_token: Whether a ClientToken is what makes it safe to repeat.
    """

    name: str
    method: Literal["GET", "POST"]
    path: str
    by_client_token: bool = False


# What makes a repetition harmless:
# - for the five that have one, the ClientToken, which is the same on every attempt;
# - for the four that read, that they read;
# - for CancelParticipantAuthentication, that what is cancelled stays so;
# - for CreateParticipantConnection, that the connection of a lost answer is never opened: its URL
#   dies by itself, and the tokens issued before remain valid.
CREATE_PARTICIPANT_CONNECTION = Operation(
    "CreateParticipantConnection", "POST", "/participant/connection"
)
SEND_MESSAGE = Operation("SendMessage", "POST", "/participant/message", by_client_token=True)
SEND_EVENT = Operation("SendEvent", "POST", "/participant/event", by_client_token=True)
GET_TRANSCRIPT = Operation("GetTranscript", "POST", "/participant/transcript")
DISCONNECT_PARTICIPANT = Operation(
    "DisconnectParticipant", "POST", "/participant/disconnect", by_client_token=True
)
START_ATTACHMENT_UPLOAD = Operation(
    "StartAttachmentUpload", "POST", "/participant/start-attachment-upload", by_client_token=True
)
COMPLETE_ATTACHMENT_UPLOAD = Operation(
    "CompleteAttachmentUpload",
    "POST",
    "/participant/complete-attachment-upload",
    by_client_token=True,
)
GET_ATTACHMENT = Operation("GetAttachment", "POST", "/participant/attachment")
DESCRIBE_VIEW = Operation("DescribeView", "GET", "/participant/views/{ViewToken}")
GET_AUTHENTICATION_URL = Operation(
    "GetAuthenticationUrl", "POST", "/participant/authentication-url"
)
CANCEL_PARTICIPANT_AUTHENTICATION = Operation(
    "CancelParticipantAuthentication", "POST", "/participant/cancel-authentication"
)

OPERATIONS = (
    CREATE_PARTICIPANT_CONNECTION,
    SEND_MESSAGE,
    SEND_EVENT,
    GET_TRANSCRIPT,
    DISCONNECT_PARTICIPANT,
    START_ATTACHMENT_UPLOAD,
    COMPLETE_ATTACHMENT_UPLOAD,
    GET_ATTACHMENT,
    DESCRIBE_VIEW,
    GET_AUTHENTICATION_URL,
    CANCEL_PARTICIPANT_AUTHENTICATION,
)
"""All operations of the service."""
