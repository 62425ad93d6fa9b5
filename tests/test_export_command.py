"""``connect-chat transcript export``, against the emulator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from connect_chat import ParticipantClient, parse_item
from connect_chat.cli.app import app
from connect_chat.emulator import Emulator, StartedChat


async def command(emulator: Emulator, *arguments: str, **options: Any) -> Result:
    """Run the command beside the emulator's loop, with nothing in the environment but ``env``."""
    env: Mapping[str, str | None] = {
        "PARTICIPANT_TOKEN": None,
        "CONNECTION_TOKEN": None,
        **options.pop("env", {}),
    }
    every = ("transcript", "export", "--endpoint-url", emulator.url, *arguments)
    return await asyncio.to_thread(CliRunner().invoke, app, every, env=env, **options)


async def chat_of(emulator: Emulator, messages: int) -> StartedChat:
    started = await emulator.start_chat(display_name="Ana")
    for number in range(messages):
        await emulator.say(started.contact_id, f"number {number}")
    return started


async def test_a_long_chat_is_written_from_its_beginning():
    """All pages of it, the oldest first, though it is read from its end."""
    async with Emulator() as emulator:
        started = await chat_of(emulator, 250)
        env = {"PARTICIPANT_TOKEN": started.participant_token}
        done = await command(emulator, "--format", "jsonl", env=env)
        expected = emulator.transcript(started.contact_id)
    assert done.exit_code == 0, done.stderr
    items = [parse_item(json.loads(line)) for line in done.stdout.splitlines()]
    assert [item.id for item in items] == [raw["Id"] for raw in expected]
    assert len(items) >= 250
    assert done.stderr == f"{len(items):,} items.\n"


@pytest.mark.parametrize(
    ("name", "arguments", "beginning"),
    [
        ("chat.html", (), "<!doctype html>"),
        ("chat", (), "<!doctype html>"),
        ("chat.md", ("--title", "Ana"), "# Ana\n"),
        ("chat.jsonl", (), '{"'),
        ("chat.html", ("--format", "markdown"), "# Chat transcript\n"),
    ],
)
async def test_the_file_says_what_is_written(name, arguments, beginning, tmp_path: Path):
    """By its name, unless it is said otherwise; and nothing goes to standard output."""
    async with Emulator() as emulator:
        started = await chat_of(emulator, 1)
        env = {"PARTICIPANT_TOKEN": started.participant_token}
        done = await command(emulator, "-o", str(tmp_path / name), *arguments, env=env)
    assert (done.exit_code, done.stdout) == (0, "")
    written = (tmp_path / name).read_text(encoding="utf-8")
    assert written.startswith(beginning)
    assert "number 0" in written


async def test_reading_joins_nobody():
    """The chat does not notice that it is written down."""
    async with Emulator() as emulator:
        started = await chat_of(emulator, 1)
        before = emulator.transcript(started.contact_id)
        done = await command(emulator, env={"PARTICIPANT_TOKEN": started.participant_token})
        assert done.exit_code == 0
        assert emulator.transcript(started.contact_id) == before


async def test_a_connection_token_is_enough():
    """It is used instead of the participant's."""
    async with Emulator() as emulator:
        started = await chat_of(emulator, 1)
        async with ParticipantClient(endpoint_url=emulator.url) as client:
            connection = await client.create_participant_connection(started.participant_token)
        token = connection.connection_credentials.connection_token
        env = {"CONNECTION_TOKEN": token, "PARTICIPANT_TOKEN": "another"}
        done = await command(emulator, env=env)
    assert done.exit_code == 0
    assert "number 0" in done.stdout


async def test_a_token_is_asked_for_and_not_shown():
    """Where the environment has none."""
    async with Emulator() as emulator:
        started = await chat_of(emulator, 1)
        done = await command(emulator, input=f"{started.participant_token}\n")
    assert done.exit_code == 0
    assert "number 0" in done.stdout
    assert done.stderr.startswith("Participant token:")
    assert started.participant_token not in done.output


async def test_a_refusal_is_said_in_words(tmp_path: Path):
    """With status 1, no traceback and no file."""
    async with Emulator() as emulator:
        output = tmp_path / "chat.html"
        done = await command(emulator, "-o", str(output), env={"PARTICIPANT_TOKEN": "wrong"})
    assert done.exit_code == 1
    assert done.stderr.startswith("There is no transcript: CreateParticipantConnection failed")
    assert not output.exists()
