"""What the tests of calls over real sockets share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from connect_chat import ParticipantClient


@pytest.fixture(params=[None, "aiohttp"], ids=["httpx", "aiohttp"])
def client_over(request: pytest.FixtureRequest) -> Callable[..., ParticipantClient]:
    """Make a client that sends its calls over each of the ways that come with the library."""
    return partial(ParticipantClient, http=request.param)


@pytest.fixture
def proxy_variables(monkeypatch):
    """Set the variables of proxies, all others gone."""
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)

    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables
