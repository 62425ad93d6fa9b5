"""Two runs side by side: which rows have become worse, and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.benchmarks.row import Row

__all__ = ["Change", "changes", "describe_changes"]

TOLERANCE = 0.25
"""A row has changed if its result, a ratio to the reference of the same run, differs by more."""

_LEAST_EXTRA = 2.0
"""So much more or less, in the row's unit, is no change where differences are compared."""


@dataclass(frozen=True)
class Change:
    """A row of two runs.

    Attributes:
        name: The row's.
        before: Its result in the first run.
        after: Its result in the second.
        verdict: ``"worse"``, ``"better"`` or ``"same"``.
    """

    name: str
    before: float
    after: float
    verdict: str


def changes(before: Iterable[Row], after: Iterable[Row]) -> list[Change]:
    """Return how the rows that both runs have differ."""
    known = {row.name: row for row in before}
    return [_change(known[row.name], row) for row in after if row.name in known]


def _change(before: Row, after: Row) -> Change:
    old, new = before.result.median, after.result.median
    if after.comparison == "extra":
        bound = max(_LEAST_EXTRA, abs(old) * TOLERANCE)
        worse, better = new > old + bound, new < old - bound
    elif after.comparison == "speed":
        worse, better = new < old / (1 + TOLERANCE), new > old * (1 + TOLERANCE)
    else:
        worse, better = new > old * (1 + TOLERANCE), new < old / (1 + TOLERANCE)
    return Change(after.name, old, new, "worse" if worse else "better" if better else "same")


def describe_changes(found: Sequence[Change]) -> str:
    """Return them as text, a line each."""
    width = max((len(change.name) for change in found), default=0)
    return "\n".join(
        f"{change.name:<{width}}  {change.before:10.2f} → {change.after:10.2f}  "
        f"{'' if change.verdict == 'same' else change.verdict.upper()}".rstrip()
        for change in found
    )
