"""``connect-chat emulator``: the service on this machine, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from connect_chat.errors import ConfigurationError

__all__ = ["emulator"]


def emulator(
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 8765,
    ssl_certfile: Annotated[
        Path | None, typer.Option(help="A certificate chain in PEM, for https and wss.")
    ] = None,
    ssl_keyfile: Annotated[Path | None, typer.Option(help="Its key in PEM.")] = None,
    quotas: Annotated[
        bool, typer.Option("--quotas", help="Throttle as the documented quotas do.")
    ] = False,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="A web page that may use it, for example http://localhost:3000. Repeatable.",
        ),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(help="What the other side does in each chat: a name or a YAML file."),
    ] = None,
    list_scenarios: Annotated[
        bool, typer.Option("--list-scenarios", help="List the scenarios there are, and exit.")
    ] = False,
) -> None:
    """Emulate Amazon Connect chat; the first line of the output is the URL."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    if list_scenarios:
        _list_scenarios()
        return
    played = _loaded(scenario)
    try:
        asyncio.run(
            _serve(
                host=host,
                port=port,
                ssl_certfile=ssl_certfile,
                ssl_keyfile=ssl_keyfile,
                quotas=quotas,
                allow_origins=allow_origin or (),
                scenario=played,
            )
        )
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from error
    except OSError as error:
        typer.echo(f"The emulator cannot listen on {host}:{port}: {error}", err=True)
        raise typer.Exit(1) from error


def _list_scenarios() -> None:
    from connect_chat.emulator.scenarios import ready

    for name, about in ready().items():
        typer.echo(f"{name:<14} {about}")


def _loaded(scenario: str | None) -> Any:
    from connect_chat.emulator.scenarios import load

    try:
        return None if scenario is None else load(scenario)
    except (ConfigurationError, OSError) as error:
        raise typer.BadParameter(str(error)) from error


async def _serve(*, quotas: bool, **options: Any) -> None:
    from connect_chat.emulator import Emulator, EmulatorSettings

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with Emulator(settings=EmulatorSettings(quotas=quotas), **options) as running:
        print(running.url, flush=True)
        typer.echo(
            "Start a chat with StartChatContact there (any instance, flow and credentials), and "
            "connect as its customer with the ParticipantToken. Ctrl-C stops.",
            err=True,
        )
        await stopped.wait()
