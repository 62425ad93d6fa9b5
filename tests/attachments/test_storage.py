"""Presigned URLs over TLS, and those that are refused."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator

import httpx
import pytest
import trustme

from connect_chat import ChatSession, ParticipantClient
from connect_chat.emulator import Emulator
from connect_chat.transport.storage import TransferFailed

from .support import DATA


def trusting(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    return context


async def test_files_go_through_tls_with_the_client_s_settings() -> None:
    """The authority that the client trusts is the one that the storage is trusted by."""
    ca = trustme.CA()
    with ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.tempfile() as pem:
        async with Emulator(ssl_certfile=pem) as emulator:
            started = await emulator.start_chat()
            async with (
                ParticipantClient(endpoint_url=emulator.url, ssl_context=trusting(ca)) as client,
                ChatSession(started.participant_token, client=client) as chat,
            ):
                sent = await chat.send_attachment(DATA, name="a.pdf")
                assert await chat.download_attachment(sent) == DATA


async def bytes_of_a_file() -> AsyncGenerator[bytes]:
    yield b"x"


@pytest.mark.parametrize(
    ("endpoint", "url", "reason"),
    [
        ("https://127.0.0.1:9", "http://127.0.0.1:9/secret", "not https"),
        ("http://127.0.0.1:9", "ftp://127.0.0.1:9/secret", "not https"),
        ("http://127.0.0.1:9", "http://", "not https"),
        ("http://127.0.0.1:9", "http://a:secret/", "malformed"),
    ],
)
async def test_a_url_of_another_kind_is_refused(endpoint: str, url: str, reason: str) -> None:
    """Nothing that the service protects by TLS goes anywhere without."""
    async with ParticipantClient(endpoint_url=endpoint) as client:
        with pytest.raises(TransferFailed, match=reason) as caught:
            await client.storage.put(url, {}, bytes_of_a_file(), 1)
        assert not caught.value.repeatable
        assert "secret" not in str(caught.value)


async def test_an_untrusted_storage_gets_nothing() -> None:
    """Its certificate is checked as the service's is."""
    ca, other = trustme.CA(), trustme.CA()
    with ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.tempfile() as pem:
        async with (
            Emulator(ssl_certfile=pem) as emulator,
            ParticipantClient(endpoint_url=emulator.url, ssl_context=trusting(other)) as client,
        ):
            with pytest.raises(TransferFailed, match="certificate verify failed"):
                await client.storage.put(f"{emulator.url}/storage", {}, bytes_of_a_file(), 1)


class Hasty(httpx.AsyncBaseTransport):
    """Connections on which the answer comes before the request has been sent."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(b""))


async def test_an_answer_before_the_end_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage that says yes before it has all bytes has not got the file."""
    monkeypatch.setattr("connect_chat.transport.storage.open_pool", lambda *_, **__: Hasty())
    async with ParticipantClient(endpoint_url="http://127.0.0.1:9") as client:
        with pytest.raises(TransferFailed, match="before all was sent") as caught:
            await client.storage.put("http://127.0.0.1:9/", {}, bytes_of_a_file(), 1)
    assert caught.value.repeatable


async def test_headers_that_cannot_be_sent_are_refused() -> None:
    """Whoever named them, and without another attempt."""
    async with (
        Emulator() as emulator,
        ParticipantClient(endpoint_url=emulator.url) as client,
    ):
        headers = {"x-amz-meta": "a\nb: c"}
        with pytest.raises(TransferFailed, match="LocalProtocolError") as caught:
            await client.storage.put(f"{emulator.url}/storage", headers, bytes_of_a_file(), 1)
    assert not caught.value.repeatable


async def test_a_closed_client_sends_no_files() -> None:
    """Nor opens connections for them."""
    client = ParticipantClient(endpoint_url="http://127.0.0.1:9")
    await client.aclose()
    with pytest.raises(TransferFailed, match="closed"):
        await client.storage.put("http://127.0.0.1:9/", {}, bytes_of_a_file(), 1)
