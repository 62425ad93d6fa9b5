"""How long to wait before trying again."""

from __future__ import annotations

from random import Random

__all__ = ["Backoff"]


class Backoff:
    """Exponential backoff with full jitter: the n-th wait is random in 0 … base × 2ⁿ, capped.

    Args:
        base: The bound of the first wait, in seconds.
        cap: The bound that no wait exceeds, in seconds.
        rng: The randomness to draw from.
    """

    __slots__ = ("_base", "_cap", "_rng", "tries")

    def __init__(self, base: float, cap: float, rng: Random) -> None:
        self._base = base
        self._cap = cap
        self._rng = rng
        self.tries = 0

    def next(self) -> float:
        """Return the next wait, in seconds."""
        bound = min(self._cap, self._base * 2.0 ** min(self.tries, 30))
        self.tries += 1
        return self._rng.uniform(0.0, bound)

    def reset(self) -> None:
        """Begin again from the base."""
        self.tries = 0
