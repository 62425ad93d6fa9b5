"""Every fault, and a session that gets everything once and in order all the same, or says why not.

In virtual time: what the faults make the session wait for takes none.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connect_chat import (
    AccessDeniedException,
    AttachmentMessage,
    ChatSession,
    Message,
    NotConnectedError,
    ParticipantClient,
    ServiceUnreachableError,
    SessionOptions,
    ThrottlingException,
    ValidationException,
)
from connect_chat.emulator import EmulatedParticipant, Emulator, StartedChat, faults
from connect_chat.emulator.faults import KINDS, Fault, describe

pytestmark = pytest.mark.connect_time("virtual")

CUT = faults.Cut()
TEXTS = [f"message {number}" for number in range(40)]


def name(case: Any) -> str:
    return "+".join(describe(fault)["kind"] for fault in case)


async def say_all(agent: EmulatedParticipant) -> None:
    """Say something every half second, and long after it the rest."""
    for text in TEXTS[:-1]:
        await agent.say(text)
        await asyncio.sleep(0.5)
    await asyncio.sleep(240)
    await agent.say(TEXTS[-1])


async def heard(chat: ChatSession) -> list[Message]:
    return [item async for item in chat if isinstance(item, Message)]


HEARING: list[tuple[Fault, ...]] = [
    (faults.Cut(),),
    (faults.Cut(1011),),
    (faults.ExpireSockets(),),
    (faults.Freeze("both", lasts=60),),
    (faults.Freeze("down", lasts=60),),
    (faults.Freeze("up", lasts=60),),
    (faults.Freeze(),),
    (faults.Delay(2, jitter=1, count=10),),
    (faults.Delay(20, topic=None, count=10),),
    (faults.Drop(topic="aws/heartbeat", lasts=60),),
    (faults.Drop(topic="aws/ping", lasts=60),),
    (faults.Duplicate(),),
    (faults.Reorder(within=3, lasts=60),),
    (faults.Truncate(probability=0.3),),
    (faults.Corrupt(probability=0.3),),
    (faults.RejectUpgrade(503, count=4), CUT),
    (faults.RejectUpgrade(403, count=4), CUT),
    (faults.ExpireUrls(count=3), CUT),
    (faults.RefuseSubscription(count=8), CUT),
    (faults.IgnoreSubscription(count=4), CUT),
    (faults.ExpireTokens(), CUT),
    (
        faults.Fail("CreateParticipantConnection", "ThrottlingException", retry_after=2, count=5),
        CUT,
    ),
    (faults.Fail("CreateParticipantConnection", 503, lasts=60), CUT),
    (faults.LoseAnswer("CreateParticipantConnection", count=5), CUT),
    (faults.SlowAnswer("CreateParticipantConnection", 8, count=2), CUT),
    (faults.Fail("GetTranscript", "InternalServerException", count=7), CUT),
    (faults.SlowAnswer("GetTranscript", 3, jitter=3, count=3), CUT),
    (faults.LoseAnswer("GetTranscript", count=3), CUT),
]


@pytest.mark.parametrize("case", HEARING, ids=name)
async def test_everything_is_heard_once_and_in_order(
    case: tuple[Fault, ...],
    connect_emulator: Emulator,
    chat_session: ChatSession,
    chat_agent: EmulatedParticipant,
) -> None:
    """Whatever happens to the customer while the agent speaks."""
    listening = asyncio.create_task(heard(chat_session))
    speaking = asyncio.create_task(say_all(chat_agent))
    await asyncio.sleep(5)
    injections = [connect_emulator.inject(fault) for fault in case]
    await speaking
    connect_emulator.end_chat(chat_agent.contact_id)
    check(await listening)
    assert all(injection.applied for injection in injections)
    happened = [record.body["kind"] for record in connect_emulator.records("fault") if record.body]
    assert {describe(fault)["kind"] for fault in case} == set(happened)
    assert len(happened) == sum(injection.applied for injection in injections)


def check(messages: list[Message]) -> None:
    """Check that everything was heard, once, and in order but for what is marked late."""
    assert sorted(message.text for message in messages) == sorted(TEXTS)
    in_time = [TEXTS.index(message.text) for message in messages if not message.late]
    assert in_time == sorted(in_time)


async def test_frames_that_vanish_are_found_by_comparing_with_the_transcript(
    connect_emulator: Emulator,
    connect_client: ParticipantClient,
    started_chat: StartedChat,
    chat_agent: EmulatedParticipant,
) -> None:
    """Of a frame that is lost on a healthy websocket nobody is told; the next audit finds it."""
    options = SessionOptions(audit_after=10, audit_interval=5)
    token = started_chat.participant_token
    async with ChatSession(token, client=connect_client, options=options) as chat:
        injection = connect_emulator.inject(faults.Drop(probability=0.3, lasts=10))
        listening = asyncio.create_task(heard(chat))
        await say_all(chat_agent)
        connect_emulator.end_chat(chat_agent.contact_id)
        check(await listening)
    assert injection.applied > 2


SAYING: list[Fault] = [
    faults.Fail("SendMessage", "ThrottlingException", retry_after=2, count=2),
    faults.Fail("SendMessage", 502, probability=0.3),
    faults.Fail("SendMessage", "InternalServerException", after_work=True, probability=0.3),
    faults.LoseAnswer("SendMessage", after_work=False, probability=0.3),
    faults.LoseAnswer("SendMessage", probability=0.3),
    faults.SlowAnswer("SendMessage", 3, jitter=3, count=10),
    faults.ExpireTokens(after=3),
    faults.Cut(after=3),
]


@pytest.mark.parametrize("fault", SAYING, ids=lambda fault: name((fault,)))
async def test_everything_is_said_once_and_in_order(
    fault: Fault, connect_emulator: Emulator, chat_session: ChatSession, started_chat: StartedChat
) -> None:
    """Whatever happens to what the customer sends, it is repeated with the same ClientToken."""
    injection = connect_emulator.inject(fault)
    for text in TEXTS:
        await chat_session.send(text)
        await asyncio.sleep(0.5)
    transcript = connect_emulator.transcript(started_chat.contact_id)
    assert [item["Content"] for item in transcript if item["Type"] == "MESSAGE"] == TEXTS
    assert injection.applied
    requests = connect_emulator.records("request", operation="SendMessage")
    tokens: dict[str, set[str]] = {}
    for request in requests:
        assert request.body is not None
        tokens.setdefault(request.body["Content"], set()).add(request.body["ClientToken"])
    assert all(len(used) == 1 for used in tokens.values())
    if isinstance(fault, faults.Fail | faults.LoseAnswer):
        assert len(requests) == len(TEXTS) + injection.applied


async def test_leaving_is_repeated_until_it_is_answered(
    connect_emulator: Emulator, chat_session: ChatSession
) -> None:
    """The first answers to DisconnectParticipant are lost; the chat ends all the same."""
    injection = connect_emulator.inject(faults.LoseAnswer("DisconnectParticipant", count=2))
    await chat_session.disconnect()
    assert await heard(chat_session) == []
    assert injection.applied == 2


async def test_what_the_service_refuses_is_raised(
    connect_emulator: Emulator, chat_session: ChatSession
) -> None:
    """An error that repeating cannot cure reaches who called, under its own name."""
    connect_emulator.inject(faults.Fail("SendMessage", "ValidationException", count=1))
    with pytest.raises(ValidationException, match="asked for"):
        await chat_session.send("Hello")
    await chat_session.send("Hello")


async def test_throttling_that_does_not_end_is_raised(
    connect_emulator: Emulator, chat_session: ChatSession
) -> None:
    """After as many attempts as there are, the caller is told."""
    connect_emulator.inject(faults.Fail("SendMessage", "ThrottlingException"))
    with pytest.raises(ThrottlingException):
        await chat_session.send("Hello")


async def test_a_service_that_never_answers_is_named(
    connect_emulator: Emulator, chat_session: ChatSession
) -> None:
    """No answer at all: the caller is told that it may or may not have been said."""
    connect_emulator.inject(faults.SlowAnswer("SendMessage", 1e6))
    with pytest.raises(ServiceUnreachableError, match="SendMessage"):
        await chat_session.send("Hello")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (
            faults.Fail("CreateParticipantConnection", "AccessDeniedException"),
            AccessDeniedException,
        ),
        (faults.Fail("CreateParticipantConnection", 503), NotConnectedError),
        (faults.LoseAnswer("CreateParticipantConnection"), NotConnectedError),
        (faults.RejectUpgrade(403), NotConnectedError),
        (faults.RejectUpgrade(503), NotConnectedError),
        (faults.ExpireUrls(), NotConnectedError),
        (faults.RefuseSubscription(), NotConnectedError),
        (faults.IgnoreSubscription(), NotConnectedError),
    ],
    ids=lambda case: name((case,)) if isinstance(case, Fault) else case.__name__,
)
async def test_a_chat_that_cannot_be_connected_says_so(
    fault: Fault,
    error: type[Exception],
    connect_emulator: Emulator,
    connect_client: ParticipantClient,
    started_chat: StartedChat,
) -> None:
    """Entering the session raises, in the time that it is given."""
    injection = connect_emulator.inject(fault)
    session = ChatSession(started_chat.participant_token, client=connect_client)
    started = asyncio.get_running_loop().time()
    with pytest.raises(error):
        await session.__aenter__()
    assert asyncio.get_running_loop().time() - started < 90
    assert injection.applied


async def test_a_chat_that_stays_broken_fails_in_the_end(
    connect_emulator: Emulator, chat_session: ChatSession
) -> None:
    """Cut off for longer than it gives itself, the session says so to who reads."""
    connect_emulator.inject(faults.RejectUpgrade(503))
    connect_emulator.inject(faults.Fail("CreateParticipantConnection", 503))
    connect_emulator.inject(faults.Fail("GetTranscript", 503))
    connect_emulator.inject(faults.Cut())
    with pytest.raises(NotConnectedError):
        await heard(chat_session)
    assert chat_session.state == "failed"


@pytest.mark.parametrize(
    "fault",
    [
        faults.Fail("PutObject", 503, count=1),
        faults.LoseAnswer("PutObject", count=1),
        faults.SlowAnswer("PutObject", 5, jitter=2),
        faults.Fail("StartAttachmentUpload", "ThrottlingException", count=1),
        faults.LoseAnswer("CompleteAttachmentUpload", count=1),
        faults.Fail("GetObject", 503, count=1),
        faults.SlowAnswer("GetObject", 5),
        faults.LoseAnswer("GetAttachment", count=1),
    ],
    ids=lambda fault: f"{name((fault,))}-{fault.operation}",
)
async def test_a_file_gets_through(
    fault: Fault,
    connect_emulator: Emulator,
    chat_session: ChatSession,
    chat_agent: EmulatedParticipant,
) -> None:
    """Both ways, though S3 or the service is slow or not well."""
    injection = connect_emulator.inject(fault)
    await chat_session.send_attachment(b"from the customer", name="a.txt")
    assert isinstance(await chat_agent.receive(60), AttachmentMessage)
    await chat_agent.send_file("b.txt", b"from the agent", content_type="text/plain")
    message = await chat_session.wait_for(AttachmentMessage, timeout=60)
    data = await chat_session.download_attachment(message)
    assert bytes(data) == b"from the agent"
    assert injection.applied


async def test_a_file_that_the_scanner_rejects_is_marked(
    connect_emulator: Emulator, chat_session: ChatSession, chat_agent: EmulatedParticipant
) -> None:
    """The other side's file arrives as REJECTED, and the next one does not."""
    injection = connect_emulator.inject(faults.RejectAttachment(participant="AGENT", count=1))
    for status in ("REJECTED", "APPROVED"):
        await chat_agent.send_file("a.txt", b"a", content_type="text/plain")
        message = await chat_session.wait_for(AttachmentMessage, timeout=5)
        assert [attachment.status for attachment in message.attachments] == [status]
    assert injection.applied == 1


def test_every_kind_is_met_by_a_session_here() -> None:
    """No fault is left out."""
    met = {describe(fault)["kind"] for case in HEARING for fault in case}
    met |= {describe(fault)["kind"] for fault in SAYING}
    assert set(KINDS) == met | {"reject_attachment"}
