"""Says back what an agent says: on an emulator here, or on Amazon Connect with a token."""

import asyncio
import os

from connect_chat import ChatEnded, ChatSession, Message
from connect_chat.emulator import Emulator


async def echo(participant_token: str, *, endpoint_url: str | None = None) -> None:
    """Take part in a chat until it ends."""
    async with ChatSession(participant_token, endpoint_url=endpoint_url) as chat:
        async for item in chat:  # each item once, in order, whatever happens to the connection
            match item:
                case Message(text="bye"):
                    await chat.disconnect()
                case Message(text=text, participant_role="AGENT"):
                    await chat.send(f"You said: {text}")
                    print(f"An agent said {text!r}, and has been told so.")
                case ChatEnded():
                    print("The chat has ended.")


async def main() -> None:
    """Let an agent talk to the bot, on an emulator of Amazon Connect in this process."""
    async with Emulator() as emulator:
        started = await emulator.start_chat()
        agent = await emulator.join(started.contact_id, display_name="Jane")
        for text in ("Hello", "Is anybody there?", "bye"):
            await agent.say(text)
        await echo(started.participant_token, endpoint_url=emulator.url)


if __name__ == "__main__":
    token = os.environ.get("PARTICIPANT_TOKEN")
    asyncio.run(echo(token) if token else main())
