"""What another process needs to go on with a chat."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, SecretStr, field_serializer
from pydantic_core.core_schema import SerializationInfo

from connect_chat.engine.commands import Position
from connect_chat.engine.echo import EchoGate
from connect_chat.engine.inbox import Inbox
from connect_chat.engine.reader import Reader

__all__ = ["Snapshot", "participant_key", "take_snapshot"]


class Snapshot(BaseModel):
    """Where a session stands, as a small value that another process can resume from.

    Take it after handling an item: items read after it was taken are delivered again, so the
    chat is handled at least once from it, exactly once if it is taken after every item. Its
    tokens are hidden in the repr and in ``model_dump()``; `dump` writes them in the clear.

    Attributes:
        version: The layout of this value.
        participant_token: The participant's token. A secret.
        connection_token: The latest connection token, to read what was said last if the chat has
            ended meanwhile. A secret.
        participant_id: Our participant, where it is known.
        participant_role: Our role, where it is known.
        contact_id: The contact, where it is known.
        anchor_id: The item from which the transcript has to be read, None for its beginning.
        anchor_time: That item's AbsoluteTime.
        floor: Items up to this AbsoluteTime have been read, though their Ids are not listed.
        last_time: The AbsoluteTime of the newest item that has been read.
        seen: The Ids, from the anchor on, of items that have been read, with their AbsoluteTimes,
            ascending; a few hundred while the transcript can be read.
    """

    model_config = ConfigDict(
        frozen=True,
        # Many processes never take one.
        defer_build=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    version: Literal[1] = 1
    participant_token: SecretStr
    connection_token: SecretStr | None = None
    participant_id: str | None = None
    participant_role: str | None = None
    contact_id: str | None = None
    anchor_id: str | None = None
    anchor_time: AwareDatetime | None = None
    floor: AwareDatetime | None = None
    seen: tuple[tuple[str, AwareDatetime], ...] = ()
    last_time: AwareDatetime | None = None

    @property
    def key(self) -> str:
        """What identifies the participant, and gives away nothing: a hash of its token."""
        return participant_key(self.participant_token.get_secret_value())

    @field_serializer("participant_token", "connection_token", when_used="json-unless-none")
    def _tokens(self, value: SecretStr, info: SerializationInfo) -> str:
        plain = isinstance(info.context, dict) and info.context.get("plain") is True
        return value.get_secret_value() if plain else str(value)

    def dump(self) -> str:
        """Return the snapshot as JSON with its tokens in the clear: keep it as a secret."""
        return self.model_dump_json(context={"plain": True}, exclude_none=True)

    @classmethod
    def load(cls, text: str | bytes) -> Snapshot:
        """Return the snapshot that `dump` wrote.

        Raises:
            ValueError: ``text`` is not such a snapshot; the message quotes nothing of it.
        """
        return cls.model_validate_json(text)


def participant_key(participant_token: str) -> str:
    """Return what identifies a participant and gives away nothing: a hash of its token."""
    return sha256(participant_token.encode()).hexdigest()


def take_snapshot(
    participant_token: str,
    connection_token: str | None,
    contact_id: str | None,
    inbox: Inbox,
    echoes: EchoGate,
    reader: Reader,
) -> Snapshot:
    """Return where a reader stands: what it has handed out counts as read, nothing else does.

    The anchor is the inbox's, unless something unread lies before it, or at the same time: it is
    the last item before that then. The identities of what has been read from there on are all
    listed, also where only a reader that is behind remembers them: a time up to which everything
    counts as read would take in what a gap that is still open lacks. What lies before the anchor
    may be read again where the service does not accept its Id any more, and is covered by
    ``floor``, unless something unread lies below that.
    """
    unread, begins = reader.unread(echoes.waiting)
    known = {place for place in (*inbox.since(0), *reader.had) if place.id not in unread}
    anchor, floor = inbox.anchor, inbox.floor
    if begins and anchor and begins.absolute_time <= anchor.absolute_time:
        # Of items with the same time, none tells where the others stand.
        before = (place for place in known if place.absolute_time < begins.absolute_time)
        anchor = max(before, key=_time_of, default=None)
    if anchor is not None:
        just_before = anchor.absolute_time - timedelta(microseconds=1)
        floor = just_before if floor is None else max(floor, just_before)
    if begins is not None and floor is not None:
        floor = min(floor, begins.absolute_time - timedelta(microseconds=1))
    read = sorted(
        (place.absolute_time, place.id)
        for place in known
        if anchor is None or place.absolute_time >= anchor.absolute_time
    )
    return Snapshot(
        participant_token=SecretStr(participant_token),
        connection_token=None if connection_token is None else SecretStr(connection_token),
        participant_id=echoes.participant_id,
        participant_role=echoes.participant_role,
        contact_id=contact_id,
        anchor_id=anchor.id if anchor else None,
        anchor_time=anchor.absolute_time if anchor else None,
        floor=floor,
        seen=tuple((name, time) for time, name in read),
        last_time=max(
            (time for time in (read and read[-1][0], anchor and anchor.absolute_time) if time),
            default=None,
        ),
    )


def _time_of(place: Position) -> datetime:
    return place.absolute_time
