"""Which clients are tried: all of them in ``make test-clients``, which installs what they need."""

from __future__ import annotations

import os

import pytest

INSTALLED_ON_DEMAND = ("test_chatjs", "test_aws_cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs more than a virtual environment with the tests' own requirements."""
    if os.environ.get("CONNECT_CHAT_CLIENTS") == "all":
        return
    for item in items:
        if item.path.stem in INSTALLED_ON_DEMAND:
            item.add_marker(pytest.mark.skip(reason="run by make test-clients"))
