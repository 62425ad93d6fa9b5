"""Run the backend on this machine, with an emulator for Amazon Connect: no AWS account is needed.

::

    python examples/fastapi_backend/run.py [PORT]

It says where the page is. Chat, and kill the server in the middle: it is started again, and the
chat goes on. Ctrl-C stops everything. Needs ``pip install "connect-chat[emulator,sqlite]" boto3
fastapi uvicorn``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from connect_chat.emulator import Emulator, scenarios

HERE = Path(__file__).parent
HOST = "127.0.0.1"


async def run(port: int) -> int:
    """Run emulator and server until the server stops by itself; return its status."""
    with TemporaryDirectory() as folder:
        async with Emulator(scenario=scenarios.load("support")) as emulator:
            environment = os.environ | {
                "AWS_ENDPOINT_URL": emulator.url,
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "emulated",
                "AWS_SECRET_ACCESS_KEY": "emulated",
                "CONNECT_INSTANCE_ID": "00000000-0000-0000-0000-000000000000",
                "CONNECT_FLOW_ID": "00000000-0000-0000-0000-000000000000",
                "CHATS_DB": os.path.join(folder, "chats.db"),
            }
            status = -signal.SIGKILL
            while status == -signal.SIGKILL:
                status = await serve(port, environment)
            return status


async def serve(port: int, environment: dict[str, str]) -> int:
    """Run the server once; return its status. Cancelled, stop it."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "app:app", "--app-dir", HERE),
        *("--host", HOST, "--port", str(port), "--log-level", "warning"),
        env=environment,
    )
    try:
        await until_it_answers(server, port)
        return await server.wait()
    finally:
        with suppress(ProcessLookupError):
            server.terminate()
        await server.wait()


async def until_it_answers(server: Process, port: int) -> None:
    """Wait until the server accepts connections, and say where the page is."""
    while server.returncode is None:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            print(f"Chat at http://{HOST}:{port}/ (restart: kill -9 {server.pid})", flush=True)
            return


async def main() -> int:
    """Run until a signal comes; return the exit status."""
    running = asyncio.create_task(run(int(sys.argv[1]) if len(sys.argv) > 1 else 8000))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
