"""Run many seeds, or one again: ``python -m tests.simulation --seeds 100000``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from .plan import Scale
from .replay import replay
from .world import Outcome, simulate

BATCH = 10
SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 1 if anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many (%(default)s)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (%(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    parser.add_argument(
        "--hours", type=float, default=Scale().hours, help="of a quiet chat, at most"
    )
    parser.add_argument("--minutes", type=float, default=Scale().minutes, help="of a busy one")
    parser.add_argument("--replay", type=int, metavar="SEED", help="run one seed, telling all")
    parser.add_argument("--since", type=float, default=0.0, help="tell from this second on")
    options = parser.parse_args(arguments)
    scale = Scale(options.hours, options.minutes)
    if options.replay is not None:
        return replay(options.replay, scale, since=options.since)
    return _run(range(options.start, options.start + options.seeds), scale, options.jobs)


def _run(seeds: range, scale: Scale, jobs: int) -> int:
    began = time.monotonic()
    totals: Counter[str] = Counter()
    hours = 0.0
    violations: list[Outcome] = []
    for outcome in _outcomes(seeds, scale, jobs):
        hours += outcome.hours
        totals.update(
            chats=1,
            faults=outcome.faults,
            items=outcome.items,
            late=outcome.late,
            connections=outcome.connections,
            reads=outcome.reads,
        )
        if outcome.violation is not None:
            violations.append(outcome)
            if len(violations) <= SHOWN:
                print(f"\rseed {outcome.seed}: {outcome.violation}")
        if totals["chats"] % (BATCH * jobs) == 0:
            _progress(totals["chats"], len(seeds), hours, len(violations), began)
    took = time.monotonic() - began
    print(
        f"\r{totals['chats']:,} chats · {hours:,.0f} hours simulated · "
        f"{totals['faults']:,} faults · {totals['items']:,} items, {totals['late']:,} of them late"
        f" · {totals['connections']:,} connections, {totals['reads']:,} transcript pages"
        f" · {len(violations):,} violations · {took:,.0f} s"
    )
    if violations:
        extent = f"--hours {scale.hours:g} --minutes {scale.minutes:g}"
        print(f"replay with: python -m tests.simulation {extent} --replay {violations[0].seed}")
    return 1 if violations else 0


def _outcomes(seeds: range, scale: Scale, jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        for seed in seeds:
            yield simulate(seed, scale)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(simulate, seeds, [scale] * len(seeds), chunksize=BATCH)


def _progress(chats: int, of: int, hours: float, violations: int, began: float) -> None:
    if sys.stdout.isatty():
        rate = hours / (time.monotonic() - began)
        line = f"{chats:,} of {of:,} chats · {hours:,.0f} hours at {rate:,.0f}/s"
        print(f"\r{line} · {violations:,} violations ", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
