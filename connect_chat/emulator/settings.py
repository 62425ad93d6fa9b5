"""Every time and limit of the emulated service."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from connect_chat.errors import ConfigurationError

__all__ = ["EmulatorSettings"]

_MAY_BE_ZERO = {"transcript_lag", "scan_seconds", "disconnect_flow_seconds"}


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

    Raises:
        ConfigurationError: A value is not a number, is negative, or is 0 where that means
            nothing would ever work.
    """

    url_lifetime: float = 100
    websocket_lifetime: float = 3600
    connection_token_lifetime: float = 86_400
    connect_within: float = 300
    custom_bot_connect_within: float = 15
    max_websockets: int = 5
    transcript_lag: float = 0
    disconnect_flow_seconds: float = 0
    attachments_per_chat: int = 35
    attachment_max_bytes: int = 20 * 1024 * 1024
    attachment_url_lifetime: float = 300
    scan_seconds: float = 0
    authentication_url_lifetime: float = 60

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kinds = int if field.type == "int" else (int, float)
            least = "0 or more" if field.name in _MAY_BE_ZERO else "more than 0"
            if not isinstance(value, kinds) or isinstance(value, bool) or not math.isfinite(value):
                what = "a whole number" if kinds is int else "a number"
                raise ConfigurationError(f"{field.name} must be {what}, {least}; got {value!r}")
            if value < 0 or (value == 0 and field.name not in _MAY_BE_ZERO):
                raise ConfigurationError(f"{field.name} must be {least}; got {value!r}")
