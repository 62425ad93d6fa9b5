"""Tests of one's own bot, on an emulated Amazon Connect: a plugin for pytest.

It is there as soon as connect-chat is installed, with its ``emulator`` extra. A test asks for what
it needs by name::

    from connect_chat import Message


    async def test_the_bot_says_hello(chat_session, chat_agent):
        await chat_agent.say("Hello?")
        assert (await chat_session.wait_for(Message, timeout=5)).text == "Hello?"
        await chat_session.send("Hello!")
        assert (await chat_agent.receive()).text == "Hello!"

Fixtures, each for one test:

- ``connect_emulator``: a running `connect_chat.emulator.Emulator`. Clients that are made without a
  region find it, those of boto3 too, since ``AWS_ENDPOINT_URL_CONNECTPARTICIPANT`` and
  ``AWS_ENDPOINT_URL_CONNECT`` lead to it meanwhile.
- ``connect_client``: a `ParticipantClient` of it.
- ``started_chat``: a chat that was started there, with the token of its customer, who has not
  connected.
- ``chat_session``: a `ChatSession` of that customer, connected.
- ``chat_agent``: an agent who has joined that chat, to ``say``, ``receive``, ``send_file``,
  ``transfer``, ``leave``, ….

Markers:

- ``@pytest.mark.connect_fault(fault)`` injects a fault of `connect_chat.emulator.faults` when the
  emulator starts; ``connect_fault("drop", probability=0.1, seed=7)`` does so without the import.
- ``@pytest.mark.connect_settings(websocket_lifetime=60)`` changes the emulator's settings.
- ``@pytest.mark.connect_scenario("support")`` lets the other side follow a scenario: one of those
  that come with the package, a file or a `Scenario`.
- ``@pytest.mark.connect_time("virtual")`` lets no time pass while everything waits, so that an
  hour's rotation is over at once; see `virtual_time` for what that takes. ``connect_time =
  "virtual"`` in pytest's configuration makes it the default, ``"real"`` the exception.

A coroutine test that uses any of this is run by this plugin, with its coroutine fixtures; no other
plugin is needed. If pytest-asyncio (1.1 or later) or AnyIO's plugin runs it, as their markers or
modes say, the fixtures belong to their event loop, and time is real.

Outside pytest, `run_in_virtual_time` takes the place of ``asyncio.run``.
"""

from connect_chat.testing.virtual_time import (
    VirtualTimeError,
    VirtualTimeLoop,
    run_in_virtual_time,
)

__all__ = ["VirtualTimeError", "VirtualTimeLoop", "run_in_virtual_time"]
