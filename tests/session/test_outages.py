"""The path breaks in every way that paths break, and everything said arrives once and in order."""

from __future__ import annotations

import asyncio
import random

import pytest

from connect_chat import (
    ChatSession,
    NotConnectedError,
    ParticipantClient,
    ServiceUnreachableError,
)

from .proxy import BOTH
from .support import PATIENCE, compressed, numbered, quick, running, texts, until

SLACK = 0.25
"""Seconds that a loaded machine may add to what a timer promises."""


@pytest.mark.parametrize("reset", [True, False], ids=["RST", "FIN"])
async def test_three_cuts_in_sixty_messages(reset):
    """60 messages at 100/s, and every connection cut three times: all delivered once, in order."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()

        async def talk():
            for number, text in enumerate(numbered(60)):
                await agent.say(text)
                if number in (10, 25, 40):
                    assert rig.proxy.cut(reset=reset) >= 1
                await asyncio.sleep(0.01)

        talking = asyncio.create_task(talk())
        assert await texts(chat, 60) == numbered(60)
        await talking
        assert chat.stats["late"] == 0
        assert chat.stats["connections"] == 4
        assert rig.traces.count("link.live") == 4


@pytest.mark.parametrize("directions", [("up",), ("down",), BOTH], ids=["up", "down", "both"])
async def test_a_silent_path_is_noticed_and_nothing_is_lost(directions):
    """25 s of silence with TCP open, new connections too, told at a 50th of all times."""
    options = compressed(50)
    async with (
        running() as rig,
        _client(rig, options) as client,
        rig.session(client=client, options=options) as chat,
    ):
        agent = await rig.agent()
        loop = asyncio.get_running_loop()
        frozen_at = 0.0

        async def talk():
            nonlocal frozen_at
            for number, text in enumerate(numbered(60)):
                if number == 20:
                    rig.proxy.freeze(directions)
                    frozen_at = loop.time()
                if number == 45:
                    rig.proxy.heal()
                await agent.say(text)
                await asyncio.sleep(1 / 50)

        talking = asyncio.create_task(talk())
        assert await texts(chat, 60) == numbered(60)
        await talking
        noticed_after = await rig.traces.wait("link.silent") - frozen_at
        assert 0 < noticed_after < options.silence_timeout + SLACK
        assert chat.stats["late"] == 0


async def test_a_silent_connection_is_replaced_while_new_ones_work():
    """Only the open connections go silent: the chat goes on long before they would heal."""
    options = quick(heartbeat_interval=0.2, silence_timeout=0.4)
    async with (
        running() as rig,
        _client(rig, options) as client,
        rig.session(client=client, options=options) as chat,
    ):
        agent = await rig.agent()
        await agent.say("before")
        assert await texts(chat, 1) == ["before"]
        rig.proxy.freeze(new=False)
        await agent.say("during")
        assert await texts(chat, 1) == ["during"]
        assert rig.traces.count("link.silent") == 1
        assert chat.state == "connected"
        # What the old path had held up comes now, and is known already.
        rig.proxy.heal()
        await agent.say("after")
        assert await texts(chat, 1) == ["after"]


async def test_a_silent_connection_that_comes_back_is_used_again():
    """It heals while nothing else gets through: the chat goes on over it, nothing repeated."""
    options = quick(heartbeat_interval=0.2, silence_timeout=0.4)
    async with (
        running() as rig,
        _client(rig, options) as client,
        rig.session(client=client, options=options) as chat,
    ):
        agent = await rig.agent()
        rig.proxy.freeze()
        rig.proxy.refusing = True
        for text in numbered(10):
            await agent.say(text)
        await rig.traces.wait("link.silent")
        rig.proxy.heal()
        await rig.traces.wait("link.back")
        rig.proxy.refusing = False
        assert await texts(chat, 10) == numbered(10)
        await agent.say("after")
        assert await texts(chat, 1) == ["after"]


async def test_a_slow_path_is_no_broken_path():
    """Delay and a narrow line hold items up; nothing is lost or reconnected."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        rig.proxy.slow(delay=0.05, rate=50_000)
        for text in numbered(30):
            await agent.say(text)
        await chat.send("me too")
        assert await texts(chat, 30) == numbered(30)
        assert rig.traces.count("link.live") == 1
        assert chat.stats["gaps"] == 1  # that before the first connection


async def test_a_service_out_of_reach_for_a_while():
    """Connections are refused, then accepted again: the chat reconnects by itself."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        rig.proxy.refusing = True
        rig.proxy.cut()
        for text in numbered(5):
            await agent.say(text)
        await rig.traces.wait("connection.failed", 2)
        assert chat.state == "reconnecting"
        rig.proxy.refusing = False
        assert await texts(chat, 5) == numbered(5)
        await rig.traces.wait("link.live", 2)
        assert chat.state == "connected"


async def test_what_we_say_keeps_its_order_through_cuts():
    """Sends under way when connections break are repeated: each said once, in order."""
    async with running() as rig, rig.session() as chat:
        sending = asyncio.gather(*map(chat.send, numbered(60)))
        for count in range(5, 60, 10):
            await until(lambda count=count: len(rig.said()) >= count)
            rig.proxy.cut()
        async with asyncio.timeout(PATIENCE):
            await sending
        assert rig.said() == numbered(60)


async def test_the_transcript_may_lag_behind_the_socket():
    """What was said in the gap shows up in the transcript only later; it is looked for again."""
    async with (
        running(transcript_lag=0.3) as rig,
        rig.session(options=quick(relooks=(0.2, 0.6))) as chat,
    ):
        agent = await rig.agent()
        await agent.say("before")
        assert await texts(chat, 1) == ["before"]
        rig.proxy.refusing = True
        rig.proxy.cut()
        await agent.say("in the gap")
        rig.proxy.refusing = False
        await rig.traces.wait("link.live", 2)
        await agent.say("after")
        assert await texts(chat, 2) == ["in the gap", "after"]
        assert chat.stats["late"] == 0


async def test_random_trouble():
    """Cuts, silences, slowness and refusals in any order, from a seed: nothing lost or repeated."""
    rng = random.Random(7)
    options = quick(
        heartbeat_interval=0.2, silence_timeout=0.4, give_up_after=60.0, merge_wait=20.0
    )
    async with (
        running() as rig,
        _client(rig, options) as client,
        rig.session(client=client, options=options) as chat,
    ):
        agent = await rig.agent()

        async def trouble():
            proxy = rig.proxy
            for _ in range(15):
                match rng.randrange(5):
                    case 0:
                        proxy.cut(reset=rng.random() < 0.5)
                    case 1:
                        proxy.freeze(rng.choice([("up",), ("down",), BOTH]), new=False)
                    case 2:
                        proxy.freeze()
                    case 3:
                        proxy.slow(delay=0.05, rate=20_000)
                    case 4:
                        proxy.refusing = True
                        proxy.cut()
                await asyncio.sleep(rng.uniform(0, 0.3))
                proxy.refusing = False
                proxy.heal()

        async def talk():
            for text in numbered(300):
                await agent.say(text)
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            group.create_task(trouble())
            group.create_task(talk())
            heard = await texts(chat, 300)
        assert heard == numbered(300)


async def test_giving_up_is_told_to_readers_and_senders():
    """Out of reach for too long: an error with its cause, everywhere; the snapshot still works."""
    options = quick(give_up_after=0.3)
    async with running() as rig, _client(rig, options) as client:
        async with rig.session(client=client, options=options) as chat:
            agent = await rig.agent()
            await agent.say("before")
            assert await texts(chat, 1) == ["before"]
            rig.proxy.refusing = True
            rig.proxy.cut()
            await agent.say("in the gap")
            sending = asyncio.create_task(chat.send("under way"))
            for _ in range(2):
                with pytest.raises(NotConnectedError, match="could not be reconnected") as caught:
                    await chat.receive(PATIENCE)
                assert isinstance(caught.value.__cause__, ServiceUnreachableError)
            assert chat.state == "failed"
            with pytest.raises((NotConnectedError, ServiceUnreachableError)):
                await sending
            for _ in range(2):
                with pytest.raises(NotConnectedError, match="could not be reconnected") as caught:
                    await chat.send("too late")
                assert _root(caught.value) is not caught.value
            with pytest.raises(NotConnectedError):
                await chat.typing()
            with pytest.raises(NotConnectedError):
                await chat.disconnect()
            snapshot = chat.snapshot()
        rig.proxy.refusing = False
        async with ChatSession.resume(snapshot, client=client, options=options) as chat:
            assert await texts(chat, 1) == ["in the gap"]


async def test_a_first_connection_that_never_works():
    """Entering gives up after connect_timeout, with its cause, and leaves nothing behind."""
    async with running() as rig:
        rig.proxy.refusing = True
        options = quick(connect_timeout=0.5)
        async with _client(rig, options) as client:
            session = rig.session(client=client, options=options)
            with pytest.raises(NotConnectedError, match="could not be connected") as caught:
                async with session:
                    pytest.fail("it connected")
        assert isinstance(caught.value.__cause__, ServiceUnreachableError)
        assert session.state == "closed"
        await until(lambda: not rig.proxy.connections)


def _client(rig, options):
    """Return a client whose calls wait no longer than opening a socket does."""
    return ParticipantClient(
        endpoint_url=rig.proxy.url, quota=None, timeout=options.open_timeout, max_attempts=1
    )


def _root(error):
    while error.__cause__ is not None:
        error = error.__cause__
    return error
