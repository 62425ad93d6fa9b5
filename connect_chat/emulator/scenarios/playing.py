"""Plays a scenario in a chat."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from connect_chat.emulator.contact import Contact
from connect_chat.emulator.participants import EmulatedParticipant
from connect_chat.emulator.scenarios import steps
from connect_chat.emulator.scenarios.steps import Scenario, Step
from connect_chat.errors import ConfigurationError

if TYPE_CHECKING:
    from connect_chat.emulator.server import Emulator

__all__ = ["play"]

_MOST_CHARACTERS = 1024
"""Of a message. What an answer is repeated in, may have more."""


async def play(emulator: Emulator, contact: Contact, scenario: Scenario) -> None:
    """Play a scenario to its end, or to the chat's.

    Raises:
        Refusal: A step does what the service refuses.
        ConfigurationError: A step is done by somebody who has not joined.
    """
    if contact.ended:
        return
    playing = asyncio.ensure_future(_Player(emulator, contact).play(scenario.steps))
    contact.at_end.append(playing.cancel)
    try:
        await asyncio.wait([playing])
    except asyncio.CancelledError:
        playing.cancel()
        await asyncio.wait([playing])
        raise
    contact.at_end.remove(playing.cancel)
    if not playing.cancelled():
        playing.result()


class _ChatIsOver(Exception):
    """There is nothing more to do."""


class _Player:
    """A scenario under way in a chat."""

    def __init__(self, emulator: Emulator, contact: Contact) -> None:
        self._emulator = emulator
        self._contact = contact
        self._present: dict[str, EmulatedParticipant] = {}
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._connected = asyncio.Event()
        self._answer = ""
        if contact.customer.joined:
            self._connected.set()

    async def play(self, sequence: Iterable[Step]) -> None:
        """Do steps, with the ears open."""
        unwatch = self._contact.watch(self._hear)
        try:
            with suppress(_ChatIsOver):
                await self._do_all(sequence)
        finally:
            unwatch()

    def _hear(self, item: Mapping[str, Any]) -> None:
        if item.get("ParticipantId") != self._contact.customer.id:
            return
        self._connected.set()
        if item["Type"] == "MESSAGE":
            self._heard.put_nowait(item["Content"])

    async def _do_all(self, sequence: Iterable[Step]) -> None:
        for step in sequence:
            # Steps that wait are cancelled at the chat's end, which the others would not notice.
            if self._contact.ended:
                raise _ChatIsOver
            await self._do(step)

    async def _do(self, step: Step) -> None:
        match step:
            case steps.Wait(seconds=seconds):
                await asyncio.sleep(seconds)
            case steps.AwaitCustomer():
                await self._connected.wait()
            case steps.Ask():
                self._heard = asyncio.Queue()
                await self._do(steps.Say(step.text, step.by))
                await self._listen(step)
            case steps.Listen():
                await self._listen(step)
            case steps.Repeat(steps=repeated, times=times):
                for _ in count() if times is None else range(times):
                    await self._do_all(repeated)
            case steps.Inject(fault=fault):
                contact_id = fault.contact_id or self._contact.id
                self._emulator.inject(replace(fault, contact_id=contact_id))
            case steps.Join() | steps.Leave() | steps.Transfer() | steps.End():
                await self._move(step)
            case _:
                await self._tell(step)

    async def _listen(self, step: steps.Listen | steps.Ask) -> None:
        try:
            async with asyncio.timeout(step.timeout):
                self._answer = await self._heard.get()
        except TimeoutError:
            await self._do_all(step.silence)
            return
        for answer in step.answers:
            if re.search(answer.match, self._answer, re.IGNORECASE):
                await self._do_all(answer.steps)
                return
        await self._do_all(step.otherwise)

    async def _tell(self, step: Step) -> None:
        """Do a step that everybody hears of."""
        emulator, contact_id = self._emulator, self._contact.id
        match step:
            case steps.Say(by=steps.FLOW):
                text = self._filled(step.text)
                await emulator.say(contact_id, text, content_type=step.content_type)
            case steps.Say():
                text = self._filled(step.text)
                await self._who(step.by).say(text, content_type=step.content_type)
            case steps.Type():
                await self._who(step.by).type()
            case steps.Interactive():
                await emulator.send_interactive(contact_id, step.template)
            case steps.Stream(by=steps.FLOW):
                pieces = map(self._filled, step.pieces)
                await emulator.stream(contact_id, pieces, interval=step.interval)
            case steps.Stream():
                pieces = map(self._filled, step.pieces)
                await self._who(step.by).stream(pieces, interval=step.interval)
            case steps.SendFile():
                data = self._filled(step.text).encode()
                await self._who(step.by).send_file(step.name, data, content_type=step.content_type)
            case steps.Idle():
                await self._push("participant.idle", step.by)
            case steps.Return():
                await self._push("participant.returned", step.by)

    async def _move(self, step: Step) -> None:
        """Do a step after which somebody is there who wasn't, or the other way round."""
        match step:
            case steps.Join(name=name, role=role):
                self._present[name] = await self._emulator.join(
                    self._contact.id, display_name=name, role=role
                )
            case steps.Leave(by=name):
                await self._who(name).leave()
                del self._present[name]
            case steps.Transfer(to=name, by=agent):
                self._present = {name: await self._who(agent).transfer(display_name=name)}
            case steps.End():
                self._emulator.end_chat(self._contact.id)

    async def _push(self, event: str, name: str) -> None:
        customer = name == steps.CUSTOMER
        participant_id = self._contact.customer.id if customer else self._who(name).participant_id
        await self._emulator.push_event(self._contact.id, event, participant_id=participant_id)

    def _who(self, name: str) -> EmulatedParticipant:
        try:
            return self._present[name]
        except KeyError:
            there = ", ".join(self._present) or "nobody"
            raise ConfigurationError(
                f"{name!r} is not in the chat, but {there} is: let them join first"
            ) from None

    def _filled(self, text: str) -> str:
        return text.replace("{answer}", self._answer)[:_MOST_CHARACTERS]
