"""``connect-chat emulator``, as a process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import httpx
import pytest

from .test_server import run_without

START = {
    "InstanceId": "instance",
    "ContactFlowId": "flow",
    "ParticipantDetails": {"DisplayName": "Ana"},
}
CONNECT = {"Type": ["CONNECTION_CREDENTIALS"]}
COMMAND = [sys.executable, "-c", "from connect_chat.cli import main; main()", "emulator"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_its_url_and_stops_cleanly(number: signal.Signals) -> None:
    """The first line of stdout is the URL, which answers; a signal ends it with status 0."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert httpx.get(url).status_code == 404
            process.send_signal(number)
            output, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, output) == (0, "")
    assert "StartChatContact" in errors
    assert "Traceback" not in errors


def test_quotas_and_origins_are_options() -> None:
    """With --quotas calls are throttled, with --allow-origin a page is let in."""
    page = "http://localhost:3000"
    options = ["--port", "0", "--quotas", "--allow-origin", page]
    with subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with httpx.Client(base_url=url, headers={"Origin": page}) as web:
                started = web.put("/contact/chat", json=START)
                assert started.headers["access-control-allow-origin"] == page
                bearer = {"X-Amz-Bearer": started.json()["ParticipantToken"]}
                statuses = {
                    web.post("/participant/connection", headers=bearer, json=CONNECT).status_code
                    for _ in range(30)
                }
        finally:
            process.kill()
    assert statuses == {200, 429}


def test_an_origin_that_is_none_is_an_error_in_words() -> None:
    """It says what one looks like and exits with 2, as for other wrong options."""
    done = subprocess.run(
        [*COMMAND, "--allow-origin", "*"], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "http://localhost:3000" in done.stderr


def test_a_port_in_use_is_an_error_in_words() -> None:
    """It says so and exits with 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("missing", "extra"), [("typer", "cli"), ("uvicorn", "emulator")])
def test_without_its_extra_it_says_which_to_install(missing: str, extra: str) -> None:
    """One line and status 1, no traceback."""
    code = "sys.argv[1:] = ['emulator']\nfrom connect_chat.cli import main\nmain()"
    done = run_without(missing, code=code)
    assert (done.returncode, done.stdout) == (1, "")
    assert f'pip install "connect-chat[{extra}]"' in done.stderr
    assert "Traceback" not in done.stderr
