"""What the tests of the emulator share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parent.parent / "samples" / "frames.jsonl"


@pytest.fixture(scope="session")
def samples() -> dict[str, dict[str, Any]]:
    """The published frames, by name."""
    lines = [json.loads(line) for line in SAMPLES.read_text(encoding="utf-8").splitlines()]
    return {line["name"]: line["frame"] for line in lines}


@pytest.fixture(scope="session")
def sample_items(samples: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The published Items, by name."""
    return {
        name: json.loads(frame["content"])
        for name, frame in samples.items()
        if frame.get("topic") == "aws/chat"
    }
