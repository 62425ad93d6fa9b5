"""What goes down a websocket: whole text frames, encoded once for all who get them.

A server's frames are not masked, and the emulator negotiates no compression, so one frame is the
same bytes for every receiver.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from secrets import token_bytes
from typing import Any

from pydantic_core import from_json, to_json
from websockets.frames import Frame, Opcode

__all__ = [
    "HEARTBEAT",
    "PONG",
    "forbidden",
    "gateway_refusal",
    "item",
    "payload",
    "subscribed",
    "text",
    "topic",
]


def text(data: bytes) -> bytes:
    """Return the frame of a text, whatever is in it."""
    return Frame(Opcode.TEXT, data).serialize(mask=False)


def payload(frame: bytes) -> bytes:
    """Return the text of a frame."""
    length = frame[1]
    return frame[2 if length < 126 else 4 if length == 126 else 10 :]


def topic(frame: bytes) -> str | None:
    """Return the topic of a frame that the service sends, None for a refusal of the gateway."""
    found: str | None = from_json(payload(frame)).get("topic")
    return found


def _text(message: Mapping[str, Any]) -> bytes:
    return text(to_json(message))


HEARTBEAT = _text({"topic": "aws/heartbeat"})
"""The answer to ``aws/heartbeat``."""

PONG = _text({"topic": "aws/ping", "statusCode": 200, "statusContent": "OK"})
"""The answer to ``aws/ping``, the deep heartbeat."""


def item(content: Mapping[str, Any]) -> bytes:
    """Return the frame that pushes an Item, which travels as JSON in a string."""
    return _text(
        {
            "topic": "aws/chat",
            "contentType": "application/json",
            "content": to_json(content).decode(),
        }
    )


def subscribed(status: str, topics: Sequence[object]) -> bytes:
    """Return the answer to ``aws/subscribe``.

    Args:
        status: ``"success"`` or ``"failure"``.
        topics: What was asked for.
    """
    return _text({"topic": "aws/subscribe", "content": {"status": status, "topics": topics}})


def gateway_refusal() -> dict[str, str]:
    """Return what the gateway says of a message, or of an upgrade, that it does not take."""
    return {
        "message": "Forbidden",
        "connectionId": b64encode(token_bytes(11)).decode(),
        "requestId": b64encode(token_bytes(11)).decode(),
    }


def forbidden() -> bytes:
    """Return the frame that says so."""
    return _text(gateway_refusal())
