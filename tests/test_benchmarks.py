"""What the benchmarks are made of: their numbers, their comparisons, and the service they load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from connect_chat import ChatSession, ParticipantClient, SessionOptions
from tests.benchmarks.compare import changes
from tests.benchmarks.load import load, participant_token
from tests.benchmarks.report import read_json, table, write_json
from tests.benchmarks.row import Missing, Row
from tests.benchmarks.statistics import percentile, spread

ROOT = Path(__file__).parent.parent


def row(ours: float, comparison: str = "cost", target: float | None = 1.5) -> Row:
    return Row("group.what", "what", "that", "µs", [ours] * 3, [10.0] * 3, comparison, target)  # type: ignore[arg-type]


def test_percentiles_lie_between_the_numbers() -> None:
    """In proportion, whatever their order."""
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.5
    assert percentile([7.0], 99) == 7.0
    assert percentile(list(map(float, range(101))), 99) == 99.0
    assert spread([3.0, 1.0, 2.0]).median == 2.0
    assert (spread([3.0, 1.0]).low, spread([3.0, 1.0]).high) == (1.0, 3.0)


@pytest.mark.parametrize(
    ("comparison", "ours", "result", "met"),
    [
        ("cost", 14.0, 1.4, True),
        ("cost", 16.0, 1.6, False),
        ("speed", 5.0, 2.0, True),
        ("speed", 10.0, 1.0, False),
        ("extra", 11.0, 1.0, True),
        ("extra", 12.0, 2.0, False),
    ],
)
def test_a_target_is_met_on_the_better_side(
    comparison: str, ours: float, result: float, met: bool
) -> None:
    """More is better for speed, less for costs."""
    found = row(ours, comparison)
    assert found.result.median == pytest.approx(result)
    assert found.met is met
    assert ("MISSED" in table([found])) is not met


def test_a_report_comes_back_as_it_was(tmp_path: Path) -> None:
    """Rows, the machine, and what was left out."""
    path = tmp_path / "run.json"
    write_json(path, {"cpu": "any"}, [row(12.0), Missing("other", "there is none")])
    machine, rows = read_json(path)
    assert machine == {"cpu": "any"}
    assert [one.results for one in rows] == [row(12.0).results]


@pytest.mark.parametrize(
    ("comparison", "before", "after", "verdict"),
    [
        ("cost", 10.0, 13.0, "worse"),
        ("cost", 10.0, 12.0, "same"),
        ("cost", 13.0, 10.0, "better"),
        ("speed", 10.0, 13.0, "worse"),
        ("speed", 13.0, 10.0, "better"),
        ("extra", 11.0, 12.5, "same"),
        ("extra", 11.0, 14.0, "worse"),
    ],
)
def test_a_change_is_one_beyond_the_noise(
    comparison: str, before: float, after: float, verdict: str
) -> None:
    """A quarter of a ratio, or two units of a difference."""
    (change,) = changes([row(before, comparison)], [row(after, comparison)])
    assert change.verdict == verdict


def test_comparing_fails_if_a_row_is_worse(tmp_path: Path) -> None:
    """The exit status tells."""
    write_json(tmp_path / "a.json", {}, [row(10.0)])
    write_json(tmp_path / "b.json", {}, [row(20.0)])

    def compare(before: str, after: str) -> subprocess.CompletedProcess[str]:
        files = (str(tmp_path / before), str(tmp_path / after))
        return subprocess.run(
            [sys.executable, "-m", "tests.benchmarks", "compare", *files],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    worse = compare("a.json", "b.json")
    assert (worse.returncode, "WORSE" in worse.stdout) == (1, True)
    assert compare("a.json", "a.json").returncode == 0
    assert compare("b.json", "a.json").returncode == 0


def test_a_slowed_build_is_slower_wherever_it_is_measured() -> None:
    """In frames, calls and sessions."""
    code = (
        "from tests.benchmarks import slowed\n"
        "from connect_chat import ChatSession\n"
        "from connect_chat.engine.session import SessionEngine\n"
        "from connect_chat.transport.http import Http\n"
        "places = [(SessionEngine, 'frame_received'), (Http, 'send'), (ChatSession, '__init__')]\n"
        "before = [getattr(*place) for place in places]\n"
        "slowed.slow_down()\n"
        "print([getattr(*place).__name__ for place in places])\n"
        "import time; began = time.process_time()\n"
        "try: ChatSession('token', region='us-east-1')\n"
        "finally: print(time.process_time() - began >= slowed._SESSION)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["['slowly', 'slowly', 'slowly']", "True"]


async def test_a_session_receives_what_the_load_pushes_once() -> None:
    """The service is no emulator, but honest: what it pushes its transcript has, too."""
    with load() as process:
        (chat,) = process.new_chats(1)
        async with (
            ParticipantClient(endpoint_url=process.address.url(), quota=None) as client,
            ChatSession(
                participant_token(chat),
                client=client,
                options=SessionOptions(reorder_window=0.05, relooks=()),
            ) as session,
        ):
            await session.receive(20)
            process.prepare([chat], 300)()
            got = [(await session.receive(20)).id for _ in range(300)]
    assert len(set(got)) == 300
