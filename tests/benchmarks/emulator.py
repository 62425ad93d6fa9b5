"""What the emulator sustains: sockets, memory, pushes and requests, in one process.

    python tests/benchmarks/emulator.py [--sockets 2000] [--pushes 20000] [--requests 5000]

The emulator runs in a process of its own, on whose CPU time the numbers are based: what it could
do with a core of its own, whatever else the machine is doing and however slow this client is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connect_chat.emulator import Emulator, EmulatorSettings

PUSHED = b'"aws/chat","contentType"'
_ASKED = json.dumps({"topic": "aws/subscribe", "content": {"topics": ["aws/chat"]}}).encode()
SUBSCRIBE = bytes((0x81, 0x80 | len(_ASKED), 0, 0, 0, 0)) + _ASKED
"""A text frame as clients send it, under a mask of zeros."""
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


# --- The process with the emulator ---------------------------------------------------------------


def serve(pipe: Connection) -> None:
    """Run an emulator, and do what the other end of the pipe asks for."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    chats: list[str] = []
    async with Emulator(settings=EmulatorSettings(max_items=10_000_000)) as emulator:

        async def start(count: int) -> list[str]:
            started = [await emulator.start_chat() for _ in range(count)]
            chats.extend(chat.contact_id for chat in started)
            return [chat.participant_token for chat in started]

        async def say(count: int) -> None:
            for number in range(count):
                await emulator.say(chats[number % len(chats)], "Hello, this is a message.")
                if number % 100 == 0:
                    await asyncio.sleep(0)

        async def usage(_: None) -> tuple[float, int]:
            used = resource.getrusage(resource.RUSAGE_SELF)
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            return used.ru_utime + used.ru_stime, pages * resource.getpagesize()

        commands: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "start": start,
            "say": say,
            "usage": usage,
        }
        pipe.send(emulator.url)
        while True:
            command, argument = await asyncio.to_thread(pipe.recv)
            if command == "stop":
                return
            pipe.send(await commands[command](argument))


class Server:
    """The emulator's process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    async def ask(self, command: str, argument: Any = None) -> Any:
        self._pipe.send((command, argument))
        return await asyncio.to_thread(self._pipe.recv)

    async def cpu(self) -> float:
        return float((await self.ask("usage"))[0])

    async def memory(self) -> int:
        return int((await self.ask("usage"))[1])


@contextmanager
def server_process() -> Iterator[tuple[Server, str]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    process.start()
    try:
        yield Server(ours), ours.recv()
    finally:
        ours.send(("stop", None))
        process.join()


# --- The clients, as light as can be -------------------------------------------------------------


class Wire(asyncio.Protocol):
    """A connection that counts how often something comes in.

    Args:
        marker: What is counted.
        counter: Who counts it.
        on_upgrade: What is sent once the connection is a websocket.
    """

    def __init__(self, marker: bytes, counter: Counter, on_upgrade: bytes = b"") -> None:
        self._marker = marker
        self._counter = counter
        self._on_upgrade = on_upgrade
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self._on_upgrade and data.startswith(b"HTTP/1.1 101"):
            self.transport.write(self._on_upgrade)
        self._counter.add(data.count(self._marker), self)


class Counter:
    """Waits until so many have come."""

    def __init__(self, then: Callable[[Wire], None] | None = None) -> None:
        self.count = 0
        self._then = then
        self._wanted = 0
        self._reached = asyncio.Event()

    def add(self, count: int, wire: Wire) -> None:
        self.count += count
        if self.count >= self._wanted:
            self._reached.set()
        elif self._then is not None and count:
            self._then(wire)

    def want(self, count: int) -> None:
        self._wanted = self.count + count
        self._reached.clear()

    async def reached(self) -> None:
        await self._reached.wait()


def post(host: str, path: str, token: str, members: dict[str, Any]) -> bytes:
    body = json.dumps(members).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nX-Amz-Bearer: {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def exchange(address: Any, request: bytes) -> Any:
    """Send one request on a connection of its own; return the members of the answer."""
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return json.loads(await reader.readexactly(length))
    finally:
        writer.close()


# --- The measurements ----------------------------------------------------------------------------


async def measure_sockets(server: Server, url: str, count: int) -> Counter:
    """Open websockets, each in a chat of its own; return what counts their pushes."""
    address, loop = urlsplit(url), asyncio.get_running_loop()
    host = address.netloc
    tokens = await server.ask("start", count)
    pushes, before, cpu, began = Counter(), await server.memory(), await server.cpu(), time.time()
    pushes.want(count)  # everybody's participant.joined
    gate = asyncio.Semaphore(50)

    async def open_one(token: str) -> None:
        async with gate:
            members = {"Type": ["WEBSOCKET", "CONNECTION_CREDENTIALS"]}
            request = post(host, "/participant/connection", token, members)
            reply = await exchange(address, request)
            path = reply["Websocket"]["Url"].partition(host)[2]
            _, wire = await loop.create_connection(
                lambda: Wire(PUSHED, pushes, SUBSCRIBE), address.hostname, address.port
            )
            wire.transport.write(UPGRADE.format(path=path, host=host).encode())

    await asyncio.gather(*map(open_one, tokens))
    await pushes.reached()
    took, used = time.time() - began, await server.cpu() - cpu
    report("sockets opened and subscribed", count, used, took)
    each = (await server.memory() - before) / count / 1024
    print(f"{'memory per chat with a socket':34} {each:7.1f} KB")
    return pushes


async def measure_pushes(server: Server, pushes: Counter, count: int) -> None:
    """Let items be said, each of which is pushed to one websocket."""
    cpu, began = await server.cpu(), time.time()
    pushes.want(count)
    await server.ask("say", count)
    await pushes.reached()
    report("items said and pushed", count, await server.cpu() - cpu, time.time() - began)


async def measure_requests(server: Server, url: str, count: int) -> None:
    """Send messages over HTTP, one after the other on each of some connections."""
    address = urlsplit(url)
    (participant,) = await server.ask("start", 1)
    members: dict[str, Any] = {"Type": ["CONNECTION_CREDENTIALS"], "ConnectParticipant": True}
    reply = await exchange(
        address, post(address.netloc, "/participant/connection", participant, members)
    )
    token = reply["ConnectionCredentials"]["ConnectionToken"]
    for name, path, body in (
        ("SendMessage", "message", {"ContentType": "text/plain", "Content": "Hello"}),
        ("GetTranscript of 100 items", "transcript", {"MaxResults": 100}),
    ):
        request = post(address.netloc, f"/participant/{path}", token, body)
        await measure_calls(server, address, name, request, count)


async def measure_calls(
    server: Server, address: Any, name: str, request: bytes, count: int, connections: int = 20
) -> None:
    answers = Counter(lambda wire: wire.transport.write(request))
    loop = asyncio.get_running_loop()
    wires = [Wire(b"HTTP/1.1 200", answers) for _ in range(connections)]
    for wire in wires:
        await loop.create_connection(lambda wire=wire: wire, address.hostname, address.port)
    cpu, began = await server.cpu(), time.time()
    answers.want(count)
    for wire in wires:
        wire.transport.write(request)
    await answers.reached()
    report(name, count, await server.cpu() - cpu, time.time() - began)
    for wire in wires:
        wire.transport.abort()


def report(what: str, count: int, cpu: float, took: float) -> None:
    print(
        f"{what:34} {count:7d}  {cpu / count * 1e6:7.0f} µs of CPU each: {count / cpu:8.0f}/s "
        f"(here and now {count / took:8.0f}/s)",
        flush=True,
    )


async def run(sockets: int, pushes: int, requests: int) -> None:
    with server_process() as (server, url):
        counter = await measure_sockets(server, url, sockets)
        await measure_pushes(server, counter, pushes)
        await measure_requests(server, url, requests)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the emulator sustains.")
    parser.add_argument("--sockets", type=int, default=2000)
    parser.add_argument("--pushes", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=5000)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < options.sockets * 2 + 100:
        sys.exit(f"{options.sockets} sockets need more open files than {most}")
    asyncio.run(run(options.sockets, options.pushes, options.requests))


if __name__ == "__main__":
    main()
