"""Structured concurrency under fire: whatever is interrupted, nothing is left and nothing hangs."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Thread
from typing import Any

import pytest
import trustme

from connect_chat import ChatSession, Message, NotConnectedError, ParticipantClient

from .support import PATIENCE, Rig, Traces, numbered, quick, rest, running, texts, until
from .walk import Walk

Scenario = Callable[[Rig], Coroutine[Any, Any, None]]


async def everything(rig: Rig) -> None:
    """Enter, send, receive, ask, disconnect, read to the end, leave, close again."""
    async with rig.client:
        session = rig.session()
        async with session as chat:
            await chat.send("one")
            await rig.emulator.say(rig.contact_id, "hear this")
            await chat.receive(PATIENCE)
            await chat.ask("two", timeout=PATIENCE)
            await chat.typing()
            async with chat.subscribe() as other:
                await chat.disconnect()
                await rest(other)
            await rest(chat)
        await session.aclose()


async def reconnecting(rig: Rig) -> None:
    """Lose the connection, read the gap, and leave right after the next loss."""
    async with rig.client, rig.session() as chat:
        rig.proxy.cut()
        await rig.emulator.say(rig.contact_id, "in the gap")
        await chat.wait_for(Message, PATIENCE)
        await chat.send("one")
        rig.proxy.cut()


async def with_a_client_of_its_own(rig: Rig) -> None:
    """Leave the client to the session."""
    async with ChatSession(
        rig.chat.participant_token, endpoint_url=rig.proxy.url, options=quick()
    ) as chat:
        await chat.send("one")


SCENARIOS = (everything, reconnecting, with_a_client_of_its_own)


async def walked(rig: Rig, walk: Walk, scenario: Scenario, http: Any = None) -> asyncio.Task[None]:
    """Run a scenario in a chat of its own; return the user's task once nothing else is left."""
    chat = await rig.emulator.start_chat(display_name="Ana")
    async with ParticipantClient(
        endpoint_url=rig.proxy.url, quota=None, ssl_context=rig.client.ssl_context, http=http
    ) as client:
        rig = dataclasses.replace(rig, chat=chat, client=client, traces=Traces())
        answering = asyncio.create_task(_answer(rig))
        try:
            user = await walk.run(scenario(rig))
            walk.leaves_nothing()
        finally:
            answering.cancel()
            await asyncio.wait([answering])
    await until(lambda: not rig.proxy.connections)
    assert rig.emulator.open_connections(rig.contact_id) == 0
    ours = [text for text in rig.said() if text in ("one", "two")]
    assert ours == ["one", "two"][: len(ours)]
    return user


async def _answer(rig: Rig) -> None:
    """Answer the one question that is asked."""
    agent = await rig.agent()
    await until(lambda: "two" in rig.said())
    await agent.say("three")


async def walk_through(rig: Rig, scenario: Scenario, *, http: Any = None, **how: Any) -> int:
    """Cancel a scenario at each of its waits in turn; return how many there were."""
    for number in range(1000):
        accepted: list[bool] = []
        walk = Walk(
            number, lambda walk, accepted=accepted: accepted.append(walk.user.cancel()), **how
        )
        user = await walked(rig, walk, scenario, http)
        if not any(accepted):
            user.result()
            return number
        assert user.cancelled(), f"the cancellation at wait {number} was swallowed"
    raise AssertionError("it goes on and on")


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("answered", [False, True], ids=["waiting", "answered"])
async def test_cancelled_at_every_await(scenario, answered):
    """The cancellation comes out, and no task, timer or socket is left of the session."""
    async with running() as rig:
        assert await walk_through(rig, scenario, answered=answered) > 20
        gc.collect()


async def test_cancelled_again_while_it_closes():
    """Whoever is in a hurry to go does without goodbyes, and leaves nothing all the same."""
    async with running() as rig:
        assert await walk_through(rig, everything, again_after=1) > 20
        gc.collect()


@pytest.mark.parametrize("answered", [False, True], ids=["waiting", "answered"])
async def test_cancelled_at_every_await_over_aiohttp(answered):
    """The same with the other way to make calls."""
    async with running() as rig:
        assert await walk_through(rig, everything, http="aiohttp", answered=answered) > 20
        gc.collect()


@pytest.mark.parametrize("http", [None, "aiohttp"])
async def test_cancelled_at_every_await_over_tls(http):
    """The handshakes of TLS, those of calls and of websockets, are given up, too."""
    async with running(ca=trustme.CA()) as rig:
        assert await walk_through(rig, reconnecting, http=http) > 20
        gc.collect()


async def test_timed_out_at_every_await():
    """Of nested timeouts, the one that has passed is the one that is told."""

    async def timed(rig: Rig) -> None:
        async with asyncio.timeout(None) as outer:
            outers.append(outer)
            async with asyncio.timeout(PATIENCE) as inner:
                inners.append(inner)
                await everything(rig)

    def time_out(walk: Walk) -> None:
        if not walk.user.done():
            outers[-1].reschedule(asyncio.get_running_loop().time())

    outers: list[asyncio.Timeout] = []
    inners: list[asyncio.Timeout] = []
    async with running() as rig:
        for number in range(1000):
            user = await walked(rig, Walk(number, time_out), timed)
            assert not inners[-1].expired()
            if not outers[-1].expired():
                user.result()
                break
            assert isinstance(user.exception(), TimeoutError)
        assert number > 20
        gc.collect()


@contextmanager
def elsewhere() -> Iterator[Rig]:
    """Run the service on another thread, out of reach of what interrupts this one."""
    rigs: Queue[Rig] = Queue()
    stopped = asyncio.Event()

    async def serve() -> None:
        async with running() as rig:
            rigs.put(rig)
            await stopped.wait()

    with asyncio.Runner() as runner:
        thread = Thread(target=runner.run, args=(serve(),))
        thread.start()
        try:
            yield rigs.get(timeout=PATIENCE)
        finally:
            runner.get_loop().call_soon_threadsafe(stopped.set)
            thread.join()


async def plain(rig: Rig) -> None:
    """Say something, hear it, and leave; all on this thread."""
    async with rig.session(
        client=None, endpoint_url=rig.proxy.url, own=True, on_trace=None
    ) as chat:
        await chat.send("one")
        await chat.wait_for(Message, PATIENCE)


async def over_aiohttp(rig: Rig) -> None:
    """Do the same with the other way to make calls."""
    async with (
        ParticipantClient(endpoint_url=rig.proxy.url, quota=None, http="aiohttp") as client,
        rig.session(client=client, own=True, on_trace=None) as chat,
    ):
        await chat.send("one")
        await chat.wait_for(Message, PATIENCE)


def by_signal(_: Walk) -> None:
    signal.raise_signal(signal.SIGINT)


def in_a_callback(_: Walk) -> None:
    """Raise it where asyncio cannot but cancel everybody's tasks."""
    raise KeyboardInterrupt


@contextmanager
def handling(number: signal.Signals, handler: Callable[..., Any]) -> Iterator[None]:
    """Have a signal handled for a while."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("strike", [by_signal, in_a_callback])
@pytest.mark.parametrize("scenario", [plain, over_aiohttp])
def test_interrupted_from_the_keyboard(strike, scenario, caplog):
    """The KeyboardInterrupt comes out of ``asyncio.run``; nothing stays behind."""
    # A process that was started in the background ignores the signal.
    with elsewhere() as rig, handling(signal.SIGINT, signal.default_int_handler):
        for number in range(1000):
            walk = Walk(number, strike)
            try:
                user = asyncio.run(walk.run(scenario(rig)))
            except KeyboardInterrupt:
                assert all(task.done() for task in walk.tasks)
                assert_soon(lambda: not rig.proxy.connections)
            else:
                user.result()
                break
        assert number > 10
        gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def assert_soon(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


async def test_a_cancelled_send_keeps_the_order():
    """One that waits is not said; one under way may be; what is sent next comes after it."""
    async with running() as rig, rig.session() as chat:
        await chat.send("first")
        rig.proxy.slow(delay=0.1)
        sends = [asyncio.create_task(chat.send(text, client_token=text)) for text in numbered(5)]
        await until(lambda: rig.client.stats.calls["SendMessage"] == 2)
        for cancelled in (sends[0], sends[2], sends[4]):
            cancelled.cancel()
        done = await asyncio.gather(*sends, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in done] == [
            True, False, True, False, True,
        ]  # fmt: skip
        rig.proxy.slow()
        await chat.send("last")
        assert rig.said() == ["first", "message 0", "message 1", "message 3", "last"]
        # To be sure of the one under way, it is sent again, and still said once.
        await chat.send("message 0", client_token="message 0")
        assert len(rig.said()) == 5


async def test_a_cancelled_receive_loses_nothing():
    """What arrives in the moment of the cancellation is there for the next one."""
    async with running() as rig, rig.session() as chat:
        agent = await rig.agent()
        heard: list[str] = []
        for text in numbered(20):
            receiving = asyncio.create_task(texts(chat, 1))
            await asyncio.sleep(0)
            await agent.say(text)
            for _ in range(len(heard) % 7):
                await asyncio.sleep(0)
            receiving.cancel()
            await asyncio.wait([receiving])
            if not receiving.cancelled():
                heard += receiving.result()
        heard += await texts(chat, 20 - len(heard))
        assert heard == numbered(20)


async def test_closing_from_another_task():
    """Whoever reads or sends is told, and closing from several tasks at once is fine."""
    async with running() as rig, rig.session() as chat:
        reading = asyncio.create_task(texts(chat, 1))
        rig.proxy.freeze()
        sending = asyncio.create_task(chat.send("lost"))
        await asyncio.sleep(0)
        await asyncio.gather(chat.aclose(), chat.aclose())
        for waiting in (reading, sending):
            with pytest.raises(NotConnectedError, match="closed"):
                await waiting


async def test_closing_while_it_connects():
    """Entering ends with an error, rather than with a session that is closed."""
    async with running() as rig:
        rig.proxy.freeze()
        session = rig.session()
        entering = asyncio.create_task(session.__aenter__())
        await until(lambda: rig.proxy.connections != [])
        await session.aclose()
        with pytest.raises(NotConnectedError, match="closed"):
            await entering


async def test_closing_does_not_wait_for_a_frozen_path():
    """The websocket's goodbye is given up after a second; a cancelled one at once."""
    loop = asyncio.get_running_loop()
    async with running() as rig:
        for hasty in (False, True):
            async with rig.session() as chat:
                rig.proxy.freeze()
                begun = loop.time()
                closing = asyncio.create_task(chat.aclose())
                await asyncio.sleep(0)
                if hasty:
                    closing.cancel()
                await asyncio.wait([closing])
            assert closing.cancelled() is hasty
            assert loop.time() - begun < (0.5 if hasty else 2.0)
            rig.proxy.heal()


async def test_reading_on_after_closing_starts_nothing():
    """A reader that was behind is told that the session is closed; no call is made for it."""
    async with running() as rig:
        agent = await rig.agent()
        async with rig.session(options=quick(buffer=3)) as chat:
            for text in numbered(10):
                await agent.say(text)
            await until(lambda: chat.stats["catchups"] > 0)
        calls = rig.client.stats.calls["GetTranscript"]
        with pytest.raises(NotConnectedError, match="closed"):
            await texts(chat, 10)
        assert rig.client.stats.calls["GetTranscript"] == calls


async def test_a_hook_that_raises_harms_no_chat(caplog):
    """Its error is logged, and the session goes on."""

    def hook(trace):
        raise RuntimeError("in the hook")

    async with running() as rig, rig.session(on_trace=hook) as chat:
        agent = await rig.agent()
        rig.proxy.cut()
        await agent.say("Hello")
        assert await texts(chat, 1) == ["Hello"]
    assert "in the hook" in caplog.text
