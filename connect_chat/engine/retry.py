"""Whether to repeat a call that failed, and after how long: the AWS SDKs' *standard* mode.

- A call is attempted three times at most, by default.
- The wait before an attempt is random between nothing and a bound that doubles each time (full
  jitter) up to 20 s. It starts longer after throttling, where the service has said that coming
  back at once doesn't help. A ``Retry-After`` of the service's is a lower bound.
- All calls of a client share a budget of 500 tokens. A retry costs 5 of them, or 10 when there was
  no answer at all; success gives back what its retry cost, or 1 if it took none. So a service that
  is down is asked once per call after a while, not three times.
- A call that must not happen twice is repeated only if it surely has not happened once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["BACKOFF_CAP", "RETRY_BUDGET", "Failure", "Retries", "RetryBudget"]

BACKOFF_CAP = 20.0
"""The longest wait that we choose ourselves, in seconds."""

RETRY_BUDGET = 500
"""The tokens that a client's calls share."""

_UNRETRIED_REFUND = 1


@dataclass(frozen=True, slots=True)
class _Traits:
    base: float
    """The bound of the first wait, in seconds."""

    cost: int
    """What a retry takes from the budget."""

    undone: bool
    """Whether the operation surely did not happen."""


class Failure(Enum):
    """The ways in which an attempt fails that a later one may not."""

    THROTTLED = _Traits(base=1.0, cost=5, undone=True)
    """The service refused it for the instance's quota."""

    FAULTY = _Traits(base=0.1, cost=5, undone=False)
    """The service, or a gateway before it, answered with a fault of its own."""

    LOST = _Traits(base=0.1, cost=10, undone=False)
    """It was sent, or begun to be, and nothing came back."""

    UNSENT = _Traits(base=0.1, cost=10, undone=True)
    """No connection could be had."""


class RetryBudget:
    """The retry tokens that all calls of a client share."""

    __slots__ = ("tokens",)

    def __init__(self) -> None:
        self.tokens = RETRY_BUDGET

    def spend(self, cost: int) -> bool:
        """Take ``cost`` tokens if they are there, and return whether they were."""
        if cost > self.tokens:
            return False
        self.tokens -= cost
        return True

    def refund(self, tokens: int) -> None:
        """Put tokens back, up to the whole budget."""
        self.tokens = min(RETRY_BUDGET, self.tokens + tokens)


class Retries:
    """The attempts of one call.

    Args:
        budget: The client's.
        max_attempts: How many attempts there may be, the first one included.
        repeatable: Whether the call may happen twice without harm.

    Attributes:
        attempts: The attempts made so far, the current one included.
    """

    __slots__ = ("_budget", "_max_attempts", "_refund", "_repeatable", "attempts")

    def __init__(self, budget: RetryBudget, *, max_attempts: int, repeatable: bool) -> None:
        self._budget = budget
        self._max_attempts = max_attempts
        self._repeatable = repeatable
        self._refund = _UNRETRIED_REFUND
        self.attempts = 1

    def again_after(
        self, failure: Failure, *, retry_after: float | None, remaining: float, chance: float
    ) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        Args:
            failure: How the current attempt failed.
            retry_after: The service's ``Retry-After``, in seconds, if it sent one.
            remaining: Seconds until the call's deadline. A wait that would not end before it is
                not begun.
            chance: A random number from 0 up to 1.
        """
        traits = failure.value
        if self.attempts >= self._max_attempts or not (self._repeatable or traits.undone):
            return None
        bound = min(BACKOFF_CAP, traits.base * 2.0 ** min(self.attempts - 1, 16))
        delay = max(bound * chance, retry_after or 0.0)
        if delay >= remaining or not self._budget.spend(traits.cost):
            return None
        self._refund = traits.cost
        self.attempts += 1
        return delay

    def succeeded(self) -> None:
        """Pay back to the budget what success is worth."""
        self._budget.refund(self._refund)
