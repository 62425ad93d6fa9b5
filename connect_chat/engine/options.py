"""Every time and bound that a session decides by, with its default and why it is so."""

from __future__ import annotations

from dataclasses import dataclass, fields

from connect_chat.errors import ConfigurationError

__all__ = ["SessionOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """The times (seconds) and bounds of one session. The defaults suit the service as documented.

    Connection:
        connect_timeout: How long the first connection is tried before ``async with`` raises.
            A new chat is lost to the service after 300 s.
        give_up_after: How long a broken chat is reconnected before the session fails.
        backoff_base: The first reconnection is immediate; later ones wait a random time up to
            ``backoff_base × 2ⁿ`` …
        backoff_cap: … but never longer than this.
        url_lifetime: A websocket URL older than this is not opened; the service lets it die at
            100 s.
        open_timeout: How long opening one socket may take.

    Liveness:
        heartbeat_interval: Between heartbeats; the service's clients use 10 s.
        silence_timeout: A link whose heartbeats have not been answered for this long is dead,
            whatever TCP says. More than `heartbeat_interval`.
        deep_failures: So many deep heartbeats failing in a row replace the link.
        deep_backoff: The least time between two such replacements; doubles each time, to at most
            sixteen times this, until a deep heartbeat is answered.

    Rotation:
        rotation_margin: The new connection is asked for this long before ConnectionExpiry (at
            most a fifth of the connection's lifetime) …
        rotation_jitter: … and up to this much earlier, at random (at most a fifth, too), so that
            a fleet does not rotate at once.
        retire_timeout: How long the old link has to answer its last heartbeat, which proves that
            nothing was missed, before it is doubted. When it has, it is listened to for a fifth of
            this longer.

    Recovery:
        merge_wait: How long live items wait for the transcript to be read, from the last page
            that was; they go out then, and what is found later is marked ``late``.
        relooks: After a gap has been read, the transcript is read again this long after, since
            it may lag behind the websocket. Empty for never.
        overlap: How far the transcript is trusted to lag: what it showed counts as complete only
            up to this long before the newest item that it showed. It shows a streamed message when
            that is whole, where it began; one of which no piece is seen may take so long.
        audit_after: So many items delivered since the transcript was last compared start a
            comparison in the background, at most every `audit_interval`.
        audit_interval: See `audit_after`.

    Delivery:
        reorder_window: Live items wait this long for an earlier one. 0 delivers at once.
        echo_wait: While the first message of ours is being sent and our participant id is
            unknown, messages wait up to this long to be told apart from our own echo.
        buffer: Items that a reader may have waiting before it is caught up from the transcript
            instead.
        poll_fastest: Without a websocket, how often the transcript is read while something is said
            in the chat …
        poll_slowest: … and how seldom when nothing is.
        stream_wait: How long a streamed message may go without a piece until what there is of it
            is delivered as incomplete.
        receipt_hold: How long a delivered receipt waits in case the message is read.
        receipt_interval: The least time between two receipts of a kind.
        typing_lasts: How long somebody counts as typing after they last said so.
        disconnect_timeout: After `disconnect()`, how long without an item until the chat counts as
            ended when the service does not say so.

    Files:
        attachment_max_bytes: The largest file that is sent; the service's default quota.
        attachments_per_chat: How many files a chat may have; the service's default quota.
    """

    connect_timeout: float = 60.0
    give_up_after: float = 1800.0
    backoff_base: float = 0.5
    backoff_cap: float = 30.0
    url_lifetime: float = 85.0
    open_timeout: float = 10.0

    heartbeat_interval: float = 10.0
    silence_timeout: float = 15.0
    deep_failures: int = 2
    deep_backoff: float = 60.0

    rotation_margin: float = 120.0
    rotation_jitter: float = 240.0
    retire_timeout: float = 5.0

    merge_wait: float = 5.0
    relooks: tuple[float, ...] = (1.0, 3.0, 10.0)
    overlap: float = 30.0
    audit_after: int = 500
    audit_interval: float = 60.0

    reorder_window: float = 0.1
    echo_wait: float = 5.0
    poll_fastest: float = 1.0
    poll_slowest: float = 10.0
    buffer: int = 1000
    stream_wait: float = 30.0
    receipt_hold: float = 0.3
    receipt_interval: float = 5.0
    typing_lasts: float = 12.0
    disconnect_timeout: float = 60.0

    attachment_max_bytes: int = 20 * 1024 * 1024
    attachments_per_chat: int = 35

    def __post_init__(self) -> None:
        may_be_zero = {
            "backoff_base",
            "reorder_window",
            "rotation_jitter",
            "merge_wait",
            "overlap",
            "echo_wait",
            "audit_interval",
            "receipt_hold",
            "receipt_interval",
        }
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "relooks":
                if any(
                    later <= earlier for earlier, later in zip((0.0, *value), value, strict=False)
                ):
                    raise ConfigurationError("relooks must be positive and rise, in seconds")
            elif value < 0 or (value == 0 and field.name not in may_be_zero):
                least = "0 or more" if field.name in may_be_zero else "more than 0"
                raise ConfigurationError(f"{field.name} must be {least}; got {value}")
        if self.silence_timeout <= self.heartbeat_interval:
            raise ConfigurationError(
                "silence_timeout must be more than heartbeat_interval "
                f"({self.heartbeat_interval:g} s), or every quiet link would count as dead"
            )
        if self.url_lifetime + self.open_timeout > 100.0:
            raise ConfigurationError(
                "url_lifetime and open_timeout together must be at most 100 s, "
                "when the service lets an unopened URL die"
            )
