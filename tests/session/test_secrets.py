"""Tokens, URLs and what is said are in no log, no repr and no error, down to DEBUG."""

from __future__ import annotations

import logging
import traceback

import pytest

from connect_chat import (
    AccessDeniedException,
    ConnectChatError,
    InvalidContentError,
    NotConnectedError,
    ParticipantClient,
)

from .support import PATIENCE, quick, rest, running, texts

SAID = "squeamish ossifrage"
HEARD = "xyzzy plugh"


class Secrets(ParticipantClient):
    """A client that remembers every secret that the service has given it."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.given: set[str] = set()

    async def create_participant_connection(self, participant_token, **arguments):
        connection = await super().create_participant_connection(participant_token, **arguments)
        if connection.websocket is not None:
            url = connection.websocket.url
            self.given |= {url, url.partition("?")[2], url.partition("ticket=")[2]}
        self.given.add(connection.connection_credentials.connection_token)
        return connection


@pytest.fixture
def everything_logged(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog


async def test_an_eventful_chat_tells_nothing(everything_logged):
    """Through cuts, refusals, renewals, failures and both ends of the conversation."""
    told: list[str] = []
    async with (
        running() as rig,
        Secrets(endpoint_url=rig.proxy.url, quota=None, max_attempts=1) as client,
        rig.session(client=client, options=quick(give_up_after=0.3)) as chat,
    ):
        client.given.add(rig.chat.participant_token)
        token = await rig.participant_token("AGENT")
        async with rig.session(token, client=client) as agent:
            client.given.add(token)

            def show(*values: object) -> None:
                told.extend(map(repr, values))
                told.extend(map(str, values))

            show(chat, client, await chat.send(SAID))
            show(await agent.send(HEARD))
            show(await chat.receive(PATIENCE), chat.snapshot(), chat.stats)
            rig.emulator.fail_next("SendMessage", "AccessDeniedException")
            show(await chat.send(SAID))
            rig.proxy.push(b"\x81\x05" + SAID[:5].encode())
            rig.proxy.cut()
            await agent.send(HEARD)
            show(await texts(chat, 1) and chat)
            for error in ("ValidationException", "ThrottlingException", 503, None):
                rig.emulator.fail_next("SendMessage", error)
                with pytest.raises(ConnectChatError) as caught:
                    await chat.send(SAID)
                told.extend(traceback.format_exception(caught.value))
            with pytest.raises(InvalidContentError) as caught_content:
                await chat.send(SAID * 100)
            show(caught_content.value)
            show(*(trace for _, trace in rig.traces.seen))
        rig.proxy.refusing = True
        rig.proxy.cut()
        with pytest.raises(NotConnectedError) as caught_end:
            await rest(chat)
        told.extend(traceback.format_exception(caught_end.value))
        show(chat, chat.snapshot())
        with pytest.raises(NotConnectedError) as caught_send:
            await chat.send(SAID)
        told.extend(traceback.format_exception(caught_send.value))
        secrets = {SAID, HEARD, *client.given}
    _check(secrets, told, everything_logged.text)


async def test_a_refused_token_tells_nothing(everything_logged):
    """Nor does an entry that fails."""
    token = "hush" * 2  # a traceback quotes this source
    async with running() as rig:
        with pytest.raises(AccessDeniedException) as caught:
            async with rig.session(token):
                pytest.fail("it connected")
    told = traceback.format_exception(caught.value)
    _check({token}, told, everything_logged.text)


def _check(secrets: set[str], told: list[str], logged: str) -> None:
    assert logged
    assert told
    for where, text in (("told", "\n".join(told)), ("logged", logged)):
        for secret in secrets:
            assert secret not in text, f"{where}: {text[max(0, text.find(secret) - 200) :][:400]}"
