"""What clients did: every request, answer, frame and fault, with its time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic_core import from_json, to_json

from connect_chat.emulator.clock import timestamp
from connect_chat.emulator.contact import Contact, Participant
from connect_chat.emulator.frames import payload

__all__ = ["Record", "RecordKind", "Records", "Whom", "to_json_lines"]

RecordKind = Literal["request", "answer", "upgrade", "frame_in", "frame_out", "closed", "fault"]
"""What was recorded:

- ``"request"`` and ``"answer"``: over HTTP, uploads to S3 and downloads from it among them.
- ``"upgrade"``: a websocket that opened, with the status 101, or did not.
- ``"frame_in"`` and ``"frame_out"``: a text that a client sent, and one that it was sent.
- ``"closed"``: a websocket's end, with its close code.
- ``"fault"``: an injected fault that happened.
"""

Whom = Participant | Contact | None
"""Whom something concerns: a participant, a chat as a whole, or nobody who is known."""

_SECRETS = {"ParticipantToken", "ConnectionToken", "ViewToken", "NextToken"}
_URLS = {"Url", "AuthenticationUrl", "RedirectUri"}
_CONTENTS = {
    *("Content", "DisplayName", "AttachmentName", "Attributes", "SegmentAttributes", "CustomerId"),
    *("View", "Description", "Name"),
}


@dataclass(frozen=True, slots=True)
class Record:
    """Something that happened.

    Attributes:
        time: When, in seconds since 1970, UTC, by the emulator's clock.
        kind: What, see `RecordKind`.
        contact_id: The chat that it belongs to, if it is known, by its ContactId at the time.
        participant_id: The participant, if it is known.
        participant_role: Their role.
        operation: The operation of a request, of its answer or of a fault that befell it; the
            topic of a frame.
        status: The HTTP status of an answer, None if it was lost; the code that a websocket was
            closed with, None without a handshake.
        token: The bearer token of a request. A secret.
        body: The input of a request, the output of an answer, the JSON of a frame with the Item
            in its ``content``; None where there is none or it is no JSON. For a fault its
            ``kind`` and fields.
    """

    time: float
    kind: RecordKind
    contact_id: str | None
    participant_id: str | None
    participant_role: str | None
    operation: str | None
    status: int | None
    token: str | None = field(repr=False)
    body: Mapping[str, Any] | None = field(repr=False)

    def masked(self, *, contents: bool = False) -> dict[str, Any]:
        """Return it as JSON can hold it, without secrets.

        A token is replaced by a fingerprint, by which the same one is recognized; a URL loses its
        query, which is what grants access.

        Args:
            contents: Whether to keep what was said, and names; otherwise their length is told.
        """
        values = {
            "time": timestamp(int(self.time * 1000)),
            "kind": self.kind,
            "contact_id": self.contact_id,
            "participant_id": self.participant_id,
            "participant_role": self.participant_role,
            "operation": self.operation,
            "status": self.status,
            "token": None if self.token is None else _fingerprint(self.token),
            "body": None if self.body is None else _mask(self.body, contents),
        }
        return {name: value for name, value in values.items() if value is not None}


class Records:
    """The latest of what happened.

    Args:
        now: Returns the time.
        most: How many records are kept; 0 for none.
    """

    def __init__(self, now: Callable[[], float], most: int) -> None:
        self._now = now
        # As cheap as can be, since every frame comes by; made into records when they are read.
        self._kept: deque[tuple[Any, ...]] = deque(maxlen=most)

    def add(
        self,
        kind: RecordKind,
        whom: Whom,
        *,
        operation: str | None = None,
        status: int | None = None,
        token: str | None = None,
        body: bytes | Mapping[str, Any] | None = None,
    ) -> None:
        """Record something.

        Args:
            kind: See `Record`, as for the others.
            whom: Whom it concerns.
            operation: See `Record`.
            status: See `Record`.
            token: See `Record`.
            body: See `Record`; of JSON, the bytes.
        """
        contact_id = None
        if whom is not None:
            contact_id = whom.id if isinstance(whom, Contact) else whom.contact.id
        self._kept.append((self._now(), kind, contact_id, whom, operation, status, token, body))

    def frame_out(self, participant: Participant | None, frame: bytes) -> None:
        """Record an encoded frame that a client is sent."""
        contact_id = None if participant is None else participant.contact.id
        self._kept.append(
            (self._now(), "frame_out", contact_id, participant, None, None, None, frame)
        )

    def select(
        self,
        kind: RecordKind | None = None,
        *,
        contact_id: str | None = None,
        participant: str | None = None,
        operation: str | None = None,
    ) -> list[Record]:
        """Return what was recorded, in order; None selects everything.

        Args:
            kind: Of this kind.
            contact_id: Of this chat.
            participant: Of who has this ParticipantId or this role.
            operation: Of this operation, or frames of this topic.
        """
        return [
            record
            for record in map(_read, list(self._kept))
            if kind in (None, record.kind)
            and contact_id in (None, record.contact_id)
            and participant in (None, record.participant_id, record.participant_role)
            and operation in (None, record.operation)
        ]


def to_json_lines(records: Iterable[Record], *, contents: bool = False) -> str:
    """Return records as JSON Lines, see `Record.masked`."""
    return "".join(to_json(record.masked(contents=contents)).decode() + "\n" for record in records)


def _read(kept: tuple[Any, ...]) -> Record:
    time, kind, contact_id, whom, operation, status, token, body = kept
    if kind == "frame_out":
        body = payload(body)
    if isinstance(body, bytes):
        body = _parsed(body)
    if kind in ("frame_in", "frame_out") and body is not None:
        operation = body.get("topic")
        if isinstance(body.get("content"), str):
            body = {**body, "content": _parsed(body["content"].encode())}
    participant = whom if isinstance(whom, Participant) else None
    return Record(
        time=time,
        kind=kind,
        contact_id=contact_id,
        participant_id=None if participant is None else participant.id,
        participant_role=None if participant is None else participant.role,
        operation=operation,
        status=status,
        token=token,
        body=body,
    )


def _parsed(body: bytes) -> Mapping[str, Any] | None:
    try:
        value = from_json(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _mask(value: Any, contents: bool) -> Any:
    if isinstance(value, Mapping):
        return {name: _masked_member(name, member, contents) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_mask(member, contents) for member in value]
    return value


def _masked_member(name: str, value: Any, contents: bool) -> Any:
    if isinstance(value, str):
        if name in _SECRETS:
            return _fingerprint(value)
        if name in _URLS:
            return _without_query(value)
    if name in _CONTENTS and not contents and value is not None:
        text = value if isinstance(value, str) else to_json(value).decode()
        return f"({len(text)} characters)"
    return _mask(value, contents)


def _fingerprint(secret: str) -> str:
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:12]}"


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
