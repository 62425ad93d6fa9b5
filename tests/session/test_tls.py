"""The same over https and wss, with a certificate authority of the tests' own."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import trustme

from connect_chat import NotConnectedError, ParticipantClient, SessionOptions
from connect_chat.engine.frames import HEARTBEAT, PING

from .support import PATIENCE, numbered, quick, running, texts, trusting, until


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("http", [None, "aiohttp"])
async def test_a_chat_over_tls(ca, http):
    """Calls and websockets are encrypted and verified, and cuts are outlasted."""
    async with running(ca=ca, http=http) as rig, rig.session() as chat:
        assert rig.emulator.url.startswith("https:")
        agent = await rig.agent()

        async def talk():
            for number, text in enumerate(numbered(60)):
                await agent.say(text)
                if number in (10, 25, 40):
                    rig.proxy.cut(reset=number != 25)
                await asyncio.sleep(0.01)

        talking = asyncio.create_task(talk())
        assert await texts(chat, 60) == numbered(60)
        await talking
        await chat.send("Hello")
        assert rig.said()[-1] == "Hello"
        assert chat.stats["connections"] == 4


async def test_a_heartbeat_and_a_ping_go_out_together(ca):
    """What a session sends in one step costs it one write, so here: one record of TLS."""
    options = quick(heartbeat_interval=0.05)
    async with running(ca=ca) as rig, rig.session(options=options):
        sent = [bytearray() for _ in rig.proxy.connections]
        for connection, data in zip(rig.proxy.connections, sent, strict=True):
            connection.lanes["up"].tap = data.extend

        def record(*texts):
            """Return the size of a record in which there is a masked frame for each text."""
            return sum(2 + 4 + len(text) for text in texts) + 1 + 16

        def first_records():
            return {int.from_bytes(data[3:5]) for data in sent if data}

        await until(lambda: first_records() & {record(HEARTBEAT), record(HEARTBEAT, PING)})
        assert record(HEARTBEAT, PING) in first_records()


async def test_a_silent_path_under_tls(ca):
    """TLS keeps a frozen connection open like TCP does; the heartbeats notice."""
    options = quick(heartbeat_interval=0.2, silence_timeout=0.4)
    async with running(ca=ca) as rig, rig.session(options=options) as chat:
        agent = await rig.agent()
        rig.proxy.freeze(new=False)
        await agent.say("during")
        assert await texts(chat, 1) == ["during"]
        assert rig.traces.count("link.silent") == 1


async def test_leaving_does_not_wait_for_a_silent_path(ca):
    """Closing gives up on goodbyes soon, those of TLS too."""
    async with running(ca=ca) as rig:
        async with rig.session() as chat:
            await chat.send("Hello")
            rig.proxy.freeze()
            begun = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begun < 2


async def test_a_server_that_is_not_trusted(ca):
    """Entering raises at once, and the error says what is wrong and where to look."""
    async with (
        running(ca=ca) as rig,
        ParticipantClient(
            endpoint_url=rig.proxy.url, quota=None, ssl_context=trusting(trustme.CA())
        ) as client,
        asyncio.timeout(PATIENCE),
    ):
        with pytest.raises(NotConnectedError, match=r"certificate is not trusted.*AWS_CA_BUNDLE"):
            async with rig.session(client=client, options=SessionOptions()):
                pytest.fail("it connected")
        assert client.stats.attempts == {"CreateParticipantConnection": 1}


async def test_websockets_that_are_not_trusted(ca):
    """The same, though the service can be called."""
    async with (
        running(ca=ca) as rig,
        httpx.AsyncClient(verify=trusting(ca)) as http,
        ParticipantClient(
            endpoint_url=rig.proxy.url, quota=None, http=http, ssl_context=trusting(trustme.CA())
        ) as client,
        asyncio.timeout(PATIENCE),
    ):
        with pytest.raises(NotConnectedError, match=r"certificate is not trusted.*AWS_CA_BUNDLE"):
            async with rig.session(client=client, options=SessionOptions()):
                pytest.fail("it connected")
        assert rig.traces.count("link.failed") == 1


async def test_a_server_that_is_not_trusted_for_a_while(ca):
    """A chat that was connected goes on trying: what is in between may pass."""
    async with (
        running(ca=ca) as rig,
        running(ca=trustme.CA()) as between,
        rig.session() as chat,
    ):
        agent = await rig.agent()
        rig.proxy.forward_to(between.emulator.url)
        rig.proxy.cut()
        await agent.say("Is anybody there?")
        await rig.traces.wait("connection.failed", 3)
        rig.proxy.forward_to(rig.emulator.url)
        assert await texts(chat, 1) == ["Is anybody there?"]
