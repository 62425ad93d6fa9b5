"""The moments at which the engine wants to be woken, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter

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

    def due(self, now: float) -> Iterator[Alarm]:
        """Yield the alarms that are due at ``now``, earliest first, each removed as it is yielded.

        One that is cancelled or moved while an earlier one is dealt with is not yielded; one that
        is set meanwhile is left for the next call, so that this one comes to an end.
        """
        if self.next is None or self.next > now:
            return
        due = [entry for entry in self._at.items() if entry[1] <= now]
        due.sort(key=itemgetter(1))
        for name, at in due:
            if self._at.get(name) == at:
                self.cancel(name)
                yield name
