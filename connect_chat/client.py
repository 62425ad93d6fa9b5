"""The Amazon Connect Participant Service, one method per operation."""

from __future__ import annotations

import logging
import os
import platform
import ssl
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx

from connect_chat import requests, shapes
from connect_chat._version import __version__
from connect_chat.engine.queues import Priority
from connect_chat.engine.quota import DEFAULT_QUOTA, Quota, Rate
from connect_chat.errors import ConfigurationError
from connect_chat.operations import OPERATIONS
from connect_chat.requests import (
    ConnectionType,
    ContentDisposition,
    Request,
    ScanDirection,
    SortOrder,
    StartPosition,
)
from connect_chat.transport.calls import Bounds, Caller, ClientStats
from connect_chat.transport.endpoints import resolve_endpoint
from connect_chat.transport.http import Http
from connect_chat.transport.pacer import Pacer, RateLimiter
from connect_chat.transport.storage import Storage
from connect_chat.transport.tls import create_ssl_context

__all__ = ["ParticipantClient"]

R = TypeVar("R", bound=shapes.Response)

logger = logging.getLogger("connect_chat.client")


class ParticipantClient:
    """Calls the Amazon Connect Participant Service for the participants of one instance.

    Calls are checked before they are sent, kept within the instance's quota, repeated where that
    is safe and promising, and bounded in time. The same client serves any number of chats and
    tasks of one event loop; since quotas are granted per instance, share one per instance::

        async with ParticipantClient(region="us-east-1") as client:
            connection = await client.create_participant_connection(participant_token)

    Besides what they say themselves, all operations raise:

    - `InvalidRequestError` (a `ValueError`) for a value that the service does not take; nothing
      has been sent then. For contents and their types it is an `InvalidContentError`.
    - `ServiceError`, by the service's own names, if the service refuses: `AccessDeniedException`,
      `ThrottlingException`, `ValidationException`, ….
    - `ServiceUnreachableError` if there was no usable answer, or none in time.
    - `NotConnectedError` if the client is closed.

    They all take a ``priority``, which says who goes first when the quota makes calls wait.

    Args:
        region: The instance's region, for example ``"us-east-1"``. None takes ``AWS_REGION`` or
            ``AWS_DEFAULT_REGION``. Not needed with an endpoint URL.
        endpoint_url: Where to call instead of AWS, for example an emulator's URL. None takes
            ``AWS_ENDPOINT_URL_CONNECTPARTICIPANT`` or ``AWS_ENDPOINT_URL``, unless
            ``AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`` is true.
        use_fips: Whether to use the FIPS 140 endpoint. None takes ``AWS_USE_FIPS_ENDPOINT``.
        use_dualstack: Whether to use the endpoint that also speaks IPv6. None takes
            ``AWS_USE_DUALSTACK_ENDPOINT``.
        quota: The rates to keep to, the documented ones by default; a mapping replaces single
            operations' rates, for example ``{"SendMessage": Rate(50, 75)}``; None switches pacing
            off.
        limiter: What keeps to the quota instead of the client itself, for example one that
            several machines share; ``quota`` is its business then.
        timeout: Seconds that an attempt may spend on connecting, on sending and on each read.
        deadline: Seconds that a call may take altogether, with retries and with waiting for its
            turn; None for no bound.
        max_attempts: How often a call is attempted, 1 or more.
        http: What to send calls with. None for httpx's transport; ``"aiohttp"`` for aiohttp, which
            takes half the CPU time and needs the extra ``aiohttp``, and knows no SOCKS proxies. Or
            an ``httpx.AsyncClient`` or ``httpx.AsyncBaseTransport``: it stays the caller's to
            close, and its TLS and proxies are its own. An ``AsyncClient`` logs URLs, that of
            DescribeView with the view's token, at level INFO. Files don't go through any of them:
            whatever a caller's adds to requests would break, or leak to, presigned URLs.
        ssl_context: The TLS settings, for websockets and files, too. By default servers are
            verified against ``AWS_CA_BUNDLE``, ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` or the
            authorities that httpx trusts.
        user_agent_suffix: Added to the ``User-Agent``, for example ``"my-bot/1.2"``.

    Raises:
        ConfigurationError: An argument or a variable of the environment is missing, malformed or
            contradicts another. As `MissingExtraError`: an extra is not installed.
    """

    def __init__(
        self,
        region: str | None = None,
        *,
        endpoint_url: str | None = None,
        use_fips: bool | None = None,
        use_dualstack: bool | None = None,
        quota: Quota | Mapping[str, Rate] | None = DEFAULT_QUOTA,
        limiter: RateLimiter | None = None,
        timeout: float = 10.0,
        deadline: float | None = 60.0,
        max_attempts: int = 3,
        http: httpx.AsyncClient | httpx.AsyncBaseTransport | Literal["aiohttp"] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        user_agent_suffix: str | None = None,
    ) -> None:
        if timeout <= 0 or (deadline is not None and deadline <= 0) or max_attempts < 1:
            raise ConfigurationError(
                "timeout and deadline must be more than 0 seconds, max_attempts 1 or more"
            )
        if limiter is not None and quota is not DEFAULT_QUOTA:
            raise ConfigurationError("a limiter knows its own quota: pass one or the other")
        endpoint = resolve_endpoint(
            region=region,
            endpoint_url=endpoint_url,
            fips=use_fips,
            dualstack=use_dualstack,
            environ=os.environ,
        )
        self._endpoint_url = str(endpoint)
        self._ssl_context = ssl_context
        self._user_agent = _user_agent(user_agent_suffix)
        self._calls = Caller(
            Http(
                endpoint,
                http=http,
                ssl_context=lambda: self.ssl_context,
                timeout=timeout,
                user_agent=self._user_agent,
            ),
            Pacer(_quota(quota)) if limiter is None else limiter,
            max_attempts=max_attempts,
        )
        self._bounds = Bounds(deadline)
        self._storage = Storage(
            ssl_context=lambda: self.ssl_context,
            timeout=timeout,
            encrypted=endpoint.scheme == "https",
        )

    def __repr__(self) -> str:
        return f"<ParticipantClient {self._endpoint_url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client's connections; calls that have not been sent yet fail. Idempotent."""
        try:
            await self._calls.aclose()
        finally:
            await self._storage.aclose()

    def without_deadline(
        self,
        *,
        turn_by: float | None = None,
        on_wait: Callable[[bool], None] | None = None,
    ) -> ParticipantClient:
        """Return this client for calls that wait for their turn as long as it takes.

        It shares everything with this one: connections, quota, counters, and its end. Sessions
        reconnect with it, since in a crowd the queue is longer than any deadline.

        Args:
            turn_by: When a turn is of no use any more, by the event loop's clock: a call that
                still waits for its turn then raises `ServiceUnreachableError`.
            on_wait: Called with True when a call begins to wait for its turn, and with False when
                it no longer does.
        """
        patient = copy(self)
        patient._bounds = Bounds(turn_by=turn_by, on_wait=on_wait)
        return patient

    @property
    def endpoint_url(self) -> str:
        """Where the service is called."""
        return self._endpoint_url

    @property
    def user_agent(self) -> str:
        """The ``User-Agent`` of all requests, those for websockets included."""
        return self._user_agent

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """The TLS settings, made once, when they are first needed, and shared with websockets.

        Raises:
            ConfigurationError: The environment names certificates that cannot be read.
        """
        if self._ssl_context is None:
            self._ssl_context = create_ssl_context(os.environ)
        return self._ssl_context

    @property
    def storage(self) -> Storage:
        """What files go to and come from, on connections of their own."""
        return self._storage

    @property
    def stats(self) -> ClientStats:
        """Counters of the calls so far."""
        return self._calls.stats

    async def create_participant_connection(
        self,
        participant_token: str,
        *,
        types: Sequence[ConnectionType] | None = ("WEBSOCKET", "CONNECTION_CREDENTIALS"),
        connect_participant: bool | None = None,
        priority: Priority = Priority.CONNECT,
    ) -> shapes.CreateParticipantConnectionResponse:
        """Connect a participant: get a websocket's URL, a connection token, or both.

        Args:
            participant_token: What StartChatContact or CreateParticipant gave.
            types: What to get: ``"WEBSOCKET"``, ``"CONNECTION_CREDENTIALS"``,
                ``"WEBRTC_CONNECTION"``. None or empty for nothing.
            connect_participant: Whether to mark the participant as connected without a websocket,
                as message streaming and custom bots do. Needed if there are no ``types``.
            priority: See the class. `Priority.RECONNECT` for a chat that was connected before,
                `Priority.ROTATE` for replacing a connection that works.

        Raises:
            AccessDeniedException: The token is not valid, was not used in time, or the chat has
                ended.
        """
        request = requests.create_participant_connection(
            participant_token, types=types, connect_participant=connect_participant
        )
        return await self._call(request, shapes.CreateParticipantConnectionResponse, priority)

    async def send_message(
        self,
        connection_token: str,
        content: str,
        *,
        content_type: str = "text/plain",
        client_token: str | None = None,
        priority: Priority = Priority.SEND,
    ) -> shapes.SendMessageResponse:
        """Say something.

        Args:
            connection_token: From `create_participant_connection`.
            content: ``text/plain`` and ``text/markdown``: 1 to 1,024 characters;
                ``application/json``: 1 to 12,000; an interactive response: 1 to 12,288.
            content_type: One of the above, an interactive response being
                ``application/vnd.amazonaws.connect.message.interactive.response``.
            client_token: Up to 500 characters that identify this message: the service takes it
                once, however often it is sent. None makes one. Empty switches this off, and then
                the call is only repeated if the message surely has not been taken.
            priority: See the class.
        """
        request = requests.send_message(
            connection_token, content, content_type=content_type, client_token=client_token
        )
        return await self._call(request, shapes.SendMessageResponse, priority)

    async def send_event(
        self,
        connection_token: str,
        content_type: str,
        *,
        content: str | None = None,
        client_token: str | None = None,
        priority: Priority = Priority.SEND,
    ) -> shapes.SendEventResponse:
        """Send an event: typing, or the receipt of a message.

        Args:
            connection_token: From `create_participant_connection`.
            content_type: ``application/vnd.amazonaws.connect.event.`` and ``typing``,
                ``message.delivered``, ``message.read`` or ``connection.acknowledged``.
            content: For receipts, JSON with the ``messageId`` of the message; else mostly None.
            client_token: As for `send_message`.
            priority: See the class.

        Raises:
            ConflictException: A supervisor has barged in, and receipts are off.
        """
        request = requests.send_event(
            connection_token, content_type, content=content, client_token=client_token
        )
        return await self._call(request, shapes.SendEventResponse, priority)

    async def get_transcript(
        self,
        connection_token: str,
        *,
        contact_id: str | None = None,
        max_results: int | None = None,
        next_token: str | None = None,
        scan_direction: ScanDirection | None = None,
        sort_order: SortOrder | None = None,
        start_position: StartPosition | Mapping[str, Any] | None = None,
        priority: Priority = Priority.HISTORY,
    ) -> shapes.GetTranscriptResponse:
        """Read one page of what has been said.

        Args:
            connection_token: From `create_participant_connection`.
            contact_id: The contact whose transcript to read; by default the current one.
            max_results: Items on a page, 0 to 100. The service's default is 10.
            next_token: From the page before.
            scan_direction: ``"BACKWARD"`` (the service's default without a ``start_position``) or
                ``"FORWARD"`` (its default with one).
            sort_order: ``"DESCENDING"`` (the service's default) or ``"ASCENDING"``.
            start_position: Where to start, that item included: a `StartPosition`, or a mapping
                in the service's spelling, for example ``{"Id": …}``.
            priority: See the class. `Priority.RECONNECT` for what a broken chat has missed.
        """
        request = requests.get_transcript(
            connection_token,
            contact_id=contact_id,
            max_results=max_results,
            next_token=next_token,
            scan_direction=scan_direction,
            sort_order=sort_order,
            start_position=start_position,
        )
        page = await self._call(request, shapes.GetTranscriptResponse, priority)
        if page.skipped:
            logger.warning(
                "GetTranscript: left out %d entries that are not items [request id %s]",
                page.skipped,
                page.request_id,
            )
        return page

    async def disconnect_participant(
        self,
        connection_token: str,
        *,
        client_token: str | None = None,
        priority: Priority = Priority.SEND,
    ) -> shapes.DisconnectParticipantResponse:
        """Leave the chat. The connection token is of no use after that.

        Args:
            connection_token: From `create_participant_connection`.
            client_token: As for `send_message`.
            priority: See the class.
        """
        request = requests.disconnect_participant(connection_token, client_token=client_token)
        return await self._call(request, shapes.DisconnectParticipantResponse, priority)

    async def start_attachment_upload(
        self,
        connection_token: str,
        *,
        attachment_name: str,
        attachment_size_in_bytes: int,
        content_type: str,
        client_token: str | None = None,
        priority: Priority = Priority.SEND,
    ) -> shapes.StartAttachmentUploadResponse:
        """Announce a file and learn where to ``PUT`` its bytes.

        Args:
            connection_token: From `create_participant_connection`.
            attachment_name: The file's name, 1 to 256 characters.
            attachment_size_in_bytes: Its size, 1 or more.
            content_type: Its MIME type, 1 to 255 characters.
            client_token: As for `send_message`, but not empty.
            priority: See the class.

        Raises:
            ServiceQuotaExceededException: The chat has as many attachments as it may have.
        """
        request = requests.start_attachment_upload(
            connection_token,
            attachment_name=attachment_name,
            attachment_size_in_bytes=attachment_size_in_bytes,
            content_type=content_type,
            client_token=client_token,
        )
        return await self._call(request, shapes.StartAttachmentUploadResponse, priority)

    async def complete_attachment_upload(
        self,
        connection_token: str,
        attachment_ids: Sequence[str],
        *,
        client_token: str | None = None,
        priority: Priority = Priority.SEND,
    ) -> shapes.CompleteAttachmentUploadResponse:
        """Say that a file's bytes are there, so that everybody gets it.

        Args:
            connection_token: From `create_participant_connection`.
            attachment_ids: The id that `start_attachment_upload` gave: exactly one.
            client_token: As for `send_message`, but not empty.
            priority: See the class.

        Raises:
            ConflictException: The upload is already being completed.
            ServiceQuotaExceededException: The chat has as many attachments as it may have.
        """
        request = requests.complete_attachment_upload(
            connection_token, attachment_ids, client_token=client_token
        )
        return await self._call(request, shapes.CompleteAttachmentUploadResponse, priority)

    async def get_attachment(
        self,
        connection_token: str,
        attachment_id: str,
        *,
        url_expiry_in_seconds: int | None = None,
        url_content_disposition: ContentDisposition | None = None,
        priority: Priority = Priority.SEND,
    ) -> shapes.GetAttachmentResponse:
        """Learn where to download a file.

        Args:
            connection_token: From `create_participant_connection`.
            attachment_id: From an item's attachment.
            url_expiry_in_seconds: How long the URL lives, 5 to 300.
            url_content_disposition: How a browser is to treat it: ``"INLINE"`` or
                ``"ATTACHMENT"``.
            priority: See the class.
        """
        request = requests.get_attachment(
            connection_token,
            attachment_id,
            url_expiry_in_seconds=url_expiry_in_seconds,
            url_content_disposition=url_content_disposition,
        )
        return await self._call(request, shapes.GetAttachmentResponse, priority)

    async def describe_view(
        self, connection_token: str, view_token: str, *, priority: Priority = Priority.SEND
    ) -> shapes.DescribeViewResponse:
        """Get the view that a view message refers to.

        Args:
            connection_token: From `create_participant_connection`.
            view_token: The ``viewToken`` of the message, 1 to 1,000 characters.
            priority: See the class.

        Raises:
            ResourceNotFoundException: There is no such view.
        """
        request = requests.describe_view(connection_token, view_token)
        return await self._call(request, shapes.DescribeViewResponse, priority)

    async def get_authentication_url(
        self,
        connection_token: str,
        *,
        session_id: str,
        redirect_uri: str,
        priority: Priority = Priority.SEND,
    ) -> shapes.GetAuthenticationUrlResponse:
        """Learn where the customer signs in. Works for a minute after `AuthenticationInitiated`.

        Args:
            connection_token: From `create_participant_connection`.
            session_id: The ``session_id`` of the `AuthenticationInitiated`, 36 characters.
            redirect_uri: Where the customer goes then, 1 to 1,024 characters.
            priority: See the class.
        """
        request = requests.get_authentication_url(
            connection_token, session_id=session_id, redirect_uri=redirect_uri
        )
        return await self._call(request, shapes.GetAuthenticationUrlResponse, priority)

    async def cancel_participant_authentication(
        self, connection_token: str, *, session_id: str, priority: Priority = Priority.SEND
    ) -> shapes.CancelParticipantAuthenticationResponse:
        """Cancel a sign-in.

        Args:
            connection_token: From `create_participant_connection`.
            session_id: The ``session_id`` of the `AuthenticationInitiated`, 36 characters.
            priority: See the class.
        """
        request = requests.cancel_participant_authentication(
            connection_token, session_id=session_id
        )
        return await self._call(request, shapes.CancelParticipantAuthenticationResponse, priority)

    async def _call(self, request: Request, kind: type[R], priority: Priority) -> R:
        return await self._calls.call(request, kind, priority, self._bounds)


def _quota(quota: Quota | Mapping[str, Rate] | None) -> Quota | None:
    if quota is None or isinstance(quota, Quota):
        return quota
    unknown = quota.keys() - {operation.name for operation in OPERATIONS}
    if unknown:
        raise ConfigurationError(f"quota names no operation: {', '.join(sorted(unknown))}")
    return DEFAULT_QUOTA.overridden_by(quota)


def _user_agent(suffix: str | None) -> str:
    product = f"connect-chat/{__version__} python/{platform.python_version()}"
    if suffix is None:
        return product
    if not (suffix.isascii() and suffix.isprintable()):
        raise ConfigurationError("user_agent_suffix must be printable ASCII")
    return f"{product} {suffix.strip()}"
