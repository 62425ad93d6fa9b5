"""The same over https and wss, with a certificate authority of the tests' own."""

from __future__ import annotations

import asyncio

import pytest
import trustme

from connect_chat import NotConnectedError, ParticipantClient

from .support import numbered, quick, running, texts, trusting


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


async def test_a_certificate_that_is_not_trusted(ca):
    """Entering raises, and the error says what is wrong and where to look."""
    async with (
        running(ca=ca) as rig,
        ParticipantClient(
            endpoint_url=rig.proxy.url, quota=None, ssl_context=trusting(trustme.CA())
        ) as client,
    ):
        with pytest.raises(NotConnectedError) as caught:
            async with rig.session(client=client, options=quick(connect_timeout=1.5)):
                pytest.fail("it connected")
        told = []
        error: BaseException | None = caught.value
        while error is not None:
            told.append(str(error))
            error = error.__cause__
        assert any("certificate" in text.lower() for text in told)
