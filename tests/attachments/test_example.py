"""The example about files, as a newcomer runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "attachments.py"


def test_the_example_runs() -> None:
    """It sends a file with its progress, and keeps one that comes back."""
    done = subprocess.run(
        [sys.executable, EXAMPLE], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "  300,000 of 300,000 bytes\nThe scanner says APPROVED." in done.stdout
    assert done.stdout.endswith("Jane sent claim.pdf, 8 bytes.\n")
