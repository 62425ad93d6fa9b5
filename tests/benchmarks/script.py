"""What is said in the benchmarks' chats: a pure function of a chat's number and an item's.

So nothing has to be kept: any frame, and any page of any chat's transcript, can be spelled when it
is needed. The kinds of items are those of ``tests/samples``, in a mix like a chat's with an agent;
own messages, pieces of streamed answers and the end of the chat are not among them, so that as
many items come out of a session as frames go in.

Items follow each other every 100 ms of the chat's own time, the fastest that the service's quota
allows. On the wire, one pair in ten comes in the wrong order.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

__all__ = [
    "CONTACT",
    "KEPT",
    "PERIOD",
    "frame",
    "frames",
    "identity",
    "item",
    "number_at",
    "number_of",
    "page",
    "stamped",
]

CONTACT = "7d007f43-a0cc-4efb-abc9-628fc216e6d5"
"""The contact that the samples' items belong to."""

_SAMPLES = Path(__file__).parent.parent / "samples" / "frames.jsonl"
_FIRST = "participant joined"
_MIX = (
    "message from the customer",
    "typing",
    "message from an agent",
    "read receipt",
    "message from the customer",
    "typing",
    "message from an agent",
    "message from the flow",
    "interactive: list picker",
    "carousel answer",
    "message from an agent",
    "message from the customer",
    "delivered receipt",
    "message in markdown",
    "message from the customer",
    "typing",
    "message from an agent",
    "attachment approved",
    "participant left",
    "message from an agent",
)
PERIOD = len(_MIX)
"""After so many items the kinds repeat. The last of them is a message."""

KEPT = PERIOD - 5
"""So many of those the transcript keeps."""

_NOT_KEPT = frozenset({"typing", "read receipt", "delivered receipt"})
_IS_KEPT = tuple(name not in _NOT_KEPT for name in _MIX)
_BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
_STEP = timedelta(milliseconds=100)

# Placeholders, as long as what takes their place.
_TIME, _ID = "2000-01-01T00:00:00.000Z", "00000000-0000-0000-0000-000000000000"
_STAMP = "0" * 20


def _templates() -> dict[str, tuple[bytes, bytes]]:
    """Return, by the samples' names, how items and their frames are spelled."""
    spelled = {}
    for line in _SAMPLES.read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)
        if sample["name"] in {_FIRST, *_MIX}:
            said = json.loads(sample["frame"]["content"])
            spelled[sample["name"]] = _spell(said)
            if sample["name"] == "message from an agent":
                spelled["stamped"] = _spell({**said, "Content": _STAMP})
    return spelled


def _spell(said: dict[str, Any]) -> tuple[bytes, bytes]:
    said = {**said, "AbsoluteTime": _TIME}
    if "Id" in said:
        said["Id"] = _ID
    content = json.dumps(said, separators=(",", ":"))
    whole = {"content": content, "contentType": "application/json", "topic": "aws/chat"}
    return _template(content), _template(json.dumps(whole, separators=(",", ":")))


def _template(text: str) -> bytes:
    """Return a bytes template that takes the time, the Id, and the stamp if there is one."""
    text = text.replace("%", "%%").replace(_TIME, "%(time)s").replace(_ID, "%(id)s")
    return text.replace(_STAMP, "%(stamp)s").encode()


_TEMPLATES = _templates()
_ITEMS = tuple(_TEMPLATES[name][0] for name in _MIX)
_FRAMES = tuple(_TEMPLATES[name][1] for name in _MIX)


def _facts(chat: int, number: int) -> dict[bytes, bytes]:
    time = (_BEGAN + number * _STEP).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return {
        b"time": time.encode() + b"Z",
        b"id": identity(chat, number).encode(),
    }


def identity(chat: int, number: int) -> str:
    """Return an item's Id."""
    return f"{number:08x}-0000-4000-8000-{chat:012x}"


def item(chat: int, number: int) -> bytes:
    """Return an item as the transcript spells it."""
    template = _ITEMS[number % PERIOD] if number else _TEMPLATES[_FIRST][0]
    return template % _facts(chat, number)


def frame(chat: int, number: int) -> bytes:
    """Return the websocket frame that pushes an item, header included."""
    template = _FRAMES[number % PERIOD] if number else _TEMPLATES[_FIRST][1]
    return websocket_frame(template % _facts(chat, number))


def frames(chat: int, first: int, count: int) -> Iterator[bytes]:
    """Yield the frames of the items from ``first`` on, in the order of the wire."""
    end = first + count
    for number in range(first, end):
        swapped = number
        if number % 10 == 3 and number + 1 < end:
            swapped = number + 1
        elif number % 10 == 4 and number > first:
            swapped = number - 1
        yield frame(chat, swapped)


def stamped(chat: int, number: int, stamp: int) -> bytes:
    """Return the frame of a message whose text is a number of nanoseconds."""
    facts = {**_facts(chat, number), b"stamp": b"%020d" % stamp}
    return websocket_frame(_TEMPLATES["stamped"][1] % facts)


def websocket_frame(payload: bytes) -> bytes:
    """Return a text frame as a server sends it."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes((size,)) + payload
    return b"\x81\x7e" + size.to_bytes(2, "big") + payload


def number_of(item_id: str) -> int:
    """Return the number of the item with an Id."""
    return int(item_id[:8], 16)


def number_at(time: str) -> int:
    """Return the number of the first item at or after a time in the service's spelling."""
    since = datetime.fromisoformat(time) - _BEGAN
    return max(0, -(-since // _STEP))


def page(chat: int, said: int, query: dict[str, Any]) -> bytes:
    """Return GetTranscript's answer in a chat in which ``said`` items have been said.

    Args:
        chat: The chat.
        said: How many items there are, those included that the transcript doesn't keep.
        query: The request's members, as the service spells them.
    """
    most = query.get("MaxResults", 10)
    position = query.get("StartPosition", {})
    token = query.get("NextToken")
    forward = query.get("ScanDirection", "FORWARD" if position else "BACKWARD") == "FORWARD"
    if token is not None:
        at = int(base64.b64decode(token))
    elif "Id" in position:
        at = number_of(position["Id"])
    elif "AbsoluteTime" in position:
        at = number_at(position["AbsoluteTime"])
    else:
        at = 0 if forward else said - 1
    found: list[bytes] = []
    while 0 <= at < said and len(found) < most:
        if at == 0 or _IS_KEPT[at % PERIOD]:
            found.append(item(chat, at))
        at += 1 if forward else -1
    if forward != (query.get("SortOrder", "DESCENDING") == "ASCENDING"):
        found.reverse()
    more = b""
    if 0 <= at < said:
        more = b',"NextToken":"%s"' % base64.b64encode(b"%d" % at)
    return b'{"InitialContactId":"%s","Transcript":[%s]%s}' % (_ID.encode(), b",".join(found), more)
