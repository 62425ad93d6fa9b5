"""Files on their way into a chat, through what goes wrong there."""

from __future__ import annotations

import asyncio
import io
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connect_chat import (
    AttachmentError,
    AttachmentMessage,
    ChatEndedError,
    InternalServerException,
    InvalidRequestError,
    Item,
    Message,
    ServiceQuotaExceededException,
    SessionOptions,
)

from .storage_proxy import Answer, Cut, Hold
from .support import DATA, EXPIRED, Rig, running


async def pieces(data: bytes = DATA) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 100_001):
        yield data[start : start + 100_001]


class Stream:
    """A stream as asynchronous file libraries have them."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    async def read(self, size: int, /) -> bytes:
        return self._file.read(size)


async def arrived(rig: Rig) -> list[bytes]:
    """Return the contents of the files that the chat has."""
    return [await rig.chat.download_attachment(one["AttachmentId"]) for one in rig.attachments()]


# What can be sent.


async def test_a_path_brings_its_name_and_type(tmp_path: Path) -> None:
    """Everybody gets the file under its own name, with the type that its suffix stands for."""
    path = tmp_path / "Quarterly figures.XLSX"
    path.write_bytes(DATA)
    async with running() as rig:
        sent = await rig.chat.send_attachment(path)
        assert (sent.name, sent.size) == (path.name, len(DATA))
        shown = rig.attachments()[0]
        assert shown["AttachmentName"] == path.name
        assert shown["ContentType"].endswith("spreadsheetml.sheet")
        assert shown["AttachmentId"] == sent.attachment_id
        assert await arrived(rig) == [DATA]
        assert path.name not in repr(sent)


@pytest.mark.parametrize(
    "source",
    [DATA, bytearray(DATA), memoryview(DATA), io.BytesIO(DATA)],
    ids=lambda source: type(source).__name__,
)
async def test_memory_is_sent_under_a_given_name_and_type(source: Any) -> None:
    """Bytes of every kind; what is said of them counts."""
    async with running() as rig:
        await rig.chat.send_attachment(source, name="a.txt", content_type="text/csv")
        assert rig.attachments()[0]["AttachmentName"] == "a.txt"
        assert rig.attachments()[0]["ContentType"] == "text/csv"
        assert await arrived(rig) == [DATA]


async def test_an_open_file_is_sent_from_where_it_stands_and_stays_open(tmp_path: Path) -> None:
    """Its name is known, and a broken upload begins again at the same place."""
    (tmp_path / "a.pdf").write_bytes(b"skipped" + DATA)
    with (tmp_path / "a.pdf").open("rb") as file:
        file.seek(len(b"skipped"))
        async with running() as rig:
            rig.proxy.faults.append(Cut(after=100_000))
            await rig.chat.send_attachment(file)
            assert rig.attachments()[0]["AttachmentName"] == "a.pdf"
            assert await arrived(rig) == [DATA]
        assert not file.closed


@pytest.mark.parametrize("make", [pieces, lambda: Stream(DATA)], ids=["iterator", "stream"])
async def test_an_asynchronous_source_is_sent(make: Any) -> None:
    """Iterators of bytes and streams with a coroutine read, whose size is given."""
    async with running() as rig:
        await rig.chat.send_attachment(make(), name="a.pdf", size=len(DATA))
        assert await arrived(rig) == [DATA]


async def test_a_pipe_is_sent() -> None:
    """A file that cannot be sought in is read once."""
    reading, writing = os.pipe()
    os.write(writing, DATA[:1000])
    os.close(writing)
    with os.fdopen(reading, "rb") as source:
        async with running() as rig:
            await rig.chat.send_attachment(source, name="a.pdf", size=1000)
            assert await arrived(rig) == [DATA[:1000]]


async def test_progress_is_reported_as_the_bytes_go() -> None:
    """It rises to the size, to a function and to a coroutine function alike."""
    plain: list[tuple[int, int]] = []
    awaited: list[tuple[int, int]] = []

    async def report(sent: int, total: int) -> None:
        await asyncio.sleep(0)
        awaited.append((sent, total))

    async with running() as rig:
        for progress in (lambda *said: plain.append(said), report):
            await rig.chat.send_attachment(DATA, name="a.pdf", progress=progress)
    assert plain == awaited == sorted(set(plain))
    assert len(plain) > 2
    assert plain[-1] == (len(DATA), len(DATA))


# What is refused before anything is sent.


@pytest.mark.parametrize(
    ("source", "arguments", "field"),
    [
        (b"", {"name": "a.pdf"}, "source"),
        (b"x" * 11, {"name": "a.pdf"}, "source"),
        (b"x", {}, "name"),
        (b"x", {"name": "n" * 257}, "attachment_name"),
        (b"x", {"name": "a.pdf", "content_type": "t" * 256}, "content_type"),
        (b"x", {"name": "a.pdf", "client_token": "t" * 501}, "client_token"),
        (Stream(b"x"), {"name": "a.pdf"}, "size"),
        (io.StringIO("x"), {"name": "a.txt"}, "source"),
        (Path("/"), {}, "source"),
        (object(), {"name": "a.pdf"}, "source"),
    ],
)
async def test_what_breaks_a_limit_is_not_announced(
    source: Any, arguments: dict[str, Any], field: str
) -> None:
    """The error names the parameter; the service has not been bothered with an upload."""
    async with running(SessionOptions(attachment_max_bytes=10)) as rig:
        with pytest.raises(InvalidRequestError) as caught:
            await rig.chat.send_attachment(source, **arguments)
        assert caught.value.field == field
        assert rig.attachments() == []
        assert rig.proxy.seen == [] or field == "source"


async def test_a_file_too_many_is_refused_here() -> None:
    """Files of everybody count, as the service counts them; those that failed do not."""
    async with running(SessionOptions(attachments_per_chat=2)) as rig:
        rig.proxy.faults.append(Answer(400))
        with pytest.raises(AttachmentError):
            await rig.chat.send_attachment(DATA, name="failed.pdf")
        await rig.sent()
        await rig.chat.wait_for(AttachmentMessage, 5)
        await rig.chat.send_attachment(DATA, name="second.pdf")
        with pytest.raises(AttachmentError, match="has its 2 attachments"):
            await rig.chat.send_attachment(DATA, name="third.pdf")
        assert rig.calls("StartAttachmentUpload") == 2


async def test_the_service_s_own_limits_count() -> None:
    """A chat whose instance allows less answers with its own error."""
    async with running(attachment_max_bytes=10) as rig:
        with pytest.raises(ServiceQuotaExceededException):
            await rig.chat.send_attachment(DATA, name="a.pdf")


async def test_an_unusual_type_is_warned_of_and_sent(caplog: pytest.LogCaptureFixture) -> None:
    """An administrator may have allowed it; the log does not tell the file's name."""
    async with running() as rig:
        with caplog.at_level(logging.WARNING, "connect_chat.attachments"):
            await rig.chat.send_attachment(b"x", name="usual.png")
            assert caplog.records == []
            await rig.chat.send_attachment(b"x", name="secret.zip")
        assert "application/zip" in caplog.text
        assert "secret" not in caplog.text
        assert len(rig.attachments()) == 2


# What goes over the wire.


async def test_the_upload_carries_the_signed_headers_and_nothing_else() -> None:
    """No bearer token, no user agent: Host and what the service demanded."""
    async with running() as rig:
        await rig.chat.send_attachment(DATA, name="a.pdf")
        (seen,) = rig.proxy.seen
        assert seen.method == "PUT"
        assert seen.headers == {
            "host": rig.proxy.url.removeprefix("http://"),
            "content-type": "application/pdf",
            "content-length": str(len(DATA)),
            "x-amz-meta-initial_contact_id": rig.started.contact_id,
        }


# Our own echo.


@pytest.mark.parametrize("known", [False, True])
async def test_our_own_file_is_not_delivered_to_us(known: bool) -> None:
    """Not even while nobody has told us who we are; and it tells us."""
    async with running(participant_id=known) as rig:
        await rig.chat.send_attachment(DATA, name="a.pdf")
        await (await rig.agent()).say("Got it.")
        got: list[Item] = []
        while not got or not isinstance(got[-1], Message):
            got.append(await rig.chat.receive(5))
        assert not any(isinstance(item, AttachmentMessage) for item in got)
        assert rig.chat.participant_id == rig.started.participant_id


async def test_our_own_file_is_delivered_if_asked_for() -> None:
    """Marked as ours."""
    async with running(own=True) as rig:
        sent = await rig.chat.send_attachment(DATA, name="a.pdf")
        item = await rig.chat.wait_for(AttachmentMessage, 5)
        assert item.from_me
        assert item.attachments[0].attachment_id == sent.attachment_id


# The scan.


@pytest.mark.parametrize("verdict", ["APPROVED", "REJECTED"])
async def test_the_scan_is_waited_for(verdict: str) -> None:
    """The outcome is returned, though our own items are not delivered to us."""
    async with running(scan_seconds=0.05) as rig:
        if verdict == "REJECTED":
            rig.emulator.reject_next_attachment()
        sent = await rig.chat.send_attachment(DATA, name="a.pdf", wait=5)
        assert sent.status == verdict


async def test_a_scan_is_not_waited_for_too_long() -> None:
    """By default not at all; else for as long as was said."""
    async with running(scan_seconds=60) as rig:
        for wait in (0, 0.05):
            sent = await rig.chat.send_attachment(DATA, name="a.pdf", wait=wait)
            assert sent.status == "IN_PROGRESS"


async def test_the_end_of_the_chat_ends_the_wait() -> None:
    """What is known then is returned."""
    async with running(scan_seconds=60) as rig:
        sending = asyncio.create_task(rig.chat.send_attachment(DATA, name="a.pdf", wait=60))
        while not rig.attachments():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        rig.emulator.end_chat(rig.started.contact_id)
        assert (await sending).status == "IN_PROGRESS"
        with pytest.raises(ChatEndedError):
            await rig.chat.send_attachment(DATA, name="a.pdf")


# What goes wrong.


@pytest.mark.parametrize("after", [0, 100_000], ids=["at once", "midway"])
async def test_a_broken_upload_is_begun_anew(tmp_path: Path, after: int) -> None:
    """At the same URL, from the first byte; the chat gets one file."""
    path = tmp_path / "a.pdf"
    path.write_bytes(DATA)
    said: list[int] = []
    async with running() as rig:
        rig.proxy.faults.append(Cut(after))
        await rig.chat.send_attachment(path, progress=lambda sent, _: said.append(sent))
        assert await arrived(rig) == [DATA]
        first, second = rig.proxy.seen[:2]
        assert first == second
        assert rig.calls("StartAttachmentUpload") == rig.calls("CompleteAttachmentUpload") == 1
    assert said[-1] == len(DATA)


async def test_a_storage_that_is_ill_is_tried_again() -> None:
    """Answers of 5xx and 429 pass by."""
    async with running() as rig:
        rig.proxy.faults.extend((Answer(503), Answer(429), Answer(500)))
        await rig.chat.send_attachment(DATA, name="a.pdf")
        assert await arrived(rig) == [DATA]


async def test_a_stalled_upload_is_given_up_and_begun_anew() -> None:
    """The client's timeout holds for files, too."""
    async with running(timeout=0.5) as rig:
        rig.proxy.faults.append(Hold(after=len(DATA) - 1))
        await rig.chat.send_attachment(DATA, name="a.pdf")
        assert await arrived(rig) == [DATA]


async def test_a_source_that_can_be_read_once_is_not_sent_by_half() -> None:
    """The error says why there was no second attempt; nobody is shown a thing."""
    async with running() as rig:
        rig.proxy.faults.append(Cut(after=100_000))
        with pytest.raises(AttachmentError, match="cannot be read a second time"):
            await rig.chat.send_attachment(pieces(), name="a.pdf", size=len(DATA))
        assert rig.attachments() == []
        assert rig.calls("CompleteAttachmentUpload") == 0


async def test_attempts_are_bounded() -> None:
    """A storage that stays ill ends in an error that says so, without the URL."""
    async with running() as rig:
        rig.proxy.faults.extend([Answer(503, body=b"<Code>SlowDown</Code>")] * 9)
        with pytest.raises(AttachmentError, match="uploaded: HTTP 503 SlowDown") as caught:
            await rig.chat.send_attachment(DATA, name="secret.pdf")
        assert len(rig.proxy.seen) == 5
        text = str(caught.value)
        assert not any(word in text for word in ("secret", "storage/", rig.proxy.url))
        assert rig.attachments() == []


async def test_a_url_that_has_expired_is_replaced_once() -> None:
    """The file is announced anew; refused a second time, the storage's reason is told."""
    async with running() as rig:
        rig.proxy.faults.append(Answer(403, body=EXPIRED))
        await rig.chat.send_attachment(DATA, name="a.pdf")
        assert rig.calls("StartAttachmentUpload") == 2
        assert await arrived(rig) == [DATA]
        rig.proxy.faults.extend([Answer(403, body=EXPIRED)] * 2)
        with pytest.raises(AttachmentError, match="HTTP 403 AccessDenied"):
            await rig.chat.send_attachment(DATA, name="a.pdf")
        assert len(rig.attachments()) == 1


async def test_an_old_url_is_not_tried_again() -> None:
    """What fails after its UrlExpiry is announced anew, not sent there once more."""
    # The service tells its time in whole seconds.
    async with running(attachment_url_lifetime=0.001, clock=lambda: 1_750_000_000.0) as rig:
        rig.proxy.faults.append(Answer(503))
        await rig.chat.send_attachment(DATA, name="a.pdf")
        first, second = (seen.target for seen in rig.proxy.seen)
        assert first != second
        assert await arrived(rig) == [DATA]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_refused(status: int) -> None:
    """A file goes where the service said, and nowhere else."""
    async with running() as rig:
        rig.proxy.faults.append(Answer(status, {"location": rig.proxy.url + "/storage/elsewhere"}))
        with pytest.raises(AttachmentError, match=r"redirects .* not followed\. Try"):
            await rig.chat.send_attachment(pieces(), name="a.pdf", size=len(DATA))
        assert len(rig.proxy.seen) == 1
        assert rig.attachments() == []


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1], ids=["more", "fewer"])
async def test_a_source_that_is_not_as_long_as_announced_is_not_sent(size: int) -> None:
    """A wrong size is found out before the upload is completed."""
    async with running() as rig:
        with pytest.raises(AttachmentError, match="its size= is wrong"):
            await rig.chat.send_attachment(pieces(), name="a.pdf", size=size)
        assert rig.attachments() == []


async def test_what_progress_raises_ends_the_upload() -> None:
    """It comes out as it is, and nobody is shown a thing."""

    def refuse(sent: int, total: int) -> None:
        raise LookupError("enough")

    async with running() as rig:
        with pytest.raises(LookupError, match="enough"):
            await rig.chat.send_attachment(DATA, name="a.pdf", progress=refuse)
        assert rig.calls("CompleteAttachmentUpload") == 0


async def test_what_the_source_raises_ends_the_upload() -> None:
    """Also if it looks like an error of the network's: it is not ours to repeat."""

    async def broken() -> AsyncIterator[bytes]:
        yield DATA[:10]
        raise httpx.ReadError("the source's own")

    async with running() as rig:
        with pytest.raises(httpx.ReadError, match="the source's own"):
            await rig.chat.send_attachment(broken(), name="a.pdf", size=len(DATA))
        assert rig.attachments() == []


async def test_a_missing_file_is_the_system_s_error() -> None:
    """As open() says it."""
    async with running() as rig:
        with pytest.raises(FileNotFoundError):
            await rig.chat.send_attachment("no such file.pdf")


async def test_a_cancelled_upload_is_not_shown(tmp_path: Path) -> None:
    """Cancelled in its middle, it leaves nothing; the chat goes on."""
    path = tmp_path / "a.pdf"
    path.write_bytes(DATA)
    async with running() as rig:
        hold = Hold(after=100_000)
        rig.proxy.faults.append(hold)
        sending = asyncio.create_task(rig.chat.send_attachment(path))
        await hold.reached.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert rig.calls("CompleteAttachmentUpload") == 0
        await rig.chat.send_attachment(path)
        assert len(rig.attachments()) == 1


async def test_an_upload_ends_in_time() -> None:
    """The timeout is for all of it."""
    async with running() as rig:
        rig.proxy.faults.append(Hold(after=100_000))
        with pytest.raises(TimeoutError):
            await rig.chat.send_attachment(DATA, name="a.pdf", timeout=0.1)
        assert rig.attachments() == []


# One intent, one file.


@pytest.mark.parametrize("operation", ["StartAttachmentUpload", "CompleteAttachmentUpload"])
async def test_a_lost_answer_does_not_double_the_file(operation: str) -> None:
    """The repeated call carries the same ClientToken."""
    async with running() as rig:
        rig.emulator.fail_next(operation, after_work=True)
        await rig.chat.send_attachment(DATA, name="a.pdf")
        assert len(rig.attachments()) == 1
        assert rig.client.stats.attempts[operation] == 2


async def test_a_conflict_says_that_an_earlier_attempt_has_done_it() -> None:
    """Nobody else knows the id of our upload."""
    async with running() as rig:
        rig.emulator.fail_next("CompleteAttachmentUpload", "ConflictException", after_work=True)
        await rig.chat.send_attachment(DATA, name="a.pdf")
        assert len(rig.attachments()) == 1


async def test_the_same_client_token_sends_once() -> None:
    """A caller who does not know whether it worked calls again."""
    async with running() as rig:
        rig.emulator.fail_next("CompleteAttachmentUpload", "InternalServerException", count=3)
        with pytest.raises(InternalServerException):
            await rig.chat.send_attachment(DATA, name="a.pdf", client_token="intent")
        for _ in range(2):
            await rig.chat.send_attachment(DATA, name="a.pdf", client_token="intent")
        assert len(rig.attachments()) == 1
