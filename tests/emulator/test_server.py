"""The emulator as a whole: starting, stopping, and what it leaves alone."""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from connect_chat.emulator import Emulator, EmulatorSettings
from connect_chat.errors import ConfigurationError

from .support import http, opened, running, sdk_client, subscribe


async def test_closing_is_prompt_whatever_is_going_on() -> None:
    """With websockets open and a request half sent, nothing is left and nothing is awaited."""
    before = asyncio.all_tasks()
    async with Emulator() as emulator:
        chat = await emulator.start_chat()
        async with http(emulator.url) as web:
            reply = await web.post(
                "/participant/connection",
                headers={"X-Amz-Bearer": chat.participant_token},
                json={"Type": ["WEBSOCKET"]},
            )
            websocket = await opened(reply.json()["Websocket"]["Url"])
            await subscribe(websocket)
            address = httpx.URL(emulator.url)
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(
                b"POST /participant/message HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 9\r\n\r\n"
            )
            idle_reader, idle_writer = await asyncio.open_connection(address.host, address.port)
            await web.get("/")  # by now the server has seen the half request
            started = time.monotonic()
            await emulator.__aexit__(None, None, None)
            assert time.monotonic() - started < 1
            assert await reader.read() == b""
            assert await idle_reader.read() == b""
            await websocket.wait_closed()
            assert websocket.close_code == 1012
    for stream in (writer, idle_writer):
        stream.close()
        await stream.wait_closed()
    assert asyncio.all_tasks() == before
    with pytest.raises(OSError):
        await asyncio.open_connection(address.host, address.port)


@pytest.mark.parametrize("turns", range(8))
async def test_closing_while_a_client_closes_is_no_trouble(turns: int) -> None:
    """However far the client's closing handshake has come."""
    async with Emulator() as emulator:
        chat = await emulator.start_chat()
        async with http(emulator.url) as web:
            reply = await web.post(
                "/participant/connection",
                headers={"X-Amz-Bearer": chat.participant_token},
                json={"Type": ["WEBSOCKET"]},
            )
        websocket = await opened(reply.json()["Websocket"]["Url"])
        closing = asyncio.create_task(websocket.close())
        for _ in range(turns):
            await asyncio.sleep(0)
    await closing


async def test_it_has_no_url_while_it_is_not_running() -> None:
    """Before and after, asking for the URL says what to do."""
    emulator = Emulator()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="async with"):
            _ = emulator.url
        async with emulator:
            assert emulator.url.startswith("http://127.0.0.1:")


async def test_chats_outlive_a_restart() -> None:
    """Entered again, an emulator still has its chats."""
    emulator = Emulator()
    async with emulator:
        chat = await emulator.start_chat()
    async with emulator:
        await emulator.say(chat.contact_id, "Welcome back")


async def test_timers_end_with_the_emulator() -> None:
    """What was to happen later does not happen any more."""
    emulator = Emulator(settings=EmulatorSettings(scan_seconds=0.01))
    async with emulator:
        chat = await emulator.start_chat()
        agent = await emulator.join(chat.contact_id)
        await agent.send_file("a.txt", b"a", content_type="text/plain")
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, done.set)
    await done.wait()
    statuses = [
        entry["Attachments"][0]["Status"]
        for entry in emulator.transcript(chat.contact_id)
        if "Attachments" in entry
    ]
    assert statuses == ["IN_PROGRESS"]


async def test_it_serves_https_and_wss(tmp_path: Path) -> None:
    """With a certificate the API and the websocket URLs are encrypted."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    async with Emulator(ssl_certfile=tmp_path / "server.pem") as emulator:
        assert emulator.url.startswith("https://127.0.0.1:")
        chat = await emulator.start_chat()
        client = sdk_client("connectparticipant", emulator.url, verify=str(tmp_path / "ca.pem"))
        reply = await asyncio.to_thread(
            client.create_participant_connection,
            Type=["WEBSOCKET"],
            ParticipantToken=chat.participant_token,
        )
        client.close()
        url = reply["Websocket"]["Url"]
        assert url.startswith("wss://")
        async with opened(url, ssl=context) as websocket:
            await subscribe(websocket)


async def test_closing_does_not_wait_for_a_tls_handshake(tmp_path: Path) -> None:
    """A client that connects and says nothing is hung up on, and no task waits for it."""
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    before = asyncio.all_tasks()
    async with Emulator(ssl_certfile=tmp_path / "server.pem") as emulator:
        address = httpx.URL(emulator.url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        while asyncio.all_tasks() == before:  # noqa: ASYNC110 - until the server accepts
            await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_urls_lead_back_the_way_the_client_came() -> None:
    """A client that knows the emulator by another name gets URLs with that name."""
    async with running() as rig, http(rig.emulator.url) as web:
        chat = await rig.emulator.start_chat()
        reply = await web.post(
            "/participant/connection",
            headers={"X-Amz-Bearer": chat.participant_token, "Host": "chat.localhost:80"},
            json={"Type": ["WEBSOCKET"]},
        )
        assert reply.json()["Websocket"]["Url"].startswith("ws://chat.localhost:80/")


async def test_listening_to_everybody_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Only an address that others reach causes a warning; the URL is one that works."""
    async with Emulator("localhost") as emulator:
        assert "localhost" in emulator.url
    async with Emulator("::1") as emulator:
        assert emulator.url.startswith("http://[::1]:")
    assert not caplog.records
    async with Emulator("0.0.0.0") as emulator, http() as web:
        assert (await web.get(emulator.url)).status_code == 404
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_it_is_quiet_and_keeps_out_of_others_logging(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With all logging on, no token, URL or content is logged; uvicorn's loggers stay as is."""
    uvicorn_loggers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.access")]
    before = [(logger.level, logger.propagate, logger.handlers[:]) for logger in uvicorn_loggers]
    with caplog.at_level(logging.DEBUG):
        async with running() as rig:
            chat = await rig.emulator.start_chat(initial_message="private words")
            reply = await rig.connection(chat.participant_token)
            async with opened(reply["Websocket"]["Url"]) as websocket:
                await subscribe(websocket)
    ours = [
        record.getMessage()
        for record in caplog.records
        if record.name.partition(".")[0] in ("connect_chat", "uvicorn")
    ]
    tokens = (chat.participant_token, reply["ConnectionCredentials"]["ConnectionToken"])
    for secret in (*tokens, reply["Websocket"]["Url"].partition("=")[2], "private words"):
        assert not [message for message in ours if secret in message]
    after = [(logger.level, logger.propagate, logger.handlers[:]) for logger in uvicorn_loggers]
    assert before == after


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url_lifetime": 0}, "url_lifetime must be more than 0; got 0"),
        ({"scan_seconds": -1}, "scan_seconds must be 0 or more; got -1"),
        ({"max_websockets": 1.5}, "max_websockets must be a whole number, more than 0; got 1.5"),
        ({"max_websockets": True}, "max_websockets must be a whole number, more than 0; got True"),
        ({"connect_within": "5"}, "connect_within must be a number, more than 0; got '5'"),
        ({"transcript_lag": float("nan")}, "transcript_lag must be a number, 0 or more; got nan"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    """The error names the setting, what is allowed and what was given."""
    with pytest.raises(ConfigurationError, match=f"^{message}$"):
        EmulatorSettings(**settings)


def run_without(*modules: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter in which some modules cannot be imported."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
    return subprocess.run(
        [sys.executable, "-c", hide + code], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_its_extra_it_says_which_to_install(missing: str) -> None:
    """The import raises MissingExtraError, while the package itself imports."""
    code = "import connect_chat\nimport connect_chat.emulator"
    done = run_without(missing, code=code)
    assert done.returncode == 1
    assert "MissingExtraError: The emulator needs an extra: run  pip install" in done.stderr
    assert '"connect-chat[emulator]"' in done.stderr


def test_the_package_does_not_import_the_emulator_s_dependencies() -> None:
    """``import connect_chat`` loads neither starlette nor uvicorn."""
    code = "import connect_chat; assert not {'starlette', 'uvicorn', 'typer'} & set(sys.modules)"
    assert run_without(code=code).returncode == 0
