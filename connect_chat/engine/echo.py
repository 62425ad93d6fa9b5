"""Which items are our own, also before anybody has told us who we are.

The service sends our messages back to us like everybody's. Once our participant id is known they
are told by it. Until then they are told by the Ids that SendMessage answered with; but the echo
may overtake the answer. So, while a message of ours is under way and our id is unknown, items
that could be its echo wait behind this gate, and what follows them waits, too, to keep the order.
The first echo tells our participant id, and the gate is never needed again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from connect_chat.engine.commands import Outgoing
from connect_chat.items import Item, Message, Receipt, Typing

__all__ = ["EchoGate"]

_REMEMBERED = 256


class EchoGate:
    """Tells our own items from others'.

    Args:
        said: Returns the message of ours that is under way, or None.
        participant_id: Our participant, if known.
        participant_role: Our role, if known.

    Attributes:
        participant_id: Our participant, as far as known.
        participant_role: Our role, as far as known.
        waiting: The items behind the gate.
    """

    def __init__(
        self,
        said: Callable[[], Outgoing | None],
        participant_id: str | None,
        participant_role: str | None,
    ) -> None:
        self.participant_id = participant_id
        self.participant_role = participant_role
        self.waiting: list[Item] = []
        self._said = said
        self._sent: OrderedDict[str, None] = OrderedDict()
        self._typing = 0

    def sent(self, id_: str) -> None:
        """Note the Id that the service gave to a message of ours, or the id of a file."""
        self._sent[id_] = None
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)

    def typing_begun(self) -> None:
        """Note that we are telling the others that we are typing."""
        self._typing += 1

    def typing_ended(self, item_id: str | None) -> None:
        """Note that this has its answer: the Id of the typing event, or None for a failure."""
        self._typing -= 1
        if item_id is not None:
            self.sent(item_id)

    def is_mine(self, item: Item) -> bool:
        """Whether an item is ours: said by us, or a receipt that we gave."""
        if self._sent and self._was_sent(item):
            self.participant_id = self.participant_id or item.participant_id
            self.participant_role = self.participant_role or item.participant_role
            return True
        us = self.participant_id
        return us is not None and (
            item.participant_id == us
            or (isinstance(item, Receipt) and item.recipient_participant_id == us)
        )

    def let_through(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return what can be told apart; the first that can't, and all behind it, wait."""
        if not self.waiting and (self.participant_id is not None or not self._expecting):
            return items
        self.waiting.extend(items)
        return self.settle()

    def holds(self, item: Item) -> bool:
        """Whether the item waits behind the gate."""
        return any(item.id == waiting.id for waiting in self.waiting)

    def learn(self, items: Sequence[Item]) -> None:
        """Look for our first echo in what has just come in, long before it may be let through."""
        if self.participant_id is None and self._sent:
            for item in items:
                self.is_mine(item)

    def settle(self) -> Sequence[Item]:
        """Return the items that need not wait any more, in order."""
        ready = 0
        for item in self.waiting:
            self.is_mine(item)
            if self._may_be_echo(item):
                break
            ready += 1
        through, self.waiting = self.waiting[:ready], self.waiting[ready:]
        return through

    def give_up_waiting(self) -> Sequence[Item]:
        """Return all items but those that say the very same as the message under way."""
        said = self._said()
        content = None if said is None else said.content
        through, self.waiting = (
            [item for item in self.waiting if item.content != content],
            [item for item in self.waiting if item.content == content],
        )
        return through

    def open(self) -> Sequence[Item]:
        """Return whatever waits."""
        through, self.waiting = self.waiting, []
        return through

    @property
    def _expecting(self) -> bool:
        """Whether an echo of ours may come."""
        return bool(self._sent or self._typing or self._said() is not None)

    def _was_sent(self, item: Item) -> bool:
        sent = self._sent
        return item.id in sent or any(one.attachment_id in sent for one in item.attachments)

    def _may_be_echo(self, item: Item) -> bool:
        if self.participant_id is not None or item.id in self._sent:
            return False
        if isinstance(item, Typing):
            return self._typing > 0
        return (
            isinstance(item, Message)
            and item.participant_role != "SYSTEM"
            and self._said() is not None
        )
