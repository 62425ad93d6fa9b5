"""Every time and limit of the emulated service."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from connect_chat.errors import ConfigurationError

__all__ = ["DOCUMENTED_QUOTAS", "EmulatorSettings"]

_MAY_BE_ZERO = {
    "transcript_lag",
    "scan_seconds",
    "disconnect_flow_seconds",
    "ended_chats_kept",
    "max_records",
}

DOCUMENTED_QUOTAS: Mapping[str, tuple[float, int]] = MappingProxyType(
    {
        "CreateParticipantConnection": (6, 9),
        "DisconnectParticipant": (3, 5),
        "GetTranscript": (8, 12),
        "SendMessage": (10, 15),
        "SendEvent": (10, 15),
        "StartAttachmentUpload": (2, 5),
        "CompleteAttachmentUpload": (2, 5),
        "GetAttachment": (8, 12),
    }
)
"""Calls per second, and at once, that a Connect instance allows by default, per operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorSettings:
    """Every time and limit of the emulated service; the defaults are the real one's.

    Attributes:
        url_lifetime: Seconds within which a websocket URL must be opened.
        websocket_lifetime: Seconds from the issue of a websocket URL to its ConnectionExpiry,
            when its socket is closed.
        connection_token_lifetime: Seconds that a ConnectionToken lives.
        connect_within: Seconds within which the participants of a chat must connect, or their
            tokens are refused.
        custom_bot_connect_within: The same, for a CUSTOM_BOT.
        chat_duration: Seconds that a chat lasts for which ChatDurationInMinutes does not say
            otherwise.
        seconds_per_minute: Seconds that a minute of ChatDurationInMinutes and of the
            participants' timers takes; less of them for tests in which those run out.
        max_websockets: Open websockets per participant.
        transcript_lag: Seconds after which GetTranscript shows an item; pushes do not wait.
        disconnect_flow_seconds: Seconds from the customer's leaving to ``chat.ended``, during
            which a disconnect flow may still say something.
        attachments_per_chat: Attachments that one chat may carry.
        attachment_max_bytes: The size of the largest attachment, in bytes.
        attachment_url_lifetime: Seconds that upload URLs live, and download URLs for which
            UrlExpiryInSeconds does not say otherwise.
        scan_seconds: Seconds that the scan of an attachment takes. With 0 attachments are
            approved at once, without being IN_PROGRESS before.
        authentication_url_lifetime: Seconds after ``authentication.initiated`` within which
            GetAuthenticationUrl works.
        quotas: Whether calls beyond ``quota_rates`` are answered with ThrottlingException.
        quota_rates: Calls per second and calls at once, by operation, of each Connect instance.
            What is not in it has no quota.
        max_chats: Chats that may be under way at once (the emulator's own limit, like the
            following ones, which bound its memory).
        ended_chats_kept: Chats that are over and still known. The oldest are forgotten first.
        max_items: Items that all chats together keep in their transcripts.
        max_attachment_bytes: Bytes that the attachments of all chats together have.
        max_connections: Open TCP connections; more are hung up on.
        max_records: How many of the latest requests, answers, frames and faults are recorded.

    Raises:
        ConfigurationError: A value is not a number, is negative, or is 0 where that means
            nothing would ever work; or ``quota_rates`` is not such a mapping.
    """

    url_lifetime: float = 100
    websocket_lifetime: float = 3600
    connection_token_lifetime: float = 86_400
    connect_within: float = 300
    custom_bot_connect_within: float = 15
    chat_duration: float = 25 * 3600
    seconds_per_minute: float = 60
    max_websockets: int = 5
    transcript_lag: float = 0
    disconnect_flow_seconds: float = 0
    attachments_per_chat: int = 35
    attachment_max_bytes: int = 20 * 1024 * 1024
    attachment_url_lifetime: float = 300
    scan_seconds: float = 0
    authentication_url_lifetime: float = 60
    quotas: bool = False
    quota_rates: Mapping[str, tuple[float, int]] = field(default_factory=lambda: DOCUMENTED_QUOTAS)
    max_chats: int = 20_000
    ended_chats_kept: int = 1000
    max_items: int = 500_000
    max_attachment_bytes: int = 512 * 1024 * 1024
    max_connections: int = 20_000
    max_records: int = 10_000

    def __post_init__(self) -> None:
        for setting in fields(self):
            if setting.type in ("int", "float"):
                value = getattr(self, setting.name)
                _check_number(setting.name, value, whole=setting.type == "int")
        for operation, (rate, burst) in self.quota_rates.items():
            _check_number(f"the rate of {operation}", rate, whole=False)
            _check_number(f"the burst of {operation}", burst, whole=True)


def _check_number(name: str, value: object, *, whole: bool) -> None:
    least = "0 or more" if name in _MAY_BE_ZERO else "more than 0"
    kinds = (int,) if whole else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool) or not math.isfinite(value):
        what = "a whole number" if whole else "a number"
        raise ConfigurationError(f"{name} must be {what}, {least}; got {value!r}")
    if value < 0 or (value == 0 and name not in _MAY_BE_ZERO):
        raise ConfigurationError(f"{name} must be {least}; got {value!r}")
