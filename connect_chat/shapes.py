"""What the service's operations answer: one frozen type per structure of its API model.

The names are the API model's own, fields are in snake_case, times are aware datetimes. As in the
model, nearly every field may be missing: it is ``None`` then. A malformed field counts as missing.
What this version has no field for is in `Response.raw`.

Tokens, URLs and everything else that lets its bearer in are kept out of every repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
)
from pydantic_core import core_schema

from connect_chat._shape import Shape
from connect_chat.items import Item, parse_item

__all__ = [
    "Attendee",
    "AudioFeatures",
    "CancelParticipantAuthenticationResponse",
    "CompleteAttachmentUploadResponse",
    "ConnectionCredentials",
    "CreateParticipantConnectionResponse",
    "DescribeViewResponse",
    "DisconnectParticipantResponse",
    "GetAttachmentResponse",
    "GetAuthenticationUrlResponse",
    "GetTranscriptResponse",
    "MeetingFeaturesConfiguration",
    "MessageProcessingMetadata",
    "Response",
    "SendEventResponse",
    "SendMessageResponse",
    "StartAttachmentUploadResponse",
    "UploadMetadata",
    "View",
    "ViewContent",
    "WebRTCConnection",
    "WebRTCMediaPlacement",
    "WebRTCMeeting",
    "Websocket",
]


class _NoneIfMalformed:
    """A time that cannot be read is none: it must not cost the token or URL beside it."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


Time = Annotated[AwareDatetime | None, _NoneIfMalformed()]


class Response(Shape):
    """What every answer of the service has beside its own fields.

    These three are about the answer and no part of it: not in its repr, dumps and comparisons.

    Attributes:
        raw: The answer as the service spelled it, not to be changed. Holds secrets.
        request_id: The ``x-amzn-RequestId``, to quote to AWS Support; None if there was none.
        service_time: The service's clock when it answered (the ``Date`` header, whole seconds),
            an aware datetime; None if it did not say.
    """

    @classmethod
    def of(cls, raw: Mapping[str, Any], *, request_id: str | None, date: str | None) -> Self:
        """Return the answer that ``raw``, a decoded body, stands for.

        Args:
            raw: The decoded JSON object.
            request_id: Becomes `request_id`.
            date: The ``Date`` header, from which `service_time` is read when asked for.

        Raises:
            ValidationError: A field that the API model requires is missing or malformed.
        """
        response = cls.leniently(raw)
        # Beside the fields, where pydantic neither shows, dumps nor compares them.
        response.__dict__.update(_raw=raw, _request_id=request_id, _date=date)
        return response

    @property
    def raw(self) -> Mapping[str, Any]:
        """The answer as the service spelled it; empty for one made by hand."""
        return self.__dict__.get("_raw", {})  # type: ignore[no-any-return]

    @property
    def request_id(self) -> str | None:
        """The ``x-amzn-RequestId`` of the answer."""
        return self.__dict__.get("_request_id")

    @property
    def service_time(self) -> datetime | None:
        """The service's clock when it answered."""
        return http_date(self.__dict__.get("_date"))


def http_date(value: str | None) -> datetime | None:
    """Return the time that an HTTP date stands for, or None if it is none."""
    try:
        time = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


class Websocket(Shape):
    """Where to open the websocket.

    Attributes:
        url: To be opened within 100 s of the answer. A secret.
        connection_expiry: When the open socket goes away, about an hour later.
    """

    url: str = Field(repr=False)
    connection_expiry: Time = None


class ConnectionCredentials(Shape):
    """What the other operations take.

    Attributes:
        connection_token: The bearer of the participant's calls. A secret.
        expiry: When it goes out of use, about a day later.
    """

    connection_token: str = Field(repr=False)
    expiry: Time = None


class Attendee(Shape):
    """The participant in a WebRTC call."""

    attendee_id: str | None = None
    join_token: str | None = Field(None, repr=False)


class WebRTCMediaPlacement(Shape):
    """The endpoints of a WebRTC call."""

    audio_host_url: str | None = Field(None, repr=False)
    audio_fallback_url: str | None = Field(None, repr=False)
    signaling_url: str | None = Field(None, repr=False)
    event_ingestion_url: str | None = Field(None, repr=False)


class AudioFeatures(Shape):
    """The audio features of a WebRTC call: ``"AVAILABLE"`` or ``"UNAVAILABLE"``."""

    echo_reduction: str | None = None


class MeetingFeaturesConfiguration(Shape):
    """The features of a WebRTC call."""

    audio: AudioFeatures | None = None


class WebRTCMeeting(Shape):
    """A WebRTC call."""

    media_placement: WebRTCMediaPlacement | None = None
    meeting_features: MeetingFeaturesConfiguration | None = None
    meeting_id: str | None = None


class WebRTCConnection(Shape):
    """What a WebRTC client needs to join the contact's call."""

    attendee: Attendee | None = None
    meeting: WebRTCMeeting | None = None


class CreateParticipantConnectionResponse(Response):
    """The connection, each part only if it was asked for.

    Attributes:
        websocket: For the type ``"WEBSOCKET"``.
        connection_credentials: For the type ``"CONNECTION_CREDENTIALS"``.
        web_rtc_connection: For the type ``"WEBRTC_CONNECTION"``.
    """

    websocket: Websocket | None = None
    connection_credentials: ConnectionCredentials | None = None
    web_rtc_connection: WebRTCConnection | None = Field(None, alias="WebRTCConnection")


class MessageProcessingMetadata(Shape):
    """What becomes of a message: ``"PROCESSING"``, ``"FAILED"`` or ``"REJECTED"``."""

    message_processing_status: str | None = None


class SendEventResponse(Response):
    """The event as the service took it.

    Attributes:
        id: Its Id in the chat.
        absolute_time: When the service took it.
    """

    id: str | None = None
    absolute_time: Time = None


class SendMessageResponse(Response):
    """The message as the service took it.

    Attributes:
        id: Its Id in the chat, the same as that of the item everybody gets.
        absolute_time: When the service took it.
        message_metadata: Whether it is still being processed, where the instance does that.
    """

    id: str | None = None
    absolute_time: Time = None
    message_metadata: MessageProcessingMetadata | None = None


def _items(value: object) -> tuple[Item, ...]:
    """Return the items among ``value``; an entry that is none costs only itself."""
    items = []
    for entry in value if isinstance(value, list | tuple) else ():
        if isinstance(entry, Item):
            items.append(entry)
            continue
        try:
            items.append(parse_item(entry))
        except ValueError:
            continue
    return tuple(items)


class GetTranscriptResponse(Response):
    """One page of a transcript.

    Attributes:
        initial_contact_id: The first contact of the chain that this one belongs to.
        transcript: Its items. Not in the repr.
        next_token: Gets the next page; None on the last one. Not in the repr.
    """

    initial_contact_id: str | None = None
    transcript: Annotated[tuple[Item, ...], BeforeValidator(_items)] = Field((), repr=False)
    next_token: str | None = Field(None, repr=False)

    @property
    def skipped(self) -> int:
        """How many entries were left out for not being items; they are in `raw`."""
        given = self.raw.get("Transcript")
        return len(given) - len(self.transcript) if isinstance(given, list) else 0


class DisconnectParticipantResponse(Response):
    """The participant has left; the answer has no fields."""


class UploadMetadata(Shape):
    """Where and how to ``PUT`` a file's bytes, without the connection token.

    Attributes:
        url: A presigned URL. A secret.
        url_expiry: When it goes out of use.
        headers_to_include: The headers that were signed: exactly these are to be sent.
    """

    url: str = Field(repr=False)
    url_expiry: Time = None
    headers_to_include: dict[str, str] = Field(default_factory=dict, repr=False)


class StartAttachmentUploadResponse(Response):
    """An upload that may begin.

    Attributes:
        attachment_id: What CompleteAttachmentUpload takes.
        upload_metadata: Where and how to send the bytes.
    """

    attachment_id: str | None = None
    upload_metadata: UploadMetadata | None = None


class CompleteAttachmentUploadResponse(Response):
    """The upload is complete; the answer has no fields."""


class GetAttachmentResponse(Response):
    """Where to download a file.

    Attributes:
        url: A presigned URL. A secret.
        url_expiry: When it goes out of use.
        attachment_size_in_bytes: The file's size, the one member that the model requires.
    """

    url: str | None = Field(None, repr=False)
    url_expiry: Time = None
    attachment_size_in_bytes: int


class ViewContent(Shape):
    """What a view shows and which data it takes, as the service's JSON strings."""

    input_schema: str | None = Field(None, repr=False)
    template: str | None = Field(None, repr=False)
    actions: tuple[str, ...] = Field((), repr=False)


class View(Shape):
    """A step-by-step guide's view.

    Attributes:
        id: The view's id.
        arn: Its Amazon resource name.
        name: Its name.
        version: Its version.
        content: What it shows.
    """

    id: str | None = None
    arn: str | None = None
    name: str | None = Field(None, repr=False)
    version: int | None = None
    content: ViewContent | None = None


class DescribeViewResponse(Response):
    """The view that a token stands for."""

    view: View | None = None


class GetAuthenticationUrlResponse(Response):
    """Where the customer signs in.

    Attributes:
        authentication_url: A URL of the identity provider. A secret.
    """

    authentication_url: str | None = Field(None, repr=False)


class CancelParticipantAuthenticationResponse(Response):
    """The sign-in is cancelled; the answer has no fields."""
