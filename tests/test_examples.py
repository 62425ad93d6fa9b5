"""The examples, and the code in the README, as a newcomer runs them."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connect_chat.emulator import Emulator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
ECHO_BOT = ROOT / "examples" / "echo_bot.py"


@pytest.mark.parametrize("number", range(len(CODE)))
def test_the_code_in_the_readme_runs(number: int, tmp_path: Path) -> None:
    """Each block as it stands there: as a script, or as the test file that it is."""
    if "import pytest" in CODE[number]:
        (tmp_path / "test_readme.py").write_text(CODE[number], encoding="utf-8")
        pytest_it = [sys.executable, "-m", "pytest", "-q", "test_readme.py"]
        done = subprocess.run(
            pytest_it, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
        )
        assert done.returncode == 0, done.stdout
        assert "1 passed" in done.stdout
        return
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(CODE[number], f"README.md, block {number}", "exec"), names)


def test_the_first_example_is_a_file() -> None:
    """What one reads is what one runs."""
    assert CODE[0] == ECHO_BOT.read_text(encoding="utf-8")


def test_the_echo_bot_runs_by_itself() -> None:
    """Without a token it meets an agent of its own, and prints what the README shows."""
    done = subprocess.run(
        [sys.executable, ECHO_BOT], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "An agent said 'Hello'" in done.stdout
    assert f"$ python examples/echo_bot.py\n{done.stdout}```" in README


async def test_the_echo_bot_takes_part_in_the_chat_of_a_token() -> None:
    """With a token, and nothing said in the code about where to call, the agent is answered."""
    async with Emulator() as emulator:
        started = await emulator.start_chat()
        agent = await emulator.join(started.contact_id)
        await agent.say("Hello")
        await agent.say("bye")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            ECHO_BOT,
            env=os.environ
            | {
                "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": emulator.url,
                "PARTICIPANT_TOKEN": started.participant_token,
            },
        )
        try:
            assert await asyncio.wait_for(process.wait(), 30) == 0
        finally:
            if process.returncode is None:
                process.kill()
        transcript = emulator.transcript(started.contact_id)
    answers = [
        item["Content"]
        for item in transcript
        if item["Type"] == "MESSAGE" and item["ParticipantRole"] == "CUSTOMER"
    ]
    assert answers == ["You said: Hello"]


def test_the_interactive_bot_finds_its_way() -> None:
    """By itself it meets a flow, and answers each of its menus as a widget would."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "interactive_bot.py"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        'Answered with {"templateIdentifier":"ca","listTitle":"California",'
        '"selectionText":"Book flights"}\n'
        "Answered with 2026-10-31T17:00+00:00\n"
        "Answered with Very good\n"
    )
