"""What pytest loads: markers, fixtures, and who runs which test.

It is loaded in every test run of everybody who has the package installed, so nothing but that is
imported here: the emulator, and what that needs, only with the first fixture.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from inspect import isasyncgenfunction, iscoroutinefunction, ismethod
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import asyncio

__all__: list[str] = []

_RUNNER = "_connect_runner"
_FIXTURES = frozenset(
    ("connect_emulator", "connect_client", "started_chat", "chat_session", "chat_agent")
)
_MARKERS = {
    "connect_fault": "(fault, **fields): a fault of the emulator, as a value or by kind and fields",
    "connect_settings": "(**settings): settings of the emulator",
    "connect_scenario": "(scenario): what the other side does: a value, a name or a file",
    "connect_time": "(mode): 'virtual', in which waiting takes no time, or 'real'",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what may be configured."""
    about = "'real' or 'virtual', for tests that are not marked with connect_time"
    parser.addini("connect_time", about, default="real")


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers and the fixtures known."""
    for name, about in _MARKERS.items():
        config.addinivalue_line("markers", name + about)
    # Now, since the fixtures are made with what pytest-asyncio provides, if that is there.
    from connect_chat.testing import fixtures

    config.pluginmanager.register(fixtures, fixtures.__name__)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Set up coroutine fixtures of the tests that we run, on the loop that the test will run on."""
    function: Any = fixturedef.func
    name = request.fixturename
    if not (isasyncgenfunction(function) or iscoroutinefunction(function)):
        return (yield)
    if _is_ours(request.node):
        runner = request.getfixturevalue(_RUNNER)
        bound = _bound(function, request.instance)
        fixturedef.func = _in_turns(bound, runner)  # type: ignore[misc]  # it is, for others
    elif name in _FIXTURES and not iscoroutinefunction(getattr(request.node, "obj", None)):
        pytest.fail(f"{name} is for coroutine tests: write 'async def'", pytrace=False)
    elif name in _FIXTURES and "anyio_backend" in request.fixturenames:
        fixturedef.func = _unmarked(function)  # type: ignore[misc]
    try:
        return (yield)
    finally:
        fixturedef.func = function  # type: ignore[misc]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Make an ordinary function of a test that we run; whoever calls it need not know."""
    if not isinstance(item, pytest.Function) or not _is_ours(item):
        return (yield)
    runner: asyncio.Runner = item._request.getfixturevalue(_RUNNER)
    test = item.obj

    def run(**arguments: Any) -> None:
        __tracebackhide__ = True
        runner.run(test(**arguments))

    item.obj = run
    try:
        return (yield)
    finally:
        item.obj = test


def _is_ours(item: pytest.Item) -> bool:
    """Return whether a test is a coroutine that uses this plugin and is left to it to run."""
    if not isinstance(item, pytest.Function) or not iscoroutinefunction(item.function):
        return False
    used = not _FIXTURES.isdisjoint(item.fixturenames) or any(
        item.get_closest_marker(name) for name in _MARKERS
    )
    run_by_others = "anyio_backend" in item.fixturenames or (
        item.get_closest_marker("asyncio") is not None
        and item.config.pluginmanager.hasplugin("asyncio")
    )
    return used and not run_by_others


def _bound(function: Any, instance: object) -> Callable[..., Any]:
    """Return a fixture, which may be a method of a test class, as the one of a test's instance."""
    if ismethod(function) and type(function.__self__) is type(instance):
        return function.__func__.__get__(instance)  # type: ignore[no-any-return]
    return function  # type: ignore[no-any-return]


def _in_turns(function: Callable[..., Any], runner: asyncio.Runner) -> Callable[..., Any]:
    """Return a coroutine fixture as an ordinary one, which runs the loop while it runs."""

    def once(**arguments: Any) -> Any:
        return runner.run(function(**arguments))

    def twice(**arguments: Any) -> Iterator[Any]:
        context = asynccontextmanager(function)(**arguments)
        yield runner.run(_enter(context))
        runner.run(_leave(context))

    return twice if isasyncgenfunction(function) else once


async def _enter(context: Any) -> Any:
    return await context.__aenter__()


async def _leave(context: Any) -> None:
    await context.__aexit__(None, None, None)


def _unmarked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a fixture of ours without what makes pytest-asyncio, if it is there, run it."""

    async def once(**arguments: Any) -> Any:
        return await function(**arguments)

    async def twice(**arguments: Any) -> AsyncIterator[Any]:
        async with asynccontextmanager(function)(**arguments) as value:
            yield value

    return twice if isasyncgenfunction(function) else once
