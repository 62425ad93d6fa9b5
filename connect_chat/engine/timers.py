"""The moments at which the engine wants to be woken, by name."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Alarm", "Timers"]

Alarm = str | tuple[str, int]
"""What an alarm is for, and whose it is where there are several."""


class Timers:
    """A handful of named alarms. Setting one again moves it."""

    __slots__ = ("_at", "_next")

    def __init__(self) -> None:
        self._at: dict[Alarm, float] = {}
        self._next: float | None = None

    @property
    def next(self) -> float | None:
        """When the earliest alarm is due, or None."""
        if self._next is None and self._at:
            self._next = min(self._at.values())
        return self._next

    def __contains__(self, name: Alarm) -> bool:
        return name in self._at

    def set(self, name: Alarm, at: float) -> None:
        """Have ``name`` due at ``at``."""
        self._at[name] = at
        self._next = None

    def cancel(self, name: Alarm) -> None:
        """Forget ``name``, if it is set."""
        if self._at.pop(name, None) is not None:
            self._next = None

    def keep(self, wanted: Callable[[Alarm], bool]) -> None:
        """Forget all but the ones that are ``wanted``."""
        self._at = {name: at for name, at in self._at.items() if wanted(name)}
        self._next = None

    def due(self, now: float) -> list[Alarm]:
        """Remove and return the alarms that are due at ``now``, earliest first."""
        if self.next is None or self.next > now:
            return []
        found = sorted((at, index) for index, at in enumerate(self._at.values()) if at <= now)
        names = list(self._at)
        rung = [names[index] for _, index in found]
        for name in rung:
            del self._at[name]
        self._next = None
        return rung
