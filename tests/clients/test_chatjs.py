"""ChatJS, the vendor's own client for browsers, as a customer: it notices no difference.

``chatjs/customer.mjs`` is the page that it runs in.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from emulator.support import Rig, item

from connect_chat.emulator import EmulatedParticipant, Emulator, StartedChat

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="there is no Node.js here")

PAGE = Path(__file__).parent / "chatjs" / "customer.mjs"
EVENT = "application/vnd.amazonaws.connect.event."


class Customer:
    """ChatJS in its page."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.seen: list[tuple[str, Any]] = []

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = json.loads(line)
            if "event" in message:
                self._events.put_nowait((message["event"], message["data"]))
            else:
                self._answers.pop(message["id"]).set_result(message)

    async def call(self, method: str, **argument: Any) -> Any:
        """Call a method; return what it answers.

        Raises:
            RuntimeError: With the type of the error that it is rejected with.
        """
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "call": method, "with": argument})
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(20):
            message = await answer
        if "error" in message:
            raise RuntimeError(message["error"])
        return message["answer"]

    async def event(self, name: str, content: str | None = None) -> Any:
        """Return the data of the next event of a name, with that content if any is given."""
        async with asyncio.timeout(20):
            while True:
                seen = await self._events.get()
                self.seen.append(seen)
                found, data = seen
                if found == name and (content is None or data.get("Content") == content):
                    return data

    def messages(self) -> list[str]:
        """Return the contents of the messages seen so far, the same one counted once per push."""
        return [
            data["Content"]
            for name, data in self.seen
            if name == "onMessage" and data["Type"] == "MESSAGE"
        ]


@asynccontextmanager
async def page(emulator: Emulator, chat: StartedChat) -> AsyncIterator[Customer]:
    process = await asyncio.create_subprocess_exec(
        "node",
        str(PAGE),
        emulator.url,
        chat.contact_id,
        chat.participant_id,
        chat.participant_token,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    customer = Customer(process)
    listening = asyncio.create_task(customer.listen())
    try:
        await customer.event("ready")
        yield customer
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening


@asynccontextmanager
async def conversation() -> AsyncIterator[tuple[Emulator, EmulatedParticipant, Customer]]:
    """Give an emulator, an agent at it, and a customer with ChatJS who is connected."""
    async with Emulator() as emulator:
        chat = await emulator.start_chat("Ana", initial_message="Hello?")
        async with page(emulator, chat) as customer:
            reply = await customer.call("connect")
            assert reply["connectSuccess"] is True
            while (await customer.event("onMessage"))[
                "ContentType"
            ] != EVENT + "participant.joined":
                pass  # only what is said from now on is pushed to it
            yield emulator, await emulator.join(chat.contact_id, display_name="Jane"), customer


async def test_messages_both_ways() -> None:
    """Of every type; ChatJS gets its own back as well."""
    async with conversation() as (emulator, agent, customer):
        said = await agent.say("Hello Ana")
        heard = await customer.event("onMessage", "Hello Ana")
        assert (heard["Id"], heard["DisplayName"], heard["ParticipantRole"]) == (
            said.id,
            "Jane",
            "AGENT",
        )
        for content_type, content in (
            ("text/plain", "Hello Jane"),
            ("text/markdown", "**Hello**"),
            ("application/json", "{}"),
        ):
            sent = await customer.call("sendMessage", message=content, contentType=content_type)
            echo = await customer.event("onMessage", content)
            assert (echo["Id"], echo["ContentType"]) == (sent["Id"], content_type)
        await emulator.say(agent.contact_id, "Welcome")
        assert (await customer.event("onMessage", "Welcome"))["ParticipantRole"] == "SYSTEM"


async def test_errors_have_their_names() -> None:
    """What the service refuses is rejected with its type."""
    async with conversation() as (_, _, customer):
        with pytest.raises(RuntimeError, match=r"^ValidationException$"):
            await customer.call("sendMessage", message="x" * 1025, contentType="text/plain")


async def test_typing_and_receipts() -> None:
    """They arrive, and those of ChatJS are told to others but not to itself."""
    async with conversation() as (emulator, agent, customer):
        await agent.type()
        assert (await customer.event("onTyping"))["ParticipantRole"] == "AGENT"
        await customer.call("sendEvent", contentType=EVENT + "typing")
        assert (await customer.event("onTyping"))["ParticipantRole"] == "CUSTOMER"
        sent = await customer.call("sendMessage", message="Seen?", contentType="text/plain")
        await agent.mark_delivered(sent["Id"])
        delivered = await customer.event("onDeliveredReceipt")
        await agent.mark_read(sent["Id"])
        read = await customer.event("onReadReceipt")
        for receipt in (delivered, read):
            assert receipt["MessageMetadata"]["MessageId"] == sent["Id"]
        said = await agent.say("Seen too?")
        async with watching(emulator, agent) as receipts:
            content = json.dumps({"messageId": said.id})
            await customer.call("sendEvent", contentType=EVENT + "message.read", content=content)
            pushed = await receipts.get()
        assert pushed["MessageMetadata"]["MessageId"] == said.id
        assert len([name for name, _ in customer.seen if name == "onReadReceipt"]) == 1


@asynccontextmanager
async def watching(
    emulator: Emulator, agent: EmulatedParticipant
) -> AsyncIterator[asyncio.Queue[dict[str, Any]]]:
    """Give the receipts that another participant gets, over a websocket of its own."""
    rig = Rig(emulator)
    found: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    added = await rig.call(
        "create_participant",
        InstanceId="instance",
        ContactId=agent.contact_id,
        ParticipantDetails={"ParticipantRole": "CUSTOM_BOT", "DisplayName": "Watcher"},
    )

    async def watch(websocket: Any) -> None:
        while True:
            pushed = await item(websocket)
            if pushed["Type"] == "MESSAGEMETADATA":
                found.put_nowait(pushed)

    token = added["ParticipantCredentials"]["ParticipantToken"]
    try:
        async with rig.subscribed(token) as websocket:
            task = asyncio.create_task(watch(websocket))
            yield found
            task.cancel()
            await asyncio.wait([task])
    finally:
        rig.close()


async def test_files_both_ways() -> None:
    """Uploaded to the presigned URL with its headers, and downloaded from another."""
    async with conversation() as (_, agent, customer):
        data = bytes(range(256)) * 40
        await customer.call(
            "sendFile",
            name="bytes.csv",
            type="text/csv",
            base64=base64.b64encode(data).decode(),
        )
        attached = await customer.event("onMessage")
        while attached["Type"] != "ATTACHMENT":
            attached = await customer.event("onMessage")
        (file,) = attached["Attachments"]
        assert (file["AttachmentName"], file["Status"]) == ("bytes.csv", "APPROVED")
        sent = await agent.send_file("reply.txt", b"A reply", content_type="text/plain")
        for attachment_id, expected in (
            (file["AttachmentId"], data),
            (sent.attachments[0].attachment_id, b"A reply"),
        ):
            fetched = await customer.call("fetchFile", attachmentId=attachment_id)
            assert base64.b64decode(fetched["base64"]) == expected


async def test_the_transcript_has_what_was_said_before() -> None:
    """Every page of it, in both orders."""
    async with conversation() as (_, agent, customer):
        for number in range(20):
            await agent.say(str(number))
        contents: list[str] = []
        query: dict[str, Any] = {"maxResults": 8, "sortOrder": "DESCENDING"}
        while True:
            reply = await customer.call("getTranscript", **query)
            contents += [entry["Content"] for entry in reply["Transcript"] if "Content" in entry]
            if "NextToken" not in reply:
                break
            query["nextToken"] = reply["NextToken"]
        assert contents == [*map(str, reversed(range(20))), "Hello?"]


async def test_a_rotation_loses_nothing() -> None:
    """After 59 minutes it opens a second websocket, subscribes it and closes the first."""
    async with conversation() as (emulator, agent, customer):
        await customer.call("rotate")
        sent = 0
        async with asyncio.timeout(20):
            while True:  # what is said meanwhile is what a rotation might lose
                await agent.say(f"number {sent}")
                sent += 1
                await customer.event("onMessage", f"number {sent - 1}")
                if sent > 5 and emulator.open_connections() == 1:
                    break
        # On both sockets for a moment, it may get one of them twice, as at the real service.
        heard = list(dict.fromkeys(customer.messages()))
        assert heard == [f"number {number}" for number in range(sent)]
        assert "onConnectionLost" not in [name for name, _ in customer.seen]


async def test_it_reconnects_after_a_cut() -> None:
    """It says so, and hears and speaks again."""
    async with conversation() as (emulator, agent, customer):
        assert emulator.drop_connections() == 1
        await customer.event("onConnectionLost")
        await customer.event("onConnectionEstablished")
        # It says so before it has subscribed; the first heartbeat's answer comes after that.
        await customer.event("onDeepHeartbeatSuccess")
        await agent.say("Still there?")
        await customer.event("onMessage", "Still there?")
        await customer.call("sendMessage", message="Yes", contentType="text/plain")
        await customer.event("onMessage", "Yes")


async def test_streamed_answers_grow() -> None:
    """It puts the pieces together, and the whole replaces them."""
    async with conversation() as (emulator, agent, customer):
        await emulator.stream(agent.contact_id, ["Your order ", "has left ", "the warehouse."])
        whole = await customer.event("onMessage", "Your order has left the warehouse.")
        assert whole["MessageMetadata"]["MessageCompleted"] is False  # its last piece
        final = await customer.event("onMessage", "Your order has left the warehouse.")
        assert final["MessageMetadata"]["MessageCompleted"] is True
        assert customer.messages()[:2] == ["Your order ", "Your order has left "]


async def test_events_have_their_names() -> None:
    """What ChatJS has a name for is told by that name."""
    async with conversation() as (emulator, agent, customer):
        for event, name in (
            ("participant.idle", "onParticipantIdle"),
            ("participant.returned", "onParticipantReturned"),
            ("participant.invited", "onParticipantInvited"),
            ("participant.autodisconnection", "onAutoDisconnection"),
            ("authentication.failed", "onAuthenticationFailed"),
            ("authentication.timeout", "onAuthenticationTimeout"),
            ("authentication.expired", "onAuthenticationExpired"),
            ("authentication.succeeded", "onAuthenticationSuccessful"),
            ("participant.displayname.updated", "onParticipantDisplayNameUpdated"),
            ("chat.rehydrated", "onChatRehydrated"),
        ):
            await emulator.push_event(agent.contact_id, event)
            assert (await customer.event(name))["ContentType"] == EVENT + event


async def test_views_and_signing_in() -> None:
    """The three operations that came later."""
    async with conversation() as (emulator, agent, customer):
        view = await customer.call("describeView", viewToken="detail")
        assert view["View"]["Name"] == "detail"
        session = emulator.request_authentication(agent.contact_id)
        await customer.event("onAuthenticationInitiated")
        back = "https://example.com/back"
        reply = await customer.call("getAuthenticationUrl", redirectUri=back, sessionId=session)
        assert reply["AuthenticationUrl"].startswith("https://")
        await customer.call("cancelParticipantAuthentication", sessionId=session)
        await customer.event("onAuthenticationCanceled")


async def test_the_end_by_the_customer() -> None:
    """After disconnectParticipant the chat ends, and ChatJS lets go of its websocket."""
    async with conversation() as (emulator, agent, customer):
        await customer.call("disconnectParticipant")
        await customer.event("onEnded")
        kept = [entry["ContentType"] for entry in emulator.transcript(agent.contact_id)]
        assert kept[-2:] == [EVENT + "participant.left", EVENT + "chat.ended"]
        async with asyncio.timeout(10):
            while emulator.open_connections():  # noqa: ASYNC110 - nobody tells us
                await asyncio.sleep(0.01)


async def test_the_end_by_the_others() -> None:
    """chat.ended is the end, also when it happened while ChatJS was away (403)."""
    async with conversation() as (emulator, agent, customer):
        emulator.end_chat(agent.contact_id)
        await customer.event("onEnded")
    async with conversation() as (emulator, agent, customer):
        emulator.fail_next("CreateParticipantConnection", "AccessDeniedException")
        emulator.drop_connections()
        await customer.event("onEnded")
