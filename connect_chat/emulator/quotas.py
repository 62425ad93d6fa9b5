"""How many calls an instance takes: token buckets, as the service's quotas are documented."""

from __future__ import annotations

from dataclasses import dataclass

from connect_chat.emulator.clock import Clock
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.settings import EmulatorSettings

__all__ = ["Quotas"]

_MANY = 1000


@dataclass(slots=True)
class _Bucket:
    """What may be called at once, as of a time in seconds."""

    calls: float
    at: float


class Quotas:
    """The calls that each Connect instance has left, per operation."""

    def __init__(self, settings: EmulatorSettings, clock: Clock) -> None:
        self._rates = settings.quota_rates if settings.quotas else {}
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, instance_id: str, operation: str) -> None:
        """Count a call.

        Raises:
            Refusal: ThrottlingException if it is one too many, which is not counted.
        """
        if operation not in self._rates:
            return
        rate, burst = self._rates[operation]
        now = self._clock.now()
        bucket = self._buckets.setdefault((instance_id, operation), _Bucket(burst, now))
        bucket.calls = min(burst, bucket.calls + max(0.0, now - bucket.at) * rate)
        bucket.at = now
        if bucket.calls < 1:
            raise Refusal("ThrottlingException", "Rate exceeded")
        bucket.calls -= 1
        if len(self._buckets) > _MANY:
            self._forget_the_full(now)

    def _forget_the_full(self, now: float) -> None:
        """Forget the buckets that are full again, which is no different from new ones."""
        for key, bucket in list(self._buckets.items()):
            rate, burst = self._rates[key[1]]
            if bucket.calls + (now - bucket.at) * rate >= burst:
                del self._buckets[key]
