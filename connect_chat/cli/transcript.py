"""``connect-chat transcript``: what was said in a chat, as a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Annotated, Self, TextIO

import typer

from connect_chat.client import ParticipantClient
from connect_chat.errors import ConnectChatError
from connect_chat.export import export_transcript
from connect_chat.items import Item, parse_item

__all__ = ["transcript"]

_IN_MEMORY = 16 * 1024 * 1024

transcript = typer.Typer(help="What was said in a chat, as a file.", no_args_is_help=True)


class Format(StrEnum):
    """How a transcript is written."""

    HTML = "html"
    MARKDOWN = "markdown"
    JSONL = "jsonl"


_BY_SUFFIX = {"md": Format.MARKDOWN, "jsonl": Format.JSONL}


@transcript.callback()
def _commands() -> None:
    """Keep the command named even while there is one only."""


@transcript.command()
def export(
    output: Annotated[
        str, typer.Option("--output", "-o", help="The file to write; - for standard output.")
    ] = "-",
    written_as: Annotated[
        Format | None,
        typer.Option("--format", help="By default what the file's name says, or else html."),
    ] = None,
    title: Annotated[str, typer.Option(help="What stands above it.")] = "Chat transcript",
    region: Annotated[str | None, typer.Option(help="The AWS region of the chat.")] = None,
    endpoint_url: Annotated[
        str | None, typer.Option(help="Where to call instead, for example an emulator.")
    ] = None,
    participant_token: Annotated[
        str | None, typer.Option(envvar="PARTICIPANT_TOKEN", help="Asked for if there is none.")
    ] = None,
    connection_token: Annotated[
        str | None, typer.Option(envvar="CONNECTION_TOKEN", help="Is used instead, if given.")
    ] = None,
) -> None:
    """Write the transcript of a chat, and of the chats that it goes on from.

    Tokens are secrets: give them in the environment or when asked, since others on the machine
    can read command lines.
    """
    if not (connection_token or participant_token):
        participant_token = typer.prompt("Participant token", hide_input=True, err=True)
    written_as = written_as or _BY_SUFFIX.get(output.rpartition(".")[2], Format.HTML)

    async def run() -> int:
        async with ParticipantClient(region, endpoint_url=endpoint_url) as client:
            token = connection_token or await _connection_token(client, participant_token or "")
            with _Pages() as pages:
                await _read_back(client, token, pages)
                with _opened(output) as file:
                    await export_transcript(pages, file, format=written_as.value, title=title)
                return pages.items

    try:
        items = asyncio.run(run())
    except (ConnectChatError, OSError) as error:
        typer.echo(f"There is no transcript: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{items:,} items.", err=True)


def _opened(output: str) -> AbstractContextManager[TextIO]:
    if output == "-":
        return nullcontext(typer.get_text_stream("stdout", encoding="utf-8"))
    return open(output, "w", encoding="utf-8", newline="\n")


async def _connection_token(client: ParticipantClient, participant_token: str) -> str:
    """Return a connection token, got without joining the chat."""
    connection = await client.create_participant_connection(
        participant_token, types=("CONNECTION_CREDENTIALS",)
    )
    credentials = connection.connection_credentials
    if credentials is None or credentials.connection_token is None:
        raise ConnectChatError("the service gave no connection token")
    return credentials.connection_token


async def _read_back(client: ParticipantClient, token: str, pages: _Pages) -> None:
    """Read from the newest page to the oldest: past contacts are reached in no other way."""
    next_token = None
    while True:
        page = await client.get_transcript(
            token,
            max_results=100,
            scan_direction="BACKWARD",
            sort_order="ASCENDING",
            next_token=next_token,
        )
        pages.add(page.transcript)
        next_token = page.next_token
        if next_token is None:
            return


class _Pages:
    """Pages that come newest first and are read oldest first; on disk if there are many.

    Attributes:
        items: How many items there are on them.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed on exit
        self._starts: list[int] = []
        self.items = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, page: Sequence[Item]) -> None:
        self._starts.append(self._file.tell())
        self._file.write(json.dumps([dict(item.raw) for item in page]).encode() + b"\n")
        self.items += len(page)

    def __iter__(self) -> Iterator[Item]:
        for start in reversed(self._starts):
            self._file.seek(start)
            for raw in json.loads(self._file.readline()):
                yield parse_item(raw)
