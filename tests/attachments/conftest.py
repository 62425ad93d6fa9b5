"""What all tests of files use."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once: the waits are random, and chance is on our side."""
    monkeypatch.setattr("connect_chat.transfers.random", SimpleNamespace(random=lambda: 0.0))
