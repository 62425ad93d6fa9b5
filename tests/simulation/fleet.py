"""Thousands of chats that share one quota, for simulated hours and days.

What is real: `Limiter`, `Retries` and `RetryBudget`, and of every chat its `SessionEngine`; in the
simulation of a day its `Links` alone, which decide all that matters to the quota, since 20,000
sessions that also read, deliver and receive would take hours. What is modelled: the shell that
carries out commands (`fleet_world.Client` and `Member`, after `Caller`, `Pacer` and `Driver`), a
service that enforces the documented rates and bursts, and a network on which a call takes 20 to
120 ms each way, so that calls do not arrive as evenly as they were sent. Left out: items,
heartbeats in between (there would be hundreds of millions a day; what one chat does about them is
the business of the simulation next door), and every trouble but the one under test.

`fleet_plain` is what other clients do: call at once, and after a refusal wait for a random time
whose bound doubles (exponential backoff with full jitter).

``python -m tests.simulation.fleet`` runs
`fleet_scenarios` at full size and prints tables.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from connect_chat import Rate

from .fleet_scenarios import (
    Crowd,
    Cut,
    Days,
    Restored,
    cut,
    cut_plain,
    days,
    days_plain,
    noisy,
    restored,
)

HALF = Rate(3, 5)

Row = tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 1 if something is not as it must be."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.fleet", description="Run fleets at full size."
    )
    parser.add_argument("--cut", type=int, default=5000, help="sockets that are cut (%(default)s)")
    parser.add_argument("--chats", type=int, default=20_000, help="that rotate (%(default)s)")
    parser.add_argument("--hours", type=float, default=24.0, help="of rotating (%(default)s)")
    parser.add_argument("--plain-hours", type=float, default=6.0, help="without pacing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        # The longest first.
        day = pool.submit(days, options.chats, options.hours)
        plain_day = pool.submit(days_plain, options.chats, options.plain_hours)
        cuts = {
            "paced": pool.submit(cut, options.cut),
            "plain backoff": pool.submit(cut_plain, options.cut),
            "…, gives up after 5": pool.submit(cut_plain, options.cut, attempts=5),
            "paced, grants half": pool.submit(cut, options.cut // 5, granted=HALF),
        }
        again = pool.submit(restored, options.cut)
        crowds = {
            "paced": pool.submit(noisy),
            "first come, first served": pool.submit(noisy, fair=False),
        }
        _show("All sockets cut at once", _CUT, cuts, _cut_row)
        _show("Sockets kept live", _DAYS, {"paced": day, "plain backoff": plain_day}, _days_row)
        _show("Chats restored, newest first", _RESTORED, {"paced": again}, _restored_row)
        _show("A chat with 50 messages to send, 100 quiet ones", _CROWD, crowds, _crowd_row)
    good = _good(cuts["paced"].result(), day.result(), again.result())
    print(
        f"\n{'as it must be' if good else 'NOT AS IT MUST BE'} · {time.monotonic() - began:,.0f} s"
    )
    return 0 if good else 1


def _good(cut: Cut, day: Days, again: Restored) -> bool:
    return (
        cut.took <= 1.05 * cut.floor
        and cut.throttled + cut.sends_throttled + cut.reads_throttled == 0
        and day.deaf + day.throttled == 0
        and again.failed + again.throttled == 0
    )


_CUT = (
    *("client", "chats", "floor", "all live after", "÷ floor", "broken", "calls", "throttled"),
    *("messages", "longest"),
)
_DAYS = (
    *("client", "chats", "hours", "all live after", "rotations", "deaf moments", "throttled"),
    *("busiest minute", "most waiting"),
)
_RESTORED = (
    *("client", "chats", "floor", "all live after", "÷ floor", "failed", "out of place by"),
    *("new chats", "longest", "throttled"),
)
_CROWD = ("queue", "quiet ones' messages", "longest", "noisy one's longest", "throttled")


def _cut_row(one: Cut) -> Row:
    return (
        f"{one.chats:,}",
        f"{one.floor:,.0f} s",
        f"{one.took:,.0f} s" if not one.broken else "never",
        f"{one.took / one.floor:.3f}" if not one.broken else "–",
        f"{one.broken:,}",
        f"{one.calls:,}",
        f"{one.throttled:,}",
        f"{one.sends:,}",
        f"{one.send_wait:.2f} s" if one.sends else "–",
    )


def _days_row(one: Days) -> Row:
    return (
        f"{one.chats:,}",
        f"{one.hours:g}",
        f"{one.connected:,.0f} s",
        f"{one.rotations:,}",
        f"{one.deaf:,}",
        f"{one.throttled:,}",
        f"{one.busiest:,}",
        f"{one.peak:,}",
    )


def _restored_row(one: Restored) -> Row:
    return (
        f"{one.chats:,}",
        f"{one.floor:,.0f} s",
        f"{one.took:,.0f} s",
        f"{one.took / one.floor:.3f}",
        f"{one.failed:,}",
        f"{one.disordered:,}",
        f"{one.begun:,}",
        f"{one.begin_wait:.2f} s",
        f"{one.throttled:,}",
    )


def _crowd_row(one: Crowd) -> Row:
    return (f"{one.sent:,}", f"{one.quiet:.2f} s", f"{one.noisy:.2f} s", f"{one.throttled:,}")


def _show(
    title: str,
    heads: Row,
    runs: dict[str, Future[Any]],
    row: Callable[[Any], Row],
) -> None:
    """Print a table, once its rows are there."""
    rows = [heads, *((name, *row(run.result())) for name, run in runs.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"\n{title}")
    for cells in rows:
        first, *others = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        print("  ".join([" " + first, *others]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
