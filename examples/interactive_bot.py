"""Finds its way through a flow's menus: on an emulator here, or on Amazon Connect with a token."""

import asyncio
import os

from connect_chat import (
    INTERACTIVE_CONTENT_TYPE,
    Carousel,
    ChatSession,
    Element,
    InteractiveMessage,
    ListPicker,
    Message,
    QuickReply,
    TimePicker,
    TimeSlot,
)
from connect_chat.emulator import Emulator


async def book(participant_token: str, *, endpoint_url: str | None = None) -> None:
    """Be the customer who books a flight."""
    async with ChatSession(participant_token, endpoint_url=endpoint_url) as chat:
        async for item in chat:
            match item:
                case InteractiveMessage(template=Carousel()):
                    answer = item.choose("Book flights", panel="California")
                case InteractiveMessage(template=TimePicker(timeslots=slots)):
                    answer = item.choose(max(slots, key=lambda slot: slot.date))
                case InteractiveMessage(choices=(_, *_)):
                    answer = item.choose(0)
                case Message(text="Goodbye!"):
                    return
                case _:
                    continue
            await chat.reply(answer)
            print(f"Answered with {answer.content}")


async def main() -> None:
    """Let the bot meet a flow, on an emulator of Amazon Connect in this process."""
    offers = (Element(title="Book flights"), Element(title="Book hotels"))
    destinations = Carousel(
        title="Where to?",
        elements=(
            ListPicker(template_identifier="ny", title="New York", elements=offers),
            ListPicker(template_identifier="ca", title="California", elements=offers),
        ),
    )
    times = TimePicker(
        title="When?",
        timeslots=(
            TimeSlot(date="2026-10-31T09:00+00:00", duration=60),
            TimeSlot(date="2026-10-31T17:00+00:00", duration=60),
        ),
    )
    rating = QuickReply(
        title="How was it?", elements=(Element(title="Very good"), Element(title="Not so good"))
    )
    async with Emulator() as emulator:
        started = await emulator.start_chat()
        for template in (destinations, times, rating):
            await emulator.say(
                started.contact_id, template.to_content(), content_type=INTERACTIVE_CONTENT_TYPE
            )
        await emulator.say(started.contact_id, "Goodbye!")
        await book(started.participant_token, endpoint_url=emulator.url)


if __name__ == "__main__":
    token = os.environ.get("PARTICIPANT_TOKEN")
    asyncio.run(book(token) if token else main())
