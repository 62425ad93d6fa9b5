"""The FastAPI example: its handlers in this process, and its server as a process that is killed."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from connect_chat.emulator import Emulator

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi_backend"


def environment(emulator: Emulator, database: Path) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "emulated",
        "AWS_SECRET_ACCESS_KEY": "emulated",
        "CONNECT_INSTANCE_ID": "instance",
        "CONNECT_FLOW_ID": "flow",
        "CHATS_DB": str(database),
    }


def said(emulator: Emulator, contact_id: str) -> list[str]:
    return [
        item["Content"] for item in emulator.transcript(contact_id) if item["Type"] == "MESSAGE"
    ]


class Server:
    """The example on uvicorn, as a process at a port that stays its own."""

    def __init__(self, emulator: Emulator, database: Path) -> None:
        self._environment = os.environ | environment(emulator, database)
        self._port = "0"
        self._process: Process | None = None
        self.url = ""

    async def start(self) -> None:
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "app:app", "--app-dir", str(EXAMPLE)),
            *("--port", self._port, "--no-access-log", "--no-use-colors"),
            env=self._environment,
            stderr=PIPE,
        )
        assert process.stderr is not None
        line = await process.stderr.readuntil(b"Press CTRL+C")
        [self.url] = re.findall(r"http://[\d.:]+", line.decode())
        self._port = self.url.rpartition(":")[2]

    async def stop(self, number: signal.Signals) -> str:
        """Send a signal; return what the server still said."""
        process, self._process = self._process, None
        if process is None:
            return ""
        process.send_signal(number)
        _, errors = await process.communicate()
        return errors.decode()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Emulator, Server]]:
    async with Emulator() as emulator:
        server = Server(emulator, folder / "chats.db")
        try:
            await server.start()
            yield emulator, server
        finally:
            await server.stop(signal.SIGKILL)


class Page:
    """What the page does: an event source that says which event was its last, and requests."""

    def __init__(self, server: Server, contact_id: str) -> None:
        self._server = server
        self._chat = f"/chats/{contact_id}"
        self.events: list[tuple[int, str, dict[str, Any]]] = []
        self.ended = asyncio.Event()
        self._shown = asyncio.Event()

    @property
    def texts(self) -> list[str]:
        """The messages it has been shown, in the order of coming."""
        return [data["text"] for _, kind, data in self.events if kind == "message"]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen; reconnect whenever the server hangs up, is away or comes back."""
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def until(self, text: str) -> None:
        """Wait until a message has been shown."""
        async with asyncio.timeout(20):
            while text not in self.texts:
                self._shown.clear()
                await self._shown.wait()

    async def say(self, text: str, token: str) -> None:
        """Say something, again and again until the server has had it."""
        body = {"text": text, "client_token": token}
        while True:
            try:
                async with httpx.AsyncClient(base_url=self._server.url, timeout=5) as client:
                    answer = await client.post(f"{self._chat}/messages", json=body)
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code < 500:
                assert answer.status_code == 204
                return

    async def _listen(self) -> None:
        while not self.ended.is_set():
            last = {"Last-Event-ID": str(self.events[-1][0])} if self.events else {}
            try:
                async with (
                    httpx.AsyncClient(base_url=self._server.url, timeout=30) as client,
                    client.stream("GET", f"{self._chat}/events", headers=last) as answer,
                ):
                    assert answer.headers["content-type"].startswith("text/event-stream")
                    await self._read(answer)
            except httpx.TransportError:
                await asyncio.sleep(0.05)

    async def _read(self, answer: httpx.Response) -> None:
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
                continue
            if "id" in fields:
                event = (int(fields["id"]), fields["event"], json.loads(fields["data"]))
                self.events.append(event)
                self._shown.set()
                if event[1] == "end":
                    self.ended.set()
            fields = {}


async def start_chat(server: Server) -> str:
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/chats", json={"name": "Ana", "client_token": "start"})
    return str(answer.json()["contact_id"])


@asynccontextmanager
async def in_process(
    emulator: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    for name, value in environment(emulator, folder / "chats.db").items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(EXAMPLE)
    for module in ("app", "log"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    app = importlib.import_module("app").app
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        yield client


async def test_repeated_requests_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the page repeats, because it got no answer, starts one chat and says one thing."""
    async with Emulator() as emulator, in_process(emulator, tmp_path, monkeypatch) as client:
        new = {"name": "Ana", "client_token": "start"}
        first, second = [await client.post("/chats", json=new) for _ in range(2)]
        contact_id = first.json()["contact_id"]
        assert (first.status_code, second.json()["contact_id"]) == (201, contact_id)
        for _ in range(2):
            body = {"text": "Hello", "client_token": "one"}
            answer = await client.post(f"/chats/{contact_id}/messages", json=body)
            assert answer.status_code == 204
        assert said(emulator, contact_id) == ["Hello"]
        assert emulator.open_connections() == 1


async def test_the_status_tells_whether_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only trouble that passes is a 5xx; an unknown chat and a refused content are not."""
    async with Emulator() as emulator, in_process(emulator, tmp_path, monkeypatch) as client:
        started = await client.post("/chats", json={"name": "Ana", "client_token": "start"})
        messages = f"/chats/{started.json()['contact_id']}/messages"
        body = {"text": "Hello", "client_token": "one"}
        emulator.fail_next("SendMessage", "InternalServerException", count=3)
        assert (await client.post(messages, json=body)).status_code == 503
        emulator.fail_next("SendMessage", "ValidationException")
        assert (await client.post(messages, json=body)).status_code == 400
        assert (await client.post(messages, json=body)).status_code == 204
        assert (await client.post(messages, json={**body, "text": ""})).status_code == 422
        assert (await client.post("/chats/other/messages", json=body)).status_code == 404


async def test_a_cancelled_handler_harms_no_chat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handlers that are cancelled wherever they wait, opening and saying, leave the chat well."""
    async with Emulator() as emulator, in_process(emulator, tmp_path, monkeypatch) as client:

        async def cancelled(path: str, body: dict[str, str], steps: int) -> None:
            task = asyncio.create_task(client.post(path, json=body))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        new = {"name": "Ana", "client_token": "start"}
        for steps in range(0, 40, 4):
            await cancelled("/chats", new, steps)
        contact_id = (await client.post("/chats", json=new)).json()["contact_id"]
        messages = f"/chats/{contact_id}/messages"
        for steps in range(0, 40, 2):
            body = {"text": f"{steps}", "client_token": f"{steps}"}
            await cancelled(messages, body, steps)
            assert (await client.post(messages, json=body)).status_code == 204
        assert said(emulator, contact_id) == [f"{steps}" for steps in range(0, 40, 2)]
        assert emulator.open_connections() == 1


async def test_pages_come_and_go(tmp_path: Path) -> None:
    """Two pages of a chat see the same; one that was away gets exactly what it has missed.

    Meanwhile others hang up in the middle of their requests.
    """
    async with running(tmp_path) as (emulator, server):
        contact_id = await start_chat(server)
        one, two = Page(server, contact_id), Page(server, contact_id)
        async with one.listening():
            async with two.listening():
                await one.say("first", "1")
                await emulator.say(contact_id, "second")
                await one.until("second")
                await two.until("second")
            for number in range(20):
                await hang_up(server, contact_id, f"{number}")
            await emulator.say(contact_id, "third")
            await one.until("third")
            assert len(two.events) == 2
            async with two.listening():
                await two.until("third")
                emulator.end_chat(contact_id)
                async with asyncio.timeout(20):
                    await asyncio.gather(one.ended.wait(), two.ended.wait())
        assert two.events == one.events
        numbers = [number for number, _, _ in one.events]
        assert numbers == sorted(set(numbers))
        assert one.texts == said(emulator, contact_id)
        [mine, other] = [data for _, _, data in one.events][:2]
        assert (mine["mine"], other["mine"], other["name"]) == (True, False, "Assistant")


async def test_the_server_stops_though_pages_are_listening(tmp_path: Path) -> None:
    """Streams end when it is told to stop; nothing is cancelled, and nothing is logged."""
    async with running(tmp_path) as (emulator, server):
        contact_id = await start_chat(server)
        page = Page(server, contact_id)
        async with page.listening():
            await emulator.say(contact_id, "Hello")
            await page.until("Hello")
            async with asyncio.timeout(20):
                errors = await server.stop(signal.SIGTERM)
        assert "Application shutdown complete" in errors
        assert "ERROR" not in errors


async def hang_up(server: Server, contact_id: str, token: str) -> None:
    """Ask to say something, and for the events, and be gone before the answer."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    body = json.dumps({"text": f"hasty {token}", "client_token": token})
    for request in (
        f"GET /chats/{contact_id}/events HTTP/1.1\r\nHost: {host}\r\n\r\n",
        (
            f"POST /chats/{contact_id}/messages HTTP/1.1\r\nHost: {host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ),
    ):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(request.encode())
        await writer.drain()
        writer.transport.abort()


async def test_a_killed_server_goes_on_where_it_was(tmp_path: Path) -> None:
    """Nothing that either side says is lost or repeated on the page, whenever the server dies."""
    async with running(tmp_path) as (emulator, server):
        contact_id = await start_chat(server)
        page, late = Page(server, contact_id), Page(server, contact_id)
        async with page.listening():
            for number in range(30):
                await emulator.say(contact_id, f"theirs {number}")
                if number == 10:
                    await page.until("theirs 2")
                    await server.stop(signal.SIGKILL)
                if number == 20:
                    await server.start()
                    await page.say("mine", "1")
            await page.until("theirs 29")
            emulator.end_chat(contact_id)
            async with asyncio.timeout(20):
                await page.ended.wait()
        assert page.texts == said(emulator, contact_id)
        assert [kind for _, kind, _ in page.events].count("end") == 1
        async with late.listening(), asyncio.timeout(20):
            await late.ended.wait()
        assert late.events == page.events


async def test_one_command_runs_it() -> None:
    """It says where the page is, starts the server again when that is killed, and stops."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLE / "run.py"), str(port)), stdout=PIPE
    )
    assert process.stdout is not None
    try:
        killed = set()
        for _ in range(2):
            line = (await process.stdout.readline()).decode()
            [(url, server)] = re.findall(r"(http://\S+) \(restart: kill -9 (\d+)\)", line)
            async with httpx.AsyncClient() as client:
                assert "<title>Chat</title>" in (await client.get(url)).text
            if not killed:
                os.kill(int(server), signal.SIGKILL)
            killed.add(server)
        assert len(killed) == 2
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
