"""``connect-chat demo``: one chat, held through a rotation and a lost connection, and counted."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from connect_chat import ChatSession, Item, SessionOptions, Trace
from connect_chat.cli.narrator import Narrator
from connect_chat.cli.tally import Report, Tally, compare

if TYPE_CHECKING:
    from connect_chat.emulator import EmulatedParticipant, Emulator

__all__ = ["demo"]

_CUSTOMER = "Ana"
_AGENT = "Jane"
_LONGEST = 30.0
# Short enough to see a rotation, which comes after four fifths of it, and long enough that the one
# after the lost connection comes too late.
_WEBSOCKET_LIFETIME = 6.0
_OPTIONS = SessionOptions(rotation_jitter=0.0)

_TRACKING = (
    "08:10 it left the depot.",
    "08:45 the van was loaded.",
    "09:30 first stop.",
    "09:42 second stop.",
    "09:55 third stop.",
    "10:04 fourth stop.",
    "10:20 fifth stop.",
    "10:31 sixth stop.",
    "10:47 seventh stop.",
    "11:02 eighth stop.",
    "11:15 ninth stop.",
    "11:30 tenth stop.",
)
_WHILE_AWAY = (
    "12:40 at your door.",
    "12:41 nobody answered the bell.",
    "12:43 handed to your neighbour, Mr. Alvarez.",
)
_RECEIPT = b"Delivered at 12:43 to Mr. Alvarez, second floor.\n"


class _Console(Console):
    """Output that ends the demo, as Ctrl-C does, once nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        """Print nothing more, not even what is buffered when the process ends."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGINT)


def demo() -> None:
    """Hold a chat on an emulator, through a rotation and a lost connection, and count it."""
    console = _Console(highlight=False)
    try:
        report = asyncio.run(_demo(console))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except TimeoutError:
        typer.echo(f"The demo was not over within {_LONGEST:g} seconds.", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(0 if report.good else 1)


async def _demo(console: Console) -> Report:
    """Run the chat, print the summary and return it."""
    from connect_chat.emulator import Emulator, EmulatorSettings

    settings = EmulatorSettings(websocket_lifetime=_WEBSOCKET_LIFETIME)
    async with asyncio.timeout(_LONGEST), Emulator(settings=settings) as emulator:
        console.print(f"Amazon Connect, emulated, at {emulator.url}\n", soft_wrap=True)
        narrator = Narrator(console)
        tally = await _Chat(emulator, narrator).run()
    report = Report(tally, narrator.rotations, narrator.reconnections)
    console.print(f"\n{report}", soft_wrap=True)
    return report


class _Chat:
    """The customer's chat, and what both sides do in it."""

    def __init__(self, emulator: Emulator, narrator: Narrator) -> None:
        self._narrator = narrator
        self._emulator = emulator
        self._rotated = asyncio.Event()

    async def run(self) -> Tally:
        """Hold the chat to its end, and compare what was said with what was delivered."""
        emulator = self._emulator
        started = await emulator.start_chat(display_name=_CUSTOMER)
        await emulator.say(started.contact_id, "Welcome! Somebody will be with you in a moment.")
        session = ChatSession(
            started.participant_token,
            endpoint_url=emulator.url,
            participant_id=started.participant_id,
            options=_OPTIONS,
            on_trace=self._trace,
        )
        delivered: list[Item] = []
        async with session, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._talk(session, started.contact_id))
            async for item in session:
                delivered.append(item)
                self._narrator.item(item)
        transcript = emulator.transcript(started.contact_id)
        return compare(_for_customer(transcript, started.participant_id), delivered)

    def _trace(self, trace: Trace) -> None:
        self._narrator.trace(trace)
        if self._narrator.rotations:
            self._rotated.set()

    async def _talk(self, session: ChatSession, contact_id: str) -> None:
        await _pause(0.6)
        await self._ask(session, "Hello, my parcel was to come today. Where is it?")
        agent = await self._emulator.join(contact_id, display_name=_AGENT)
        await _pause(0.6)
        await self._answer(agent, "Good morning Ana, I am looking it up.")
        await self._answer(agent, "Here is what the van reported:")
        for line in _TRACKING:
            await agent.say(line)
            await _pause(0.4)
            if self._rotated.is_set():
                break
        await self._ask(session, "And then?")
        await _pause(0.6)

        # Said in the same breath, so that nobody hears it: it has to come from the transcript.
        self._emulator.drop_connections(contact_id)
        for line in _WHILE_AWAY:
            await agent.say(line)

        await _pause(0.8)
        await self._answer(agent, "This is the receipt.")
        await agent.send_file("receipt.txt", _RECEIPT, content_type="text/plain")
        await _pause(0.8)
        await self._ask(session, "Thank you, I will ring at his door!")
        await self._answer(agent, "My pleasure. Good-bye!")
        await agent.leave()
        await _pause(0.3)
        await session.disconnect()

    async def _ask(self, session: ChatSession, text: str) -> None:
        sent = await session.send(text)
        self._narrator.message(sent.absolute_time, _CUSTOMER, "CUSTOMER", text)
        await _pause(0.2)

    async def _answer(self, agent: EmulatedParticipant, text: str) -> None:
        await agent.type()
        await _pause(0.6)
        await agent.say(text)


async def _pause(seconds: float) -> None:
    """Wait as people do when they talk."""
    await asyncio.sleep(seconds)


def _for_customer(transcript: Iterable[Mapping[str, Any]], participant_id: str) -> list[str]:
    """Return the Ids of what a session of this participant is to deliver: all but its own words."""
    return [
        item["Id"]
        for item in transcript
        if item["Type"] != "MESSAGE" or item.get("ParticipantId") != participant_id
    ]
