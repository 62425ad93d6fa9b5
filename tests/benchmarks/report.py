"""What a run has found: as a table for people, and as JSON for the next run to be compared with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.row import Missing, Row
from tests.benchmarks.statistics import percentile

__all__ = ["read_json", "table", "write_json"]

_HEADINGS = ("", "ours", "reference", "", "result", "spread", "target", "")


def table(rows: Sequence[Row | Missing]) -> str:
    """Return the rows as text: for each the medians, the result with its spread, the target."""
    lines = [_HEADINGS, *(_cells(row) for row in rows if isinstance(row, Row))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    text = []
    for cells in lines:
        aligned = [
            cell.rjust(width) if column in (1, 2, 4, 5, 6) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        text.append("  ".join(aligned).rstrip())
    notes = [f"  {row.name}: against {row.reference_is}. {row.note}".rstrip() for row in rows
             if isinstance(row, Row)]  # fmt: skip
    missing = [f"  {row.name}: left out: {row.why}" for row in rows if isinstance(row, Missing)]
    return "\n".join([*text, "", *notes, *missing])


def _cells(row: Row) -> tuple[str, ...]:
    result, (sign, comparison) = row.result, _SPELLED[row.comparison]
    met = {True: "met", False: "MISSED", None: ""}[row.met]
    unit = f" {row.unit}" if row.comparison == "extra" else ""

    def spell(value: float) -> str:
        return f"{value:{sign}}" if row.comparison == "extra" else f"{value:.2f}"

    return (
        f"{row.name}: {row.what}",
        _number(percentile(row.ours, 50)),
        _number(percentile(row.reference, 50)),
        row.unit,
        f"{spell(result.median)}{unit} {comparison}".rstrip(),
        f"{spell(result.low)} … {spell(result.high)}",
        "" if row.target is None else f"{_AIM[row.comparison]} {spell(row.target)}{unit}",
        met,
    )


_SPELLED = {"speed": ("", "× as fast"), "cost": ("", "× the cost"), "extra": ("+.1f", "")}
_AIM = {"speed": "≥", "cost": "≤", "extra": "≤"}


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def write_json(path: Path, machine: dict[str, Any], rows: Sequence[Row | Missing]) -> None:
    """Write a run down."""
    report = {
        "machine": machine,
        "rows": [row.to_json() for row in rows if isinstance(row, Row)],
        "missing": [{"name": row.name, "why": row.why} for row in rows if isinstance(row, Missing)],
    }
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """Return the machine and the rows of a run that was written down.

    Raises:
        ValueError: It is no such file.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        return report["machine"], [Row.from_json(row) for row in report["rows"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is no report of the benchmarks") from error
