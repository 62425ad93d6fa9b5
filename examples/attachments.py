"""Sends a file into a chat and keeps the files that come back, on an emulator in this process."""

import asyncio
import tempfile
from pathlib import Path

from connect_chat import AttachmentMessage, ChatSession
from connect_chat.emulator import Emulator


def show(sent: int, total: int) -> None:
    """Report progress; a coroutine function would do as well."""
    print(f"  {sent:>7,} of {total:,} bytes")


async def main(folder: Path) -> None:
    """Send a picture, and take what the agent sends into its folder."""
    async with Emulator() as emulator:
        started = await emulator.start_chat()
        async with ChatSession(started.participant_token, endpoint_url=emulator.url) as chat:
            print("Sending:")
            sent = await chat.send_attachment(folder / "damage.jpeg", progress=show, wait=60)
            print(f"The scanner says {sent.status}.")

            agent = await emulator.join(started.contact_id, display_name="Jane")
            await agent.send_file("../claim.pdf", b"%PDF-1.7", content_type="application/pdf")

            message = await chat.wait_for(AttachmentMessage, timeout=10)
            path = await chat.download_attachment(message, to=folder)
            print(f"{message.display_name} sent {path.name}, {path.stat().st_size} bytes.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        Path(name, "damage.jpeg").write_bytes(bytes(300_000))
        asyncio.run(main(Path(name)))
