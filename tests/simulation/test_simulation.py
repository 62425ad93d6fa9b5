"""Whole chats against a model of the service and the network: some hundreds of seeds."""

from __future__ import annotations

from random import Random

import pytest

from connect_chat.engine.options import SessionOptions

from .__main__ import main
from .plan import Plan, Scale
from .service import Traits
from .world import World, judge, simulate

SCALE = Scale(hours=1.0, minutes=3.0)
CHUNK = 25


@pytest.mark.parametrize("first", range(0, 300, CHUNK))
def test_nothing_is_violated(first: int) -> None:
    """Chats with every kind of trouble lose, repeat and disorder nothing."""
    outcomes = [simulate(seed, SCALE) for seed in range(first, first + CHUNK)]
    assert [f"seed {one.seed}: {one.violation}" for one in outcomes if one.violation] == []


def test_a_seed_replays_exactly() -> None:
    """The same seed gives the same chat."""
    assert simulate(7, SCALE) == simulate(7, SCALE)


def test_a_quiet_day() -> None:
    """A day without trouble costs a connection an hour, and no moment is deaf."""
    plan = Plan(Traits(), SessionOptions(), duration=86_400.0, gap=1800.0)
    world = World(plan, Random(1))
    world.run()
    assert world.service.deaf == []
    assert 24 <= world.calls.connections <= 28


def test_trouble_happens() -> None:
    """The faults do break things: a chat under them reconnects and reads back many times."""
    plan = Plan(
        Traits(), SessionOptions(), duration=600.0, gap=2.0, fault_every=20.0, kinds=("cut",)
    )
    world = World(plan, Random(3))
    world.run()
    assert world.faults > 10
    assert world.calls.connections > 10
    assert judge(plan, Random(3)) is None


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The runner sums up, and replays a seed with all that happened."""
    scale = ["--hours", "0.2", "--minutes", "1"]
    assert main(["--seeds", "3", "--jobs", "1", *scale]) == 0
    assert "0 violations" in capsys.readouterr().out
    assert main(["--replay", "1", *scale]) == 0
    told = capsys.readouterr().out
    assert "-> RequestConnection" in told
    assert "nothing was violated" in told
