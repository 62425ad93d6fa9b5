"""What is asked of the service: one function per operation, which checks and spells a request.

Every limit is one of the service's API model or of its documentation of content types. A value
that breaks one is refused here, by the name of its parameter, the limit and its size; a value
itself is never quoted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Literal, get_args
from urllib.parse import quote

from connect_chat.errors import InvalidContentError, InvalidRequestError
from connect_chat.items import EVENT_PREFIX, INTERACTIVE_RESPONSE_CONTENT_TYPE
from connect_chat.operations import (
    CANCEL_PARTICIPANT_AUTHENTICATION,
    COMPLETE_ATTACHMENT_UPLOAD,
    CREATE_PARTICIPANT_CONNECTION,
    DESCRIBE_VIEW,
    DISCONNECT_PARTICIPANT,
    GET_ATTACHMENT,
    GET_AUTHENTICATION_URL,
    GET_TRANSCRIPT,
    SEND_EVENT,
    SEND_MESSAGE,
    START_ATTACHMENT_UPLOAD,
    Operation,
)

__all__ = [
    "ConnectionType",
    "ContentDisposition",
    "Request",
    "ScanDirection",
    "SortOrder",
    "StartPosition",
    "cancel_participant_authentication",
    "complete_attachment_upload",
    "create_participant_connection",
    "describe_view",
    "disconnect_participant",
    "get_attachment",
    "get_authentication_url",
    "get_transcript",
    "send_event",
    "send_message",
    "start_attachment_upload",
]

ConnectionType = Literal["WEBSOCKET", "CONNECTION_CREDENTIALS", "WEBRTC_CONNECTION"]
ScanDirection = Literal["FORWARD", "BACKWARD"]
SortOrder = Literal["DESCENDING", "ASCENDING"]
ContentDisposition = Literal["INLINE", "ATTACHMENT"]

MESSAGE_LIMITS: Mapping[str, int] = {
    "text/plain": 1024,
    "text/markdown": 1024,
    "application/json": 12000,
    INTERACTIVE_RESPONSE_CONTENT_TYPE: 12288,
}
"""What SendMessage takes: the characters that each content type may have."""

EVENT_CONTENT_TYPES = (
    EVENT_PREFIX + "typing",
    EVENT_PREFIX + "message.delivered",
    EVENT_PREFIX + "message.read",
    EVENT_PREFIX + "connection.acknowledged",
)
"""What SendEvent takes."""

_RECEIPTS = (EVENT_PREFIX + "message.delivered", EVENT_PREFIX + "message.read")
_EVENT_CONTENT_LIMIT = 16384


@dataclass(frozen=True, slots=True)
class Request:
    """One request, checked and spelled as the service wants it.

    Attributes:
        operation: What is asked for.
        token: The bearer: a participant token or a connection token.
        body: The JSON object to send; None for a ``GET``.
        path: The path, with its values in it.
        secrets: What no error may quote, even if the service's answer does.
        repeatable: Whether the operation may happen twice without harm.
    """

    operation: Operation
    token: str = field(repr=False)
    body: Mapping[str, Any] | None = field(repr=False)
    path: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    repeatable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPosition:
    """Where GetTranscript starts; the item there is included. Exactly one is to be given.

    Attributes:
        id: The Id of an item, 1 to 256 characters.
        absolute_time: A time: an aware datetime (taken to the millisecond, as the service's times
            are) or ISO 8601, 1 to 100 characters.
        most_recent: So many of the most recent items, 0 to 100.
    """

    id: str | None = None
    absolute_time: datetime | str | None = None
    most_recent: int | None = None


def create_participant_connection(
    participant_token: str,
    *,
    types: Sequence[ConnectionType] | None,
    connect_participant: bool | None,
) -> Request:
    """Spell a CreateParticipantConnection."""
    for value in types or ():
        _one_of("types", value, get_args(ConnectionType))
    if not types and not connect_participant:
        raise InvalidRequestError(
            "types", "given, with at least one type, unless connect_participant is True"
        )
    return _request(
        CREATE_PARTICIPANT_CONNECTION,
        _token("participant_token", participant_token),
        {"Type": list(types) if types else None, "ConnectParticipant": connect_participant},
    )


def send_message(
    connection_token: str, content: str, *, content_type: str, client_token: str | None
) -> Request:
    """Spell a SendMessage."""
    if content_type not in MESSAGE_LIMITS:
        raise InvalidContentError("content_type", f"one of {', '.join(MESSAGE_LIMITS)}")
    _text(
        "content",
        content,
        1,
        MESSAGE_LIMITS[content_type],
        kind=InvalidContentError,
        note=f" for {content_type}",
    )
    return _request(
        SEND_MESSAGE,
        _connection(connection_token),
        {
            "ContentType": content_type,
            "Content": content,
            "ClientToken": _client_token(client_token),
        },
        secret=content,
    )


def send_event(
    connection_token: str, content_type: str, *, content: str | None, client_token: str | None
) -> Request:
    """Spell a SendEvent."""
    if content_type not in EVENT_CONTENT_TYPES:
        raise InvalidContentError("content_type", f"one of {', '.join(EVENT_CONTENT_TYPES)}")
    if content is not None:
        _text("content", content, 1, _EVENT_CONTENT_LIMIT, kind=InvalidContentError)
    if content_type in _RECEIPTS and not _names_a_message(content):
        raise InvalidContentError(
            "content", f'a JSON object with the "messageId" of a message, for {content_type}'
        )
    return _request(
        SEND_EVENT,
        _connection(connection_token),
        {
            "ContentType": content_type,
            "Content": content,
            "ClientToken": _client_token(client_token),
        },
        secret=content,
    )


def get_transcript(
    connection_token: str,
    *,
    contact_id: str | None,
    max_results: int | None,
    next_token: str | None,
    scan_direction: ScanDirection | None,
    sort_order: SortOrder | None,
    start_position: StartPosition | Mapping[str, Any] | None,
) -> Request:
    """Spell a GetTranscript."""
    if contact_id is not None:
        _text("contact_id", contact_id, 1, 256)
    if max_results is not None:
        _number("max_results", max_results, 0, 100)
    if next_token is not None:
        _text("next_token", next_token, 1, 1000)
    if scan_direction is not None:
        _one_of("scan_direction", scan_direction, get_args(ScanDirection))
    if sort_order is not None:
        _one_of("sort_order", sort_order, get_args(SortOrder))
    return _request(
        GET_TRANSCRIPT,
        _connection(connection_token),
        {
            "ContactId": contact_id,
            "MaxResults": max_results,
            "NextToken": next_token,
            "ScanDirection": scan_direction,
            "SortOrder": sort_order,
            "StartPosition": None if start_position is None else _start(start_position),
        },
        secret=next_token,
    )


def disconnect_participant(connection_token: str, *, client_token: str | None) -> Request:
    """Spell a DisconnectParticipant."""
    return _request(
        DISCONNECT_PARTICIPANT,
        _connection(connection_token),
        {"ClientToken": _client_token(client_token)},
    )


def start_attachment_upload(
    connection_token: str,
    *,
    attachment_name: str,
    attachment_size_in_bytes: int,
    content_type: str,
    client_token: str | None,
) -> Request:
    """Spell a StartAttachmentUpload."""
    return _request(
        START_ATTACHMENT_UPLOAD,
        _connection(connection_token),
        {
            "ContentType": _text("content_type", content_type, 1, 255),
            "AttachmentSizeInBytes": _number(
                "attachment_size_in_bytes", attachment_size_in_bytes, 1, None
            ),
            "AttachmentName": _text("attachment_name", attachment_name, 1, 256),
            "ClientToken": _client_token(client_token, least=1),
        },
        secret=attachment_name,
    )


def complete_attachment_upload(
    connection_token: str, attachment_ids: Sequence[str], *, client_token: str | None
) -> Request:
    """Spell a CompleteAttachmentUpload."""
    if isinstance(attachment_ids, str) or len(attachment_ids) != 1:
        raise InvalidRequestError(
            "attachment_ids", "a sequence of exactly 1 id", size=len(attachment_ids)
        )
    return _request(
        COMPLETE_ATTACHMENT_UPLOAD,
        _connection(connection_token),
        {
            "AttachmentIds": [_text("attachment_ids", value, 1, 256) for value in attachment_ids],
            "ClientToken": _client_token(client_token, least=1),
        },
    )


def get_attachment(
    connection_token: str,
    attachment_id: str,
    *,
    url_expiry_in_seconds: int | None,
    url_content_disposition: ContentDisposition | None,
) -> Request:
    """Spell a GetAttachment."""
    if url_expiry_in_seconds is not None:
        _number("url_expiry_in_seconds", url_expiry_in_seconds, 5, 300)
    if url_content_disposition is not None:
        _one_of("url_content_disposition", url_content_disposition, get_args(ContentDisposition))
    return _request(
        GET_ATTACHMENT,
        _connection(connection_token),
        {
            "AttachmentId": _text("attachment_id", attachment_id, 1, 256),
            "UrlExpiryInSeconds": url_expiry_in_seconds,
            "UrlContentDisposition": url_content_disposition,
        },
    )


def describe_view(connection_token: str, view_token: str) -> Request:
    """Spell a DescribeView."""
    _text("view_token", view_token, 1, 1000)
    if view_token in {".", ".."}:
        raise InvalidRequestError("view_token", "a view's token, not a relative path")
    token = _connection(connection_token)
    return Request(
        operation=DESCRIBE_VIEW,
        token=token,
        body=None,
        path=DESCRIBE_VIEW.path.replace("{ViewToken}", quote(view_token, safe="")),
        secrets=(token, view_token),
        repeatable=True,
    )


def get_authentication_url(connection_token: str, *, session_id: str, redirect_uri: str) -> Request:
    """Spell a GetAuthenticationUrl."""
    return _request(
        GET_AUTHENTICATION_URL,
        _connection(connection_token),
        {
            "SessionId": _text("session_id", session_id, 36, 36),
            "RedirectUri": _text("redirect_uri", redirect_uri, 1, 1024),
        },
        secret=redirect_uri,
    )


def cancel_participant_authentication(connection_token: str, *, session_id: str) -> Request:
    """Spell a CancelParticipantAuthentication."""
    return _request(
        CANCEL_PARTICIPANT_AUTHENTICATION,
        _connection(connection_token),
        {"SessionId": _text("session_id", session_id, 36, 36)},
    )


def _request(
    operation: Operation, token: str, members: Mapping[str, Any], *, secret: str | None = None
) -> Request:
    body = {name: value for name, value in members.items() if value is not None}
    return Request(
        operation=operation,
        token=token,
        body=body,
        path=operation.path,
        secrets=(token, secret) if secret else (token,),
        # An empty ClientToken is how a caller gives up idempotency.
        repeatable=bool(body["ClientToken"]) if operation.by_client_token else True,
    )


def _text(
    field: str,
    value: object,
    least: int,
    most: int,
    *,
    kind: type[InvalidRequestError] = InvalidRequestError,
    note: str = "",
) -> str:
    """Return ``value`` if it is text of an allowed length that UTF-8 can spell."""
    if not isinstance(value, str):
        raise kind(field, "a str")
    if not least <= len(value) <= most:
        lengths = f"{least:,} to {most:,}" if least < most else f"exactly {least:,}"
        raise kind(field, f"{lengths} characters long{note}", size=len(value))
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise kind(field, "text without lone surrogates") from None
    return value


def _token(field: str, value: object) -> str:
    """Return ``value`` if it can be a bearer: anything else would break the header."""
    token = _text(field, value, 1, 1000)
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise InvalidRequestError(field, "printable ASCII without blanks")
    return token


def _connection(value: object) -> str:
    return _token("connection_token", value)


def _client_token(value: str | None, *, least: int = 0) -> str:
    """Return the caller's token, or a new one for what is a new intent then."""
    return token_hex(16) if value is None else _text("client_token", value, least, 500)


def _number(field: str, value: object, least: int, most: int | None) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRequestError(field, "an int")
    if value < least or (most is not None and value > most):
        limit = f"{least} or more" if most is None else f"{least} to {most}"
        raise InvalidRequestError(field, limit, size=value)
    return value


def _one_of(field: str, value: object, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise InvalidRequestError(field, f"one of {', '.join(allowed)}")


def _names_a_message(content: str | None) -> bool:
    try:
        value = json.loads(content or "")
    except ValueError:
        return False
    found = value.get("messageId") if isinstance(value, dict) else None
    return isinstance(found, str) and found != ""


def _start(position: StartPosition | Mapping[str, Any]) -> dict[str, str | int]:
    """Spell a StartPosition, of which exactly one member is to be given."""
    if isinstance(position, StartPosition):
        members: Mapping[str, Any] = {
            "Id": position.id,
            "AbsoluteTime": position.absolute_time,
            "MostRecent": position.most_recent,
        }
    else:
        members = position
    given = [(name, value) for name, value in members.items() if value is not None]
    if len(given) != 1 or given[0][0] not in {"Id", "AbsoluteTime", "MostRecent"}:
        raise InvalidRequestError(
            "start_position", "exactly one of Id, AbsoluteTime and MostRecent", size=len(given)
        )
    ((name, value),) = given
    if name == "MostRecent":
        return {name: _number("start_position", value, 0, 100)}
    if isinstance(value, datetime):
        value = _instant(value)
    return {name: _text("start_position", value, 1, 256 if name == "Id" else 100)}


def _instant(time: datetime) -> str:
    if time.tzinfo is None:
        raise InvalidRequestError("start_position", "an aware datetime (with a tzinfo)")
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
