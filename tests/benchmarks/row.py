"""One line of the report: what was measured of ours and of the reference, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tests.benchmarks.statistics import Spread, spread

__all__ = ["Comparison", "Missing", "Row"]

Comparison = Literal["speed", "cost", "extra"]


@dataclass(frozen=True)
class Row:
    """A comparison of ours with a reference.

    Attributes:
        name: What stays the same from run to run: ``group.what``.
        what: What was measured.
        reference_is: What it is compared with.
        unit: What the numbers count.
        ours: A number for each round.
        reference: Likewise, of the same rounds.
        comparison: How the two are compared. ``"speed"``: how many times as fast ours is, where
            the numbers are costs; more is better. ``"cost"``: how many times as much ours costs;
            less is better. ``"extra"``: how much more ours costs, in ``unit``; less is better.
        target: What the result should at least (speed) or at most be; None if it is told for
            information.
        note: What one has to know.
    """

    name: str
    what: str
    reference_is: str
    unit: str
    ours: Sequence[float]
    reference: Sequence[float]
    comparison: Comparison
    target: float | None = None
    note: str = ""

    @property
    def results(self) -> list[float]:
        """The result of each round."""
        pairs = zip(self.ours, self.reference, strict=True)
        if self.comparison == "extra":
            return [ours - reference for ours, reference in pairs]
        if self.comparison == "speed":
            return [reference / ours for ours, reference in pairs]
        return [ours / reference for ours, reference in pairs]

    @property
    def result(self) -> Spread:
        """The rounds' results in short."""
        return spread(self.results)

    @property
    def met(self) -> bool | None:
        """Whether the median meets the target; None without one."""
        if self.target is None:
            return None
        if self.comparison == "speed":
            return self.result.median >= self.target
        return self.result.median <= self.target

    def to_json(self) -> dict[str, Any]:
        """Return it for a file, with what follows from it, for whoever reads that."""
        return {**asdict(self), "result": asdict(self.result), "met": self.met}

    @classmethod
    def from_json(cls, members: dict[str, Any]) -> Row:
        """Return what `to_json` has written."""
        kept = {key: value for key, value in members.items() if key not in {"result", "met"}}
        return cls(**kept)


@dataclass(frozen=True)
class Missing:
    """A line that could not be had here.

    Attributes:
        name: As of a `Row`.
        why: Why not.
    """

    name: str
    why: str
