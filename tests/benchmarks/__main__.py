"""Measures this library against references, in the same run, and compares two runs.

    python -m tests.benchmarks [--only receive,send] [--rounds 5] [--json FILE] [--strict]
    python -m tests.benchmarks compare BEFORE.json AFTER.json

What is printed are ratios: how they came about is said below the table. ``compare`` exits with 1
if a row has become worse by more than a quarter.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import slowed
from tests.benchmarks.compare import changes, describe_changes
from tests.benchmarks.machine import allow_many_files, describe, in_fresh_process
from tests.benchmarks.report import read_json, table, write_json
from tests.benchmarks.row import Missing, Row

GROUPS = {
    "receive": "receive.measure",
    "chatjs": "chatjs.measure",
    "stages": "stages.measure",
    "send": "send.measure",
    "memory": "memory.measure",
    "memory-tls": "memory.measure_tls",
    "idle": "idle.measure",
    "connect": "connect.measure",
    "latency": "latency.measure",
    "import": "imports.measure",
    "growth-sessions": "growth_sessions.measure",
    "growth-items": "growth_items.measure",
    "growth-transcript": "growth_transcript.measure",
}
"""What can be measured, and by which function of `tests.benchmarks.rows`."""


def measure(groups: Sequence[str], rounds: int) -> list[Row | Missing]:
    """Measure groups of rows, each in a process of its own."""
    rows: list[Row | Missing] = []
    for group in groups:
        began = time.perf_counter()
        print(f"{group} …", end=" ", file=sys.stderr, flush=True)
        module, _, function = GROUPS[group].partition(".")
        call = getattr(importlib.import_module(f"tests.benchmarks.rows.{module}"), function)
        rows += in_fresh_process(call, rounds)
        print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


def main() -> int:
    """Run what the command line says; return the exit status."""
    if sys.argv[1:2] == ["compare"]:
        return _compare(sys.argv[2:])
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default=",".join(GROUPS), help="groups of rows, with commas")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--json", type=Path, help="where to write the results down, too")
    parser.add_argument("--strict", action="store_true", help="fail if a target is missed")
    parser.add_argument(
        "--slowed", action="store_true", help="slow the library down, to see that this is seen"
    )
    arguments = parser.parse_args()
    allow_many_files()
    groups = arguments.only.split(",")
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"no such rows: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    if arguments.slowed:
        os.environ[slowed.VARIABLE] = "1"
    machine = describe()
    rows = measure(groups, arguments.rounds)
    print(", ".join(f"{machine[key]}" for key in ("cpu", "system", "python")))
    print(table(rows))
    if arguments.json:
        write_json(arguments.json, machine, rows)
    missed = any(isinstance(row, Row) and row.met is False for row in rows)
    return 1 if arguments.strict and missed else 0


def _compare(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks compare")
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    files = parser.parse_args(arguments)
    (_, before), (_, after) = read_json(files.before), read_json(files.after)
    found = changes(before, after)
    print(describe_changes(found))
    return 1 if any(change.verdict == "worse" for change in found) else 0


if __name__ == "__main__":
    sys.exit(main())
