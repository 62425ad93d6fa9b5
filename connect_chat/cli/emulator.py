"""``connect-chat emulator``: the service on this machine, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["emulator"]


def emulator(
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 8765,
    ssl_certfile: Annotated[
        Path | None, typer.Option(help="A certificate chain in PEM, for https and wss.")
    ] = None,
    ssl_keyfile: Annotated[Path | None, typer.Option(help="Its key in PEM.")] = None,
) -> None:
    """Emulate Amazon Connect chat; the first line of the output is the URL."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        asyncio.run(_serve(host, port, ssl_certfile, ssl_keyfile))
    except OSError as error:
        typer.echo(f"The emulator cannot listen on {host}:{port}: {error}", err=True)
        raise typer.Exit(1) from error


async def _serve(host: str, port: int, certfile: Path | None, keyfile: Path | None) -> None:
    from connect_chat.emulator import Emulator

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with Emulator(host, port, ssl_certfile=certfile, ssl_keyfile=keyfile) as running:
        print(running.url, flush=True)
        typer.echo(
            "Start a chat with StartChatContact there (any instance, flow and credentials), and "
            "connect as its customer with the ParticipantToken. Ctrl-C stops.",
            err=True,
        )
        await stopped.wait()
