"""Who is typing."""

from __future__ import annotations

from connect_chat.engine.options import SessionOptions
from connect_chat.items import Item, Message, ParticipantLeft, Typing

__all__ = ["Presence"]


class Presence:
    """Keeps the typing events of others that still hold.

    One holds until its participant says something or leaves, or until it is too old: who goes on
    typing says so again every 10 s.
    """

    def __init__(self, options: SessionOptions) -> None:
        self._lasts = options.typing_lasts
        self._typing: dict[str, tuple[float, Typing]] = {}

    def see(self, item: Item, now: float) -> None:
        """Take an item that somebody else has caused."""
        who = item.participant_id
        if who is None:
            return
        if isinstance(item, Typing):
            self._typing[who] = (now + self._lasts, item)
        elif self._typing and isinstance(item, Message | ParticipantLeft):
            self._typing.pop(who, None)

    def typing(self, now: float) -> tuple[Typing, ...]:
        """Return the latest typing event of each participant who is typing."""
        self._typing = {who: held for who, held in self._typing.items() if held[0] > now}
        return tuple(item for _, item in self._typing.values())
