"""Errors on demand: what the next calls of an operation are answered with."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from connect_chat.emulator.model import CONTROL_PLANE, PARTICIPANT_SERVICE

__all__ = ["Fault", "Faults"]

_GATEWAY_STATUSES = (502, 503, 504)


@dataclass(frozen=True, slots=True)
class Fault:
    """One call that fails.

    Attributes:
        error: The service's name of the error, the bare HTTP status of a gateway in between, or
            None: no answer, the connection is aborted.
        after_work: Whether the operation does its work first.
    """

    error: str | int | None
    after_work: bool


class Faults:
    """The faults that are still to happen, per operation, first in first out."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Fault]] = {}

    def add(self, operation: str, error: str | int | None, *, count: int, after_work: bool) -> None:
        """Let the next ``count`` calls of an operation fail.

        Raises:
            ValueError: The operation does not exist or does not name that error.
        """
        known = PARTICIPANT_SERVICE.get(operation) or CONTROL_PLANE.get(operation)
        if known is None:
            raise ValueError(f"there is no operation {operation!r}")
        if isinstance(error, int) and error not in _GATEWAY_STATUSES:
            raise ValueError(f"a gateway's status is one of {_GATEWAY_STATUSES}; got {error}")
        if isinstance(error, str) and error not in known.errors:
            raise ValueError(
                f"{operation} answers with one of {', '.join(known.errors)}; got {error!r}"
            )
        self._waiting.setdefault(operation, deque()).extend([Fault(error, after_work)] * count)

    def take(self, operation: str) -> Fault | None:
        """Return the fault that is up next for a call of an operation, if any."""
        waiting = self._waiting.get(operation)
        return waiting.popleft() if waiting else None
