"""How much all chats together keep, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Callable

from connect_chat.emulator.refusal import Refusal

__all__ = ["Ledger"]


class Ledger:
    """Counts what is kept, and refuses what is too much.

    Args:
        most: How much may be kept.
        what: What is counted, for the refusal, and the setting that says how much.
        reclaim: Forgets what is needed least and returns True, or False if there is nothing.

    Attributes:
        kept: How much is kept now.
    """

    def __init__(self, most: int, what: str, reclaim: Callable[[], bool]) -> None:
        self._most = most
        self._what = what
        self._reclaim = reclaim
        self.kept = 0

    def check(self, more: int = 1) -> None:
        """Make room for more, by forgetting if need be.

        Raises:
            Refusal: ThrottlingException if there is none.
        """
        while self.kept + more > self._most:
            if not self._reclaim():
                raise Refusal(
                    "ThrottlingException",
                    f"The emulator is full: it keeps {self._most} {self._what} at most.",
                )
