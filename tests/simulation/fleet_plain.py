"""What a client without pacing does: exponential backoff with full jitter, each chat for itself."""

from __future__ import annotations

import math
from random import Random

from .clock import Clock
from .fleet_world import CONNECT, Network, Service

__all__ = ["PlainMember"]

BASE = 1.0
CAP = 20.0
ROTATE_BEFORE = 60.0


class PlainMember:
    """One chat. Its sockets need nothing but CreateParticipantConnection to be live.

    Args:
        clock: The time.
        rng: The randomness of backoff.
        network: Between it and the service.
        service: The service.
        attempts: After so many refusals in a row it gives up for good.

    Attributes:
        live: Whether it has a socket.
        deaf: How often it had none any more after it had one.
        broken: Whether it has given up.
        live_at: When it became live, after it was not.
    """

    __slots__ = (
        "_attempts", "_clock", "_expires", "_network", "_rng", "_service", "_tries", "broken",
        "deaf", "live", "live_at",
    )  # fmt: skip

    def __init__(
        self,
        clock: Clock,
        rng: Random,
        network: Network,
        service: Service,
        attempts: float = math.inf,
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._network = network
        self._service = service
        self._attempts = attempts
        self._tries = 0
        self._expires = 0.0
        self.live = False
        self.live_at: float | None = None
        self.deaf = 0
        self.broken = False

    def start(self) -> None:
        """Connect."""
        self._network.later(self._arrive)

    def cut(self) -> None:
        """Lose the socket, and connect again."""
        self._lose()
        self.start()

    def _arrive(self) -> None:
        self._network.later(self._answer, self._service.takes(CONNECT))

    def _answer(self, taken: bool) -> None:
        if taken:
            self._tries = 0
            if not self.live:
                self.live, self.live_at = True, self._clock.now
            self._expires = expires = self._clock.now + self._service.lifetime
            self._clock.at(expires, self._expire, expires)
            self._clock.at(expires - ROTATE_BEFORE, self._rotate, expires)
            return
        self._tries += 1
        if self._tries >= self._attempts:
            self.broken = True
            return
        bound = min(CAP, BASE * 2.0 ** min(self._tries - 1, 16))
        self._clock.after(bound * self._rng.random(), self.start)

    def _rotate(self, expires: float) -> None:
        if self.live and expires == self._expires:
            self.start()

    def _expire(self, expires: float) -> None:
        # A call for the next connection is under way since `_rotate`.
        if self.live and expires == self._expires:
            self._lose()

    def _lose(self) -> None:
        self.live = False
        self.deaf += 1
        self.live_at = None
