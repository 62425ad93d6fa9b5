"""The operations of both services, as their published API models describe them.

Sources: ``connectparticipant/2018-09-07`` and ``connect/2017-08-08``. Members that travel as
headers (the bearer token) are left out of the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connect_chat.emulator.validation import (
    Boolean,
    Document,
    Integer,
    ListOf,
    MapOf,
    Shape,
    String,
    Structure,
)

__all__ = ["CONTROL_PLANE", "PARTICIPANT_SERVICE", "Operation"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: where it is called, what it takes and the errors that it names."""

    name: str
    method: str
    path: str
    input: Structure
    errors: tuple[str, ...]


def _by_name(*operations: Operation) -> Mapping[str, Operation]:
    return {operation.name: operation for operation in operations}


_BASE_ERRORS = (
    "AccessDeniedException",
    "InternalServerException",
    "ThrottlingException",
    "ValidationException",
)


def _participant(
    name: str,
    path: str,
    members: Mapping[str, Shape],
    *,
    required: tuple[str, ...] = (),
    errors: tuple[str, ...] = (),
    method: str = "POST",
) -> Operation:
    return Operation(
        name,
        method,
        f"/participant/{path}",
        Structure(members, frozenset(required)),
        _BASE_ERRORS + errors,
    )


_CLIENT_TOKEN = String(max=500)
_REQUIRED_CLIENT_TOKEN = String(1, 500)
_CONTENT = String(1, 16384)
_CONTENT_TYPE = String(1, 100)
_ID = String(1, 256)
_SESSION_ID = String(36, 36)

PARTICIPANT_SERVICE = _by_name(
    _participant(
        "CreateParticipantConnection",
        "connection",
        {
            "Type": ListOf(
                String(enum=("WEBSOCKET", "CONNECTION_CREDENTIALS", "WEBRTC_CONNECTION")), min=1
            ),
            "ConnectParticipant": Boolean(),
        },
    ),
    _participant(
        "SendMessage",
        "message",
        {"ContentType": _CONTENT_TYPE, "Content": _CONTENT, "ClientToken": _CLIENT_TOKEN},
        required=("ContentType", "Content"),
    ),
    _participant(
        "SendEvent",
        "event",
        {"ContentType": _CONTENT_TYPE, "Content": _CONTENT, "ClientToken": _CLIENT_TOKEN},
        required=("ContentType",),
        errors=("ConflictException",),
    ),
    _participant(
        "GetTranscript",
        "transcript",
        {
            "ContactId": _ID,
            "MaxResults": Integer(0, 100),
            "NextToken": String(1, 1000),
            "ScanDirection": String(enum=("FORWARD", "BACKWARD")),
            "SortOrder": String(enum=("DESCENDING", "ASCENDING")),
            "StartPosition": Structure(
                {
                    "Id": _ID,
                    "AbsoluteTime": String(1, 100),
                    "MostRecent": Integer(0, 100),
                }
            ),
        },
    ),
    _participant("DisconnectParticipant", "disconnect", {"ClientToken": _CLIENT_TOKEN}),
    _participant(
        "StartAttachmentUpload",
        "start-attachment-upload",
        {
            "ContentType": String(1, 255),
            "AttachmentSizeInBytes": Integer(min=1),
            "AttachmentName": _ID,
            "ClientToken": _REQUIRED_CLIENT_TOKEN,
        },
        required=("ContentType", "AttachmentSizeInBytes", "AttachmentName", "ClientToken"),
        errors=("ServiceQuotaExceededException",),
    ),
    _participant(
        "CompleteAttachmentUpload",
        "complete-attachment-upload",
        {"AttachmentIds": ListOf(_ID, 1, 1), "ClientToken": _REQUIRED_CLIENT_TOKEN},
        required=("AttachmentIds", "ClientToken"),
        errors=("ServiceQuotaExceededException", "ConflictException"),
    ),
    _participant(
        "GetAttachment",
        "attachment",
        {
            "AttachmentId": _ID,
            "UrlExpiryInSeconds": Integer(5, 300),
            "UrlContentDisposition": String(enum=("INLINE", "ATTACHMENT")),
        },
        required=("AttachmentId",),
    ),
    _participant(
        "DescribeView",
        "views/{ViewToken}",
        {"ViewToken": String(1, 1000)},
        required=("ViewToken",),
        errors=("ResourceNotFoundException",),
        method="GET",
    ),
    _participant(
        "GetAuthenticationUrl",
        "authentication-url",
        {"SessionId": _SESSION_ID, "RedirectUri": String(1, 1024)},
        required=("SessionId", "RedirectUri"),
    ),
    _participant(
        "CancelParticipantAuthentication",
        "cancel-authentication",
        {"SessionId": _SESSION_ID},
        required=("SessionId",),
    ),
)
"""The eleven operations of the participant service, by name."""

_INSTANCE_ID = String(1, 100)
_NAME = String(1, 256)
_TIMER = Structure(
    {
        "ParticipantRole": String(enum=("CUSTOMER", "AGENT")),
        "TimerType": String(enum=("IDLE", "DISCONNECT_NONCUSTOMER")),
        "TimerValue": Structure(
            {
                "ParticipantTimerAction": String(enum=("Unset",)),
                "ParticipantTimerDurationInMinutes": Integer(2, 480),
            },
            union=True,
        ),
    },
    frozenset({"ParticipantRole", "TimerType", "TimerValue"}),
)

CONTROL_PLANE = _by_name(
    Operation(
        "StartChatContact",
        "PUT",
        "/contact/chat",
        Structure(
            {
                "InstanceId": _INSTANCE_ID,
                "ContactFlowId": String(max=500),
                "Attributes": MapOf(String(1, 32767), String(0, 32767)),
                "ParticipantDetails": Structure({"DisplayName": _NAME}, frozenset({"DisplayName"})),
                "ParticipantConfiguration": Structure(
                    {"ResponseMode": String(enum=("INCREMENTAL", "COMPLETE"))}
                ),
                "InitialMessage": Structure(
                    {"ContentType": _CONTENT_TYPE, "Content": _CONTENT},
                    frozenset({"ContentType", "Content"}),
                ),
                "ClientToken": _CLIENT_TOKEN,
                "ChatDurationInMinutes": Integer(60, 10080),
                "SupportedMessagingContentTypes": ListOf(String(1, 100)),
                "PersistentChat": Structure(
                    {
                        "RehydrationType": String(enum=("ENTIRE_PAST_SESSION", "FROM_SEGMENT")),
                        "SourceContactId": _ID,
                    }
                ),
                "RelatedContactId": _ID,
                "SegmentAttributes": MapOf(String(1, 128), Document()),
                "CustomerId": String(1, 128),
                "DisconnectOnCustomerExit": ListOf(String(enum=("AGENT",)), 1, 1),
                "ConnectionTypes": ListOf(
                    String(
                        enum=(
                            "WEBSOCKET",
                            "CONNECTION_CREDENTIALS",
                            "AUTHENTICATION_SESSION",
                            "WEBRTC_CONNECTION",
                        )
                    ),
                    1,
                    2,
                ),
                "ChatStreamingConfiguration": Structure(
                    {"StreamingEndpointArn": String(1, 350)}, frozenset({"StreamingEndpointArn"})
                ),
            },
            frozenset({"InstanceId", "ContactFlowId", "ParticipantDetails"}),
        ),
        (
            "InvalidRequestException",
            "InvalidParameterException",
            "ResourceNotFoundException",
            "InternalServiceException",
            "LimitExceededException",
        ),
    ),
    Operation(
        "CreateParticipant",
        "POST",
        "/contact/create-participant",
        Structure(
            {
                "InstanceId": _INSTANCE_ID,
                "ContactId": _ID,
                "ClientToken": _CLIENT_TOKEN,
                "ParticipantDetails": Structure(
                    {
                        "ParticipantRole": String(
                            enum=("AGENT", "CUSTOMER", "SYSTEM", "CUSTOM_BOT", "SUPERVISOR")
                        ),
                        "DisplayName": _NAME,
                        "ParticipantCapabilities": Structure(
                            {
                                "Video": String(enum=("SEND",)),
                                "ScreenShare": String(enum=("SEND",)),
                            }
                        ),
                    }
                ),
            },
            frozenset({"InstanceId", "ContactId", "ParticipantDetails"}),
        ),
        (
            "InvalidRequestException",
            "ResourceNotFoundException",
            "InternalServiceException",
            "ServiceQuotaExceededException",
            "ThrottlingException",
            "ConflictException",
        ),
    ),
    Operation(
        "StopContact",
        "POST",
        "/contact/stop",
        Structure(
            {
                "ContactId": _ID,
                "InstanceId": _INSTANCE_ID,
                "DisconnectReason": Structure({"Code": String()}),
            },
            frozenset({"ContactId", "InstanceId"}),
        ),
        (
            "InvalidRequestException",
            "ContactNotFoundException",
            "InvalidParameterException",
            "ResourceNotFoundException",
            "InternalServiceException",
            "InvalidActiveRegionException",
        ),
    ),
    Operation(
        "DescribeContact",
        "GET",
        "/contacts/{InstanceId}/{ContactId}",
        Structure(
            {"InstanceId": _INSTANCE_ID, "ContactId": _ID}, frozenset({"InstanceId", "ContactId"})
        ),
        (
            "InvalidRequestException",
            "InvalidParameterException",
            "ResourceNotFoundException",
            "InternalServiceException",
            "ThrottlingException",
        ),
    ),
    Operation(
        "UpdateParticipantRoleConfig",
        "PUT",
        "/contact/participant-role-config/{InstanceId}/{ContactId}",
        Structure(
            {
                "InstanceId": _INSTANCE_ID,
                "ContactId": _ID,
                "ChannelConfiguration": Structure(
                    {
                        "Chat": Structure(
                            {"ParticipantTimerConfigList": ListOf(_TIMER, 1, 6)},
                            frozenset({"ParticipantTimerConfigList"}),
                        )
                    },
                    union=True,
                ),
            },
            frozenset({"InstanceId", "ContactId", "ChannelConfiguration"}),
        ),
        (
            "InvalidRequestException",
            "InvalidParameterException",
            "ResourceNotFoundException",
            "AccessDeniedException",
            "ThrottlingException",
            "InternalServiceException",
        ),
    ),
)
"""The operations of the control plane that chats are started, watched and stopped with, by name."""
