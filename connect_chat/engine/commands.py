"""What the engine asks its shell to do, and what it tells it.

The engine never waits: it returns these values, in order, and hears of the outcome through one
of its methods, which each command names. Frozen and slotted, so that a run can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

__all__ = [
    "CallService",
    "CloseSocket",
    "Command",
    "Forget",
    "Grant",
    "OpenSocket",
    "Outgoing",
    "Position",
    "ReadTranscript",
    "RequestConnection",
    "SendFrame",
    "SendReceipt",
    "Trace",
    "Urgency",
]

Urgency = Literal["send", "connect", "reconnect", "rotate", "history"]
"""How a call competes for the instance's quota, most urgent first."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the transcript: an item, by its Id and its AbsoluteTime."""

    id: str
    absolute_time: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """What CreateParticipantConnection gave.

    Attributes:
        url: The websocket URL, None if none was asked for. A secret.
        connection_expiry: When the socket will go away, by the service's clock.
        connection_token: The credential of every other call. A secret.
        token_expiry: When that will be refused, by the service's clock.
        service_time: The service's clock when it answered (the ``Date`` header).
        local_time: Our clock when the answer came.
    """

    url: str | None = field(repr=False)
    connection_expiry: datetime | None
    connection_token: str = field(repr=False)
    token_expiry: datetime | None
    service_time: datetime | None
    local_time: datetime


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One call that keeps its place in the chat's order of sends.

    Attributes:
        operation: The service's name of the call.
        content: The message; empty for DisconnectParticipant. A secret.
        content_type: Its MIME type.
        client_token: The same on every repetition of this intent.
    """

    operation: Literal["SendMessage", "DisconnectParticipant"]
    content: str = field(default="", repr=False)
    content_type: str = "text/plain"
    client_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RequestConnection:
    """Call CreateParticipantConnection; answer `connection_granted` or `connection_refused`.

    As long as it waits for its turn under the quota, it is ``connection_queued``; then its
    ``connection_turn_came``.

    Attributes:
        request: What the answer must quote.
        websocket: Whether a websocket is wanted, or credentials alone.
        urgency: ``"connect"``, ``"reconnect"`` or ``"rotate"``.
        deadline: When its turn will no longer be of use (the engine's clock), or None.
        connect_participant: Whether to be counted as connected without a websocket.
    """

    request: int
    websocket: bool
    urgency: Urgency
    deadline: float | None
    connect_participant: bool = False


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Open a websocket; answer `socket_opened` or `socket_failed` within `timeout` seconds."""

    link: int
    url: str = field(repr=False)
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Send a text frame on a link's socket; a failure shows as `socket_closed`."""

    link: int
    text: str


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """Close a link's socket, or stop opening it. No answer is needed; later ones are ignored."""

    link: int


@dataclass(frozen=True, slots=True)
class ReadTranscript:
    """Call GetTranscript; answer `page_read` or `page_failed`.

    Attributes:
        request: What the answer must quote.
        connection_token: The credential. A secret.
        query: The keyword arguments ``scan_direction``, ``sort_order``, ``start_position``,
            ``next_token`` and ``max_results`` of ``ParticipantClient.get_transcript``.
        urgency: ``"reconnect"`` for a gap, ``"history"`` otherwise.
    """

    request: int
    connection_token: str = field(repr=False)
    query: Mapping[str, Any] = field(repr=False)
    urgency: Urgency


@dataclass(frozen=True, slots=True)
class Forget:
    """Cancel a `RequestConnection` or `ReadTranscript`; its outcome would be ignored."""

    request: int


@dataclass(frozen=True, slots=True)
class CallService:
    """Make a call that keeps the order of sends; answer `call_succeeded` or `call_failed`."""

    call: int
    connection_token: str = field(repr=False)
    outgoing: Outgoing


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """Call SendEvent with a receipt; answer `receipt_failed` if that fails, else nothing."""

    request: int
    kind: Literal["delivered", "read"]
    message_id: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Something worth a log line or a hook: a name and facts, none of them secret.

    Attributes:
        event: A name such as ``"link.live"``; the whole list is in ``ChatSession``.
        facts: Plain values.
        level: ``"debug"``, ``"info"`` or ``"warning"``.
    """

    event: str
    facts: Mapping[str, object]
    level: Literal["debug", "info", "warning"] = "info"


Command = (
    RequestConnection
    | OpenSocket
    | SendFrame
    | CloseSocket
    | ReadTranscript
    | Forget
    | CallService
    | SendReceipt
    | Trace
)
