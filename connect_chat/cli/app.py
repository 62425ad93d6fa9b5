"""The commands of ``connect-chat``, one module each."""

from __future__ import annotations

import typer

from connect_chat.cli.demo import demo
from connect_chat.cli.emulator import emulator
from connect_chat.cli.transcript import transcript

__all__ = ["app"]

app = typer.Typer(
    name="connect-chat",
    help="Amazon Connect chat from the command line.",
    no_args_is_help=True,
    add_completion=False,
)


app.command()(demo)
app.command()(emulator)
app.add_typer(transcript, name="transcript")
