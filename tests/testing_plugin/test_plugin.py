"""The plugin for pytest, in test runs of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "test_my_bot.py"

STRICTLY = ("-p", "no:asyncio", "-W", "error", "--strict-markers")


@pytest.fixture
def run(pytester: pytest.Pytester) -> object:
    """Run a test file, with every warning an error, and return what came of it."""

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile("import asyncio\nimport pytest\n" + code)
        return pytester.runpytest_inprocess(*STRICTLY, *arguments)

    return run


def test_the_example_passes_as_it_is_copied(pytester: pytest.Pytester) -> None:
    """With nothing else in the folder, the plugin being found by itself."""
    shutil.copy(EXAMPLE, pytester.path)
    done = pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio", timeout=60)
    done.assert_outcomes(passed=5)


def test_pytest_finds_it() -> None:
    """By its entry point."""
    [found] = entry_points(group="pytest11", name="connect_chat")
    assert found.value == "connect_chat.testing.plugin"


def test_it_imports_no_server_for_who_does_not_use_it() -> None:
    """Loading it costs a test run the package itself, and nothing of the emulator."""
    code = (
        "import sys, pytest\n"
        "import connect_chat.testing.plugin, connect_chat.testing.fixtures\n"
        "print({'starlette', 'uvicorn', 'yaml', 'connect_chat.emulator'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "set()\n"


def test_a_bot_is_tested(run) -> None:
    """A session and an agent talk; the client is found by what the bot makes itself."""
    run(
        """
        import os
        from connect_chat import ChatSession, Message

        async def test_talk(chat_session, chat_agent):
            await chat_agent.say("Hello?")
            assert (await chat_session.wait_for(Message, timeout=5)).text == "Hello?"
            await chat_session.send("Hello!")
            assert (await chat_agent.receive()).text == "Hello!"

        async def test_own_client(connect_emulator, started_chat):
            assert os.environ["AWS_ENDPOINT_URL_CONNECT"] == connect_emulator.url
            async with ChatSession(started_chat.participant_token) as chat:
                await chat.send("Hello!")

        def test_afterwards():
            assert "AWS_ENDPOINT_URL_CONNECTPARTICIPANT" not in os.environ
        """.replace("\n        ", "\n")
    ).assert_outcomes(passed=3)


def test_fixtures_of_one_s_own_are_run_on_the_same_loop(run) -> None:
    """Generators and plain coroutines, methods, and of parametrized tests; what they leave behind
    is undone after the test, in reverse."""
    run(
        """
        order = []

        @pytest.fixture
        async def outer(chat_session):
            order.append("outer")
            yield asyncio.get_running_loop()
            assert asyncio.get_running_loop()
            order.append("outer done")

        @pytest.fixture
        async def inner(outer):
            return outer

        class TestThem:
            @pytest.fixture
            async def method(self, inner):
                order.append("method")
                self.inner = inner
                yield self
                order.append("method done")

            @pytest.mark.parametrize("number", [1, 2])
            async def test_loops(self, method, number):
                assert method is self
                assert self.inner is asyncio.get_running_loop()

        def test_order():
            assert order == ["outer", "method", "method done", "outer done"] * 2
        """.replace("\n        ", "\n")
    ).assert_outcomes(passed=3)


def test_failures_are_shown_where_they_are(run) -> None:
    """The traceback begins in the test, and what was set up is undone."""
    done = run(
        """
        async def test_wrong(chat_agent):
            assert chat_agent.contact_id == "wrong"

        async def test_right(chat_agent):
            pass
        """.replace("\n        ", "\n")
    )
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(['>*assert chat_agent.contact_id == "wrong"'])
    done.stdout.no_fnmatch_line("*runners.py*")


def test_ordinary_tests_are_told_what_to_write(run) -> None:
    """The emulator is not there for a test that keeps its loop from running."""
    done = run("def test_it(chat_agent): pass")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["connect_emulator is for coroutine tests: write 'async def'"])


def test_settings_scenarios_and_faults_are_marked(run) -> None:
    """Of several marks, the closest settings count, and all faults happen."""
    run(
        """
        from connect_chat import Message
        from connect_chat.emulator import faults, scenarios

        pytestmark = [
            pytest.mark.connect_settings(url_lifetime=50, max_records=7),
            pytest.mark.connect_fault(faults.Duplicate()),
        ]

        @pytest.mark.connect_settings(max_records=3)
        async def test_settings(connect_emulator, started_chat, connect_client):
            await connect_client.create_participant_connection(started_chat.participant_token)
            await connect_client.create_participant_connection(started_chat.participant_token)
            assert len(connect_emulator.records()) == 3

        @pytest.mark.connect_fault("delay", seconds=0.01, count=5)
        async def test_faults(connect_emulator):
            assert [injection.fault for injection in connect_emulator.injected] == [
                faults.Duplicate(), faults.Delay(0.01, count=5)
            ]

        @pytest.mark.parametrize("chat_session", [None], indirect=True)
        @pytest.mark.connect_scenario("greeting")
        async def test_ready_scenario(chat_session):
            assert (await chat_session.wait_for(Message, 5)).text == "Welcome to Example Corp."

        @pytest.mark.connect_scenario(scenarios.Scenario(scenarios.Say("Mine")))
        async def test_own_scenario(chat_session):
            assert (await chat_session.wait_for(Message, 5)).text == "Mine"
        """.replace("\n        ", "\n")
    ).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("mark", "problem"),
    [
        ("connect_fault('dance')", "*kind must be one of fail, *"),
        ("connect_fault()", "*connect_fault takes a fault, or a kind and its fields*"),
        ("connect_fault('cut')", "*Cut strikes what is there when it begins*after=seconds*"),
        ("connect_settings(max_records=-1)", "*max_records must be 0 or more; got -1*"),
        ("connect_scenario('suport')", "*did you mean 'support'*"),
        ("connect_time('fast')", "*connect_time is 'real' or 'virtual'; got 'fast'*"),
    ],
)
def test_wrong_marks_are_errors(run, mark: str, problem: str) -> None:
    """That say what is wrong."""
    done = run(f"@pytest.mark.{mark}\nasync def test_it(connect_emulator): pass")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([problem])


def test_time_may_be_virtual(run) -> None:
    """By mark or by configuration; also without an emulator. Its clock is the test's."""
    run(
        """
        from connect_chat.testing import VirtualTimeLoop

        @pytest.mark.connect_time("virtual")
        async def test_alone():
            await asyncio.sleep(3600)

        @pytest.mark.connect_time("virtual")
        async def test_rotation(chat_session):
            await asyncio.sleep(3600)
            assert chat_session.stats["rotations"] == 1

        @pytest.mark.connect_time("virtual")
        async def test_clock(connect_emulator, connect_client, started_chat):
            await asyncio.sleep(100)
            item = await connect_emulator.say(started_chat.contact_id, "x")
            loop = asyncio.get_running_loop()
            assert item.absolute_time.timestamp() == pytest.approx(loop.wall_time(), abs=0.1)

        async def test_real(connect_emulator):
            assert not isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
        """.replace("\n        ", "\n")
    ).assert_outcomes(passed=4)
    run(
        """
        async def test_virtual(chat_session):
            await asyncio.sleep(3600)

        @pytest.mark.connect_time("real")
        async def test_real(connect_emulator):
            assert asyncio.get_running_loop().time() > 0
        """.replace("\n        ", "\n"),
        "-o",
        "connect_time=virtual",
    ).assert_outcomes(passed=2)


def test_a_test_that_never_ends_fails(run) -> None:
    """In virtual time, instead of jumping from heartbeat to heartbeat for ever."""
    done = run(
        """
        @pytest.mark.connect_time("virtual")
        async def test_hangs(connect_emulator):
            await asyncio.Event().wait()
        """.replace("\n        ", "\n")
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*VirtualTimeError: everything waits*"])


def test_other_coroutine_tests_are_left_alone(run, pytester: pytest.Pytester) -> None:
    """Whoever runs them goes on doing so, and an own hook may stand beside ours."""
    done = run("async def test_it(): pass")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*async def functions are not natively supported*"])
    pytester.makeconftest(
        """
        import asyncio, inspect, pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(pyfuncitem):
            if inspect.iscoroutinefunction(pyfuncitem.obj):
                asyncio.run(pyfuncitem.obj())
                return True
        """
    )
    run(
        "async def test_it(): pass\nasync def test_ours(chat_agent): await chat_agent.say('x')"
    ).assert_outcomes(passed=2)


OTHERS = """
import asyncio
import pytest
from connect_chat import Message

{mark}
async def test_theirs(chat_session, chat_agent{extra}):
    await chat_agent.say("Hello")
    assert (await chat_session.wait_for(Message, timeout=5)).text == "Hello"
    await chat_session.send("Hello")
    assert (await chat_agent.receive()).text == "Hello"
"""

OURS = """
async def test_ours(chat_session, chat_agent):
    await chat_session.send("Hello")
    assert (await chat_agent.receive()).text == "Hello"

@pytest.mark.connect_time("virtual")
async def test_virtual(chat_session):
    await asyncio.sleep(3600)
"""

ASYNCIO = ("-W", "error", "-o", "asyncio_default_fixture_loop_scope=function")


def test_pytest_asyncio_may_run_the_tests(pytester: pytest.Pytester) -> None:
    """Those that it is to run, on its own loop; the others are ours, side by side."""
    pytester.makepyfile(OTHERS.format(mark="@pytest.mark.asyncio", extra="") + OURS)
    pytester.runpytest_subprocess(*ASYNCIO, timeout=60).assert_outcomes(passed=3)


def test_pytest_asyncio_may_run_everything(pytester: pytest.Pytester) -> None:
    """In its auto mode; virtual time is refused then, with what to do about it."""
    pytester.makepyfile(OTHERS.format(mark="", extra="") + OURS)
    done = pytester.runpytest_subprocess(*ASYNCIO, "--asyncio-mode=auto", timeout=60)
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["virtual time needs an event loop of its own:*auto mode*"])


@pytest.mark.parametrize("asyncio_too", [True, False])
def test_anyio_may_run_the_tests(pytester: pytest.Pytester, asyncio_too: bool) -> None:
    """Whether pytest-asyncio is there or not."""
    mark = "@pytest.mark.anyio\n@pytest.mark.parametrize('anyio_backend', ['asyncio'])"
    pytester.makepyfile(OTHERS.format(mark=mark, extra=", anyio_backend") + OURS)
    others = ASYNCIO if asyncio_too else ("-W", "error", "-p", "no:asyncio")
    pytester.runpytest_subprocess(*others, timeout=60).assert_outcomes(passed=3)


def test_it_says_what_there_is(run) -> None:
    """``pytest --markers`` and ``--fixtures`` list what it brings."""
    done = run("", "--markers")
    done.stdout.fnmatch_lines(["@pytest.mark.connect_fault(fault, [*][*]fields): a fault of *"])
    done = run("", "--fixtures")
    done.stdout.fnmatch_lines(["chat_agent -- *", "*An agent who has joined the chat."])
