"""The connections that calls are sent over: kept, bounded in number, lost, given up and closed."""

from __future__ import annotations

import asyncio
import ssl
import traceback
from collections.abc import Callable

import pytest
import trustme

from connect_chat import NotConnectedError, ParticipantClient, ServiceUnreachableError

from .loopback import LOST, Loopback, Reply
from .relay import Relay

OK = Reply(body={"Id": "i-1"})


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch):
    """Let retries go at once."""
    monkeypatch.setattr("random.random", lambda: 0.0)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def serving(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(*names).configure_cert(context)
    return context


def trusting(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    return context


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the other end notices."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def never(*_: object) -> None:
    await asyncio.Event().wait()


async def ended(call: asyncio.Task[object]) -> asyncio.Task[object]:
    await asyncio.wait([call])
    return call


async def test_one_after_the_other_they_share_a_connection(client_over):
    async with Loopback(OK) as service, client_over(endpoint_url=service.url) as client:
        await asyncio.gather(*(client.send_message("t", "hi") for _ in range(5)))
        connections = service.connections
        assert 1 < connections <= 5
        for _ in range(3):
            await client.send_message("t", "hi")
        assert service.connections == connections


async def test_at_most_twenty_calls_are_under_way(client_over):
    """The others wait, beyond the timeout if need be: the service has failed nobody."""
    hold = asyncio.Event()
    async with (
        Loopback(Reply(hold=hold)) as service,
        client_over(endpoint_url=service.url, quota=None, timeout=1.0) as client,
    ):
        calls = [asyncio.create_task(client.send_message("t", "hi")) for _ in range(25)]
        await until(lambda: len(service.received) == 20)
        assert service.connections == 20
        hold.set()
        await asyncio.gather(*calls)
        assert service.connections == 20


async def test_a_connection_that_the_service_does_not_keep(client_over):
    reply = Reply(body={"Id": "i-1"}, headers={"Connection": "close"})
    async with Loopback(reply) as service, client_over(endpoint_url=service.url) as client:
        for _ in range(2):
            await client.send_message("t", "hi")
        assert service.connections == 2
        assert client.stats.retries == {}


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 408 Too Slow\r\nContent-Length: 0\r\n\r\n"])
async def test_a_kept_connection_that_the_service_has_closed(client_over, words):
    """It is not used again, and what was said on it meanwhile is nobody's answer."""
    async with Loopback(OK) as service, client_over(endpoint_url=service.url) as client:
        await client.send_message("t", "hi")
        service.say(words)
        await until(lambda: service.open == 0)
        await client.send_message("t", "hi")
        assert (service.connections, client.stats.retries) == (2, {})


@pytest.mark.parametrize("which", [0, 1])
async def test_one_of_the_kept_connections_is_closed(client_over, which):
    """The other one, whichever it is, is used."""
    async with Loopback(OK) as service, client_over(endpoint_url=service.url) as client:
        await asyncio.gather(*(client.send_message("t", "hi") for _ in range(2)))
        service.say(b"", to=which)
        await until(lambda: service.open == 1)
        await client.send_message("t", "hi")
        assert (service.connections, client.stats.retries) == (2, {})


@pytest.mark.parametrize("poll", [True, False])
async def test_closed_while_nobody_looked(monkeypatch, poll):
    """Even an event loop that was busy when the connection was closed sees it in time."""
    if not poll:  # as on Windows
        monkeypatch.delattr("select.poll")
    async with Loopback(OK) as service, ParticipantClient(endpoint_url=service.url) as client:
        await client.send_message("t", "hi")
        service.shut()  # the loop hears of it after the call has begun
        await client.send_message("t", "hi")
        assert (service.connections, client.stats.retries) == (2, {})


async def test_a_connection_that_is_lost_under_a_call(client_over):
    """The message may have been taken: it is sent again with its token only."""
    async with (
        Loopback(OK, LOST, OK) as service,
        client_over(endpoint_url=service.url) as client,
    ):
        await client.send_message("t", "hi")
        await client.send_message("t", "hi")
        assert client.stats.retries == {"SendMessage": 1}
    assert len(service.received) == 3
    assert service.received[1].json == service.received[2].json


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.send_message("t", "hi", client_token=""),
        lambda client: client.describe_view("t", "v"),
    ],
    ids=["POST", "GET"],
)
async def test_nothing_is_sent_twice_behind_our_back(client_over, call):
    """A kept connection is lost under a call that we don't repeat, and nobody else does."""
    async with (
        Loopback(OK, LOST, OK) as service,
        client_over(endpoint_url=service.url, max_attempts=1) as client,
    ):
        await client.get_transcript("t")
        with pytest.raises(ServiceUnreachableError):
            await call(client)
    assert len(service.received) == 2


@pytest.mark.parametrize("module", ["connections", "aiohttp_exchange"])
async def test_an_unused_connection_is_not_kept_for_ever(monkeypatch, module):
    monkeypatch.setattr(f"connect_chat.transport.{module}._KEPT_FOR", 0.0)
    http = "aiohttp" if module == "aiohttp_exchange" else None
    async with (
        Loopback(OK) as service,
        ParticipantClient(endpoint_url=service.url, http=http) as client,
    ):
        await asyncio.gather(*(client.send_message("t", "hi") for _ in range(3)))
        assert service.connections == 3
        await asyncio.sleep(0.001)
        await client.send_message("t", "hi")
        await until(lambda: service.open == 1)


async def test_cancelled_it_closes_its_connection(client_over):
    async with (
        Loopback(Reply(hold=asyncio.Event())) as service,
        Relay(service.url) as relay,
        client_over(endpoint_url=relay.url) as client,
    ):
        call = asyncio.create_task(client.send_message("t", "hi"))
        await service.arrived.wait()
        call.cancel()
        assert (await ended(call)).cancelled()
        await until(lambda: relay.open == 0)


async def test_cancelled_when_its_answer_has_come_it_harms_no_other(client_over):
    """Its connection may be another call's by then. Tried at each turn of the loop around that."""
    for turns in range(12):
        rest = asyncio.Event()
        async with (
            Loopback(Reply(rest=rest), OK) as service,
            client_over(endpoint_url=service.url, max_attempts=1) as client,
        ):
            call = asyncio.create_task(client.send_message("t", "hi"))
            await service.arrived.wait()
            rest.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            assert (await client.send_message("t", "hi")).id == "i-1"
            await ended(call)


async def test_closing_closes_connections_used_and_unused(client_over):
    """And tells who waits for an answer, or for a connection; nothing is sent after that."""
    async with Loopback(OK, OK, Reply(hold=asyncio.Event())) as service:
        client = client_over(endpoint_url=service.url, quota=None)
        await asyncio.gather(*(client.send_message("t", "hi") for _ in range(2)))
        calls = [asyncio.create_task(client.send_message("t", "hi")) for _ in range(22)]
        await until(lambda: len(service.received) == 22)
        await asyncio.gather(client.aclose(), client.aclose())
        for call in calls:
            with pytest.raises(NotConnectedError, match="closed"):
                await call
        assert len(service.received) == 22
        assert service.connections == 20


@pytest.mark.parametrize("where", ["before the head", "in the body"])
@pytest.mark.parametrize("how", ["timeout", "cancelled"])
async def test_a_silent_path_under_tls_is_left_at_once(client_over, ca, where, how):
    """Without the goodbyes of TLS, which nobody would answer for half a minute."""
    part = Reply(body=b"{", headers={"content-length": "100"})
    async with (
        Loopback(OK, part, tls=serving(ca, "127.0.0.1")) as service,
        Relay(service.url) as relay,
        client_over(
            endpoint_url=relay.url,
            ssl_context=trusting(ca),
            max_attempts=1,
            timeout=0.1 if how == "timeout" else 10.0,
        ) as client,
    ):
        await client.send_message("t", "hi")
        relay.silent = where == "before the head"
        before = relay.passed
        call = asyncio.create_task(client.send_message("t", "hi"))
        await until(lambda: relay.passed == before + (1 if relay.silent else 2))
        relay.silent = True
        for _ in range(5):  # what has been carried is read
            await asyncio.sleep(0)
        if how == "cancelled":
            call.cancel()
            assert (await ended(call)).cancelled()
        else:
            with pytest.raises(ServiceUnreachableError, match=r"Timeout\w* after 0\.1 s"):
                await call
        await until(lambda: relay.open == 0)


async def test_a_host_that_does_not_answer(client_over, monkeypatch):
    """Nothing was sent, so that even what must not happen twice is tried again."""
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    async with client_over(endpoint_url="http://127.0.0.1:9", timeout=0.05) as client:
        with pytest.raises(ServiceUnreachableError, match=r"Connect\w*Timeout\w* after 0\.05 s"):
            await client.send_message("t", "hi", client_token="")
        assert client.stats.retries == {"SendMessage": 2}


async def test_closed_while_it_connects(client_over, monkeypatch):
    """The connection that comes all the same is closed, and nothing is sent over it."""
    loop, go = asyncio.get_running_loop(), asyncio.Event()
    sock_connect = loop.sock_connect

    async def late(*arguments):
        await go.wait()
        await sock_connect(*arguments)

    monkeypatch.setattr(loop, "sock_connect", late)
    async with Loopback() as service:
        client = client_over(endpoint_url=service.url)
        call = asyncio.create_task(client.send_message("t", "hi"))
        await asyncio.sleep(0)
        await client.aclose()
        go.set()
        with pytest.raises(NotConnectedError, match="closed"):
            await call
        await until(lambda: service.open == 0)
        assert service.received == []


async def test_a_connection_that_is_lost_at_the_end_of_its_handshake(monkeypatch, ca):
    """The loop has no transport for us then."""

    async def nothing(transport, *_, **__):
        transport.abort()

    monkeypatch.setattr(asyncio.get_running_loop(), "start_tls", nothing)
    async with (
        Loopback() as service,
        ParticipantClient(
            endpoint_url=service.url.replace("http", "https"), ssl_context=trusting(ca)
        ) as client,
    ):
        with pytest.raises(ServiceUnreachableError, match="handshake"):
            await client.send_message("t", "hi", client_token="")
        assert client.stats.retries == {"SendMessage": 2}


async def test_a_tls_handshake_that_does_not_come_to_its_end(client_over, ca):
    """Nothing was sent, so that even what must not happen twice is tried again."""
    async with (
        Loopback(OK, tls=serving(ca, "127.0.0.1")) as service,
        Relay(service.url) as relay,
        client_over(endpoint_url=relay.url, ssl_context=trusting(ca), timeout=0.1) as client,
    ):
        relay.silent = True
        with pytest.raises(ServiceUnreachableError, match=r"Connect\w*Timeout\w* after 0\.1 s"):
            await client.send_message("t", "hi", client_token="")
        assert client.stats.retries == {"SendMessage": 2}
        await until(lambda: relay.open == 0)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_a_tunnel_through_a_proxy(client_over, ca, proxy_variables, secure):
    """The proxy is told the password, the service is not; TLS is with the service itself."""
    async with (
        Loopback(OK, tls=serving(ca, "chat.example")) as service,
        Relay(service.url, proxy=True, tls=serving(ca, "127.0.0.1") if secure else None) as proxy,
    ):
        proxy_variables(https_proxy=proxy.url.replace("://", "://user:p%C3%A4ss@"))
        async with client_over(
            endpoint_url="https://chat.example", ssl_context=trusting(ca)
        ) as client:
            for _ in range(2):
                await client.send_message("the-token", "hi")
    assert [request.headers.get("proxy-authorization") for request in service.received] == [
        None
    ] * 2
    assert [request.headers["x-amz-bearer"] for request in service.received] == ["the-token"] * 2
    (head,) = proxy.heads
    assert head.startswith("CONNECT chat.example:443 HTTP/1.1\r\n")
    assert "proxy-authorization: basic dxnlcjpww6rzcw==\r\n" in head.lower()
    assert "the-token" not in head


async def test_a_proxy_that_cannot_be_reached(client_over, proxy_variables):
    """Nothing was sent; the error quotes no password, nor does its cause."""
    async with Loopback() as proxy:
        address = proxy.url.removeprefix("http://")
    proxy_variables(http_proxy=f"http://user:the-password@{address}")
    async with client_over(endpoint_url="http://chat.example") as client:
        with pytest.raises(ServiceUnreachableError) as caught:
            await client.send_message("t", "hi", client_token="")
    assert client.stats.retries == {"SendMessage": 2}
    told = "".join(traceback.format_exception(caught.value))
    assert "the-password" not in f"{told}{caught.value!r}{caught.value.__cause__!r}"
