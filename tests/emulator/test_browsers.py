"""Web pages: strangers' are refused, those that are allowed work as in a browser."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import InvalidStatus

from connect_chat.emulator import Emulator
from connect_chat.errors import ConfigurationError

from .support import SUBSCRIBE, http, opened, running

PAGE = "http://localhost:3000"
STRANGER = "https://evil.example"
START = {
    "InstanceId": "instance",
    "ContactFlowId": "flow",
    "ParticipantDetails": {"DisplayName": "Ana"},
}


@pytest.mark.parametrize("origin", [STRANGER, "null", "http://localhost:3001", PAGE + "/"])
async def test_a_stranger_s_page_is_refused(origin: str) -> None:
    """It starts no chat, sends nothing, reads nothing and uploads nothing."""
    async with Emulator(allow_origins=[PAGE]) as emulator, http(emulator.url) as web:
        for method, path in (
            ("PUT", "/contact/chat"),
            ("POST", "/participant/connection"),
            ("GET", "/storage/x"),
            ("GET", "/anything"),
        ):
            answer = await web.request(method, path, json=START, headers={"Origin": origin})
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers


async def test_a_stranger_s_page_opens_no_websocket() -> None:
    """A good URL does not help it, and is still good for a client that isn't a page."""
    async with running() as rig:
        chat = await rig.emulator.start_chat()
        url = (await rig.connection(chat.participant_token))["Websocket"]["Url"]
        with pytest.raises(InvalidStatus) as refused:
            async with opened(url, origin=STRANGER):
                pass
        assert refused.value.response.status_code == 403
        async with opened(url) as websocket:
            await websocket.send(json.dumps(SUBSCRIBE))
            assert json.loads(await websocket.recv())["content"]["status"] == "success"


async def test_a_page_that_is_allowed_may_do_everything() -> None:
    """Preflights say so, answers can be read with their error and request id, sockets open."""
    page = {"Origin": PAGE}
    async with Emulator(allow_origins=[PAGE]) as emulator, http(emulator.url) as web:
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-amz-bearer,amz-sdk-request",
            "Access-Control-Request-Private-Network": "true",
        }
        preflight = await web.options("/participant/connection", headers={**page, **asked})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == PAGE
        assert "x-amz-bearer" in preflight.headers["access-control-allow-headers"]
        assert preflight.headers["access-control-allow-private-network"] == "true"
        chat = await emulator.start_chat()
        answer = await web.post(
            "/participant/connection",
            headers={**page, "X-Amz-Bearer": chat.participant_token},
            json={"Type": ["WEBSOCKET"]},
        )
        assert answer.headers["access-control-allow-origin"] == PAGE
        exposed = answer.headers["access-control-expose-headers"].lower()
        assert "x-amzn-errortype" in exposed
        async with opened(answer.json()["Websocket"]["Url"], origin=PAGE):
            assert emulator.open_connections() == 1


@pytest.mark.parametrize("host", ["evil.example:80", "evil.example", "localhost.evil.example", "["])
async def test_a_name_that_was_made_to_resolve_to_this_machine_is_refused(host: str) -> None:
    """A page can't read from an emulator that it reaches by its own name (DNS rebinding)."""
    async with running() as rig, http(rig.emulator.url) as web:
        answer = await web.put("/contact/chat", json=START, headers={"Host": host})
        assert answer.status_code == 403


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.2", "[::1]:80", "a.localhost", ""])
async def test_this_machine_is_named_in_many_ways(host: str) -> None:
    """Addresses and localhost are fine."""
    async with running() as rig, http(rig.emulator.url) as web:
        answer = await web.put("/contact/chat", json=START, headers={"Host": host})
        assert answer.status_code == 200


async def test_an_emulator_for_others_goes_by_any_name() -> None:
    """Listening to everybody, for example in a container, it does not look at names."""
    async with Emulator("0.0.0.0") as emulator, http(emulator.url) as web:
        answer = await web.put("/contact/chat", json=START, headers={"Host": "emulator:8765"})
        assert answer.status_code == 200


@pytest.mark.parametrize("origin", ["*", "null", "localhost:3000", "http://localhost:3000/"])
def test_an_allowed_origin_is_checked(origin: str) -> None:
    """What a browser would never send is an error, and so is allowing everything."""
    with pytest.raises(ConfigurationError, match="looks like http://localhost:3000"):
        Emulator(allow_origins=[origin])


async def test_a_file_does_not_act_in_the_emulator_s_origin() -> None:
    """A page that was sent as a file is sandboxed when it is looked at."""
    async with running() as rig, http() as web:
        chat, token = await rig.started()
        agent = await rig.emulator.join(chat.contact_id)
        sent = await agent.send_file("a.html", b"<script>", content_type="text/html")
        reply = await rig.call(
            "get_attachment",
            AttachmentId=sent.attachments[0].attachment_id,
            UrlContentDisposition="INLINE",
            ConnectionToken=token,
        )
        answer = await web.get(reply["Url"])
        assert answer.headers["content-security-policy"] == "sandbox"
