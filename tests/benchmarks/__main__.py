"""Measures this library against references, in the same run.

    python -m tests.benchmarks [--only receive,send] [--rounds 5] [--json FILE] [--strict]

What is printed are ratios: how they came about is said below the table.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.machine import allow_many_files, describe, in_fresh_process
from tests.benchmarks.report import table, write_json
from tests.benchmarks.row import Missing, Row

GROUPS = ("receive", "send", "idle", "connect", "latency")


def measure(groups: Sequence[str], rounds: int) -> list[Row | Missing]:
    """Measure groups of rows, each in a process of its own."""
    rows: list[Row | Missing] = []
    for group in groups:
        began = time.perf_counter()
        print(f"{group} …", end=" ", file=sys.stderr, flush=True)
        module = importlib.import_module(f"tests.benchmarks.rows.{group}")
        rows += in_fresh_process(module.measure, rounds)
        print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


def main() -> int:
    """Run what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(GROUPS), help="groups of rows, with commas")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--json", type=Path, help="where to write the results down, too")
    parser.add_argument("--strict", action="store_true", help="fail if a target is missed")
    arguments = parser.parse_args()
    allow_many_files()
    groups = arguments.only.split(",")
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"no such rows: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    machine = describe()
    rows = measure(groups, arguments.rounds)
    print(", ".join(f"{machine[key]}" for key in ("cpu", "system", "python")))
    print(table(rows))
    if arguments.json:
        write_json(arguments.json, machine, rows)
    missed = any(isinstance(row, Row) and row.met is False for row in rows)
    return 1 if arguments.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
