"""What expires is renewed before, or when, it does: websockets and connection tokens."""

from __future__ import annotations

import asyncio

import pytest

from .support import numbered, quick, running, texts, until, whole_seconds


async def test_rotation_before_the_connection_expires():
    """Over two rotations nobody misses anything, and never are more than two sockets open."""
    async with running(websocket_lifetime=3, clock=whole_seconds) as rig:
        sockets: list[int] = []

        def count_sockets(trace):
            rig.traces(trace)
            sockets.append(rig.emulator.open_connections(rig.contact_id))

        async with rig.session(on_trace=count_sockets) as chat:
            agent = await rig.agent()
            said: list[str] = []
            while chat.stats["rotations"] < 2:
                said.append(f"message {len(said)}")
                await agent.say(said[-1])
                await asyncio.sleep(0.01)
            assert await texts(chat, len(said)) == said
            assert max(sockets) == 2
            assert chat.stats["gaps"] == 1  # that before the first connection
            assert chat.stats["late"] == 0
            assert rig.traces.count("socket.closed") == 0
            assert {
                trace.facts["to"] for _, trace in rig.traces.seen if trace.event == "state"
            } == {
                "connecting",
                "connected",
            }
            await until(lambda: rig.emulator.open_connections(rig.contact_id) == 1)


async def test_connections_that_expire_too_soon_to_be_rotated():
    """Again and again the service closes the connection: it is replaced, and nothing is missed."""
    async with running(websocket_lifetime=1) as rig, rig.session() as chat:
        agent = await rig.agent()
        said: list[str] = []
        while rig.traces.count("socket.closed") < 2:
            said.append(f"message {len(said)}")
            await agent.say(said[-1])
            await asyncio.sleep(0.01)
        assert await texts(chat, len(said)) == said
        assert chat.stats["rotations"] == 0
        assert chat.stats["late"] == 0


async def test_a_connection_token_is_renewed_before_it_expires():
    """Nobody's call is ever refused, though tokens live for a second only."""
    async with (
        running(connection_token_lifetime=1, clock=whole_seconds) as rig,
        rig.session() as chat,
    ):
        for text in numbered(21):
            await chat.send(text)
            await asyncio.sleep(0.1)
        assert rig.said() == numbered(21)
        assert rig.client.stats.calls["CreateParticipantConnection"] >= 3
        assert rig.client.stats.calls["SendMessage"] == 21
        assert chat.stats["connections"] == 1


async def test_an_expired_token_is_renewed_and_the_message_repeated():
    """Refused though it was said: the repetition has the same ClientToken, so it is said once."""
    async with running() as rig, rig.session() as chat:
        rig.emulator.fail_next("SendMessage", "AccessDeniedException", after_work=True)
        sent = await chat.send("Hello")
        await chat.send("Hello again")
        assert rig.said() == ["Hello", "Hello again"]
        kept = rig.emulator.transcript(rig.contact_id)
        assert sent.id in [item["Id"] for item in kept]
        assert rig.client.stats.calls["CreateParticipantConnection"] == 2
        assert rig.client.stats.calls["SendMessage"] == 3
        assert rig.emulator.open_connections(rig.contact_id) == 1


@pytest.mark.parametrize(
    ("operation", "act"),
    [
        ("SendEvent", lambda chat: chat.typing()),
        ("DisconnectParticipant", lambda chat: chat.disconnect()),
    ],
    ids=["typing", "disconnect"],
)
async def test_other_calls_outlive_their_token_too(operation, act):
    """Whatever is called when the token has expired is called again with a newer one."""
    async with running() as rig, rig.session() as chat:
        rig.emulator.fail_next(operation, "AccessDeniedException")
        await act(chat)
        assert rig.client.stats.calls[operation] == 2
        assert rig.client.stats.calls["CreateParticipantConnection"] == 2


async def test_a_gap_is_read_though_the_token_has_expired():
    """The transcript is refused once while the chat comes back: nothing is missed."""
    async with running() as rig, rig.session(options=quick()) as chat:
        agent = await rig.agent()
        await agent.say("before")
        assert await texts(chat, 1) == ["before"]
        rig.emulator.fail_next("GetTranscript", "AccessDeniedException")
        rig.proxy.refusing = True
        rig.proxy.cut()
        await agent.say("in the gap")
        rig.proxy.refusing = False
        assert await texts(chat, 1) == ["in the gap"]
