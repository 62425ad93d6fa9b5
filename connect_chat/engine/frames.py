"""The websocket's frames: what we send, and what an incoming text means.

Source: the vendor's ChatJS, Android and iOS clients. Every frame is a JSON object with a
``topic``; a refusal by the gateway in front of the service has none.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_core import from_json

from connect_chat.item_json import parse_item_json
from connect_chat.items import Item, parse_item

__all__ = [
    "HEARTBEAT",
    "PING",
    "SUBSCRIBE",
    "BadFrame",
    "Frame",
    "HeartbeatAnswer",
    "PingAnswer",
    "SubscribeAnswer",
    "parse_frame",
]

SUBSCRIBE = '{"topic":"aws/subscribe","content":{"topics":["aws/chat"]}}'
HEARTBEAT = '{"topic":"aws/heartbeat"}'
PING = '{"topic":"aws/ping"}'


@dataclass(frozen=True, slots=True)
class SubscribeAnswer:
    """The answer to a subscription: accepted or refused."""

    accepted: bool


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """The gateway lives."""


@dataclass(frozen=True, slots=True)
class PingAnswer:
    """The path behind the gateway lives (``healthy``) or is ill."""

    healthy: bool


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A frame of no use.

    Attributes:
        why: ``"not JSON"``, ``"no topic"``, ``"unknown topic"`` or ``"not an Item"``; never a
            content.
        damaged: Whether an item may have been lost in it, so that the transcript must be asked.
    """

    why: str
    damaged: bool


Frame = Item | SubscribeAnswer | HeartbeatAnswer | PingAnswer | BadFrame

_HEARTBEAT_ANSWER = HeartbeatAnswer()


def parse_frame(text: str | bytes) -> Frame:
    """Return what a frame means. Never raises: what makes no sense is a `BadFrame`.

    Args:
        text: The frame as received.
    """
    try:
        # Keys come again with every frame, values seldom: to remember those costs more than it
        # gives.
        frame = from_json(text, cache_strings="keys")
    except (ValueError, TypeError):
        if isinstance(text, bytes):
            # What is no UTF-8 may be so in a content, and no reason to drop all of it.
            return parse_frame(text.decode(errors="replace"))
        # A TypeError is for what no UTF-8 could have given: a str with lone surrogates.
        return BadFrame("not JSON", damaged=True)
    topic = frame.get("topic") if isinstance(frame, dict) else None
    if topic == "aws/chat":
        try:
            content = frame.get("content")
            return parse_item_json(content) if isinstance(content, str) else parse_item(content)
        except ValueError:
            return BadFrame("not an Item", damaged=True)
    if topic == "aws/heartbeat":
        return _HEARTBEAT_ANSWER
    if topic == "aws/ping":
        return PingAnswer(frame.get("statusCode") == 200)
    if topic == "aws/subscribe":
        content = frame.get("content")
        return SubscribeAnswer(isinstance(content, dict) and content.get("status") == "success")
    if topic is None:
        return BadFrame("no topic", damaged=False)
    return BadFrame("unknown topic", damaged=False)
