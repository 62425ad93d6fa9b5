"""The service on this machine, for tests, demos and development.

`Emulator` answers what Amazon Connect's participant service answers, over real HTTP and real
websockets, so that any client of the real one can talk to it: this library, ChatJS, an AWS SDK::

    from connect_chat.emulator import Emulator

    async with Emulator() as emulator:
        chat = await emulator.start_chat(display_name="Ana")
        agent = await emulator.join(chat.contact_id, display_name="Jane")
        await agent.say("Hello Ana, this is Jane.")

It needs the ``emulator`` extra.
"""

from connect_chat.errors import MissingExtraError

try:
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError("The emulator", "emulator") from error

from connect_chat.emulator.injection import Injection
from connect_chat.emulator.participants import EmulatedParticipant, StartedChat
from connect_chat.emulator.recording import Record
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.server import Emulator
from connect_chat.emulator.settings import EmulatorSettings

__all__ = [
    "EmulatedParticipant",
    "Emulator",
    "EmulatorSettings",
    "Injection",
    "Record",
    "Refusal",
    "StartedChat",
]
