"""Files on their way out of a chat, through what goes wrong there."""

from __future__ import annotations

import asyncio
import io
import os
import stat
from pathlib import Path

import pytest

from connect_chat import (
    AttachmentError,
    AttachmentMessage,
    InvalidRequestError,
    Message,
    ValidationException,
)

from .storage_proxy import Answer, Cut, Hold
from .support import DATA, EXPIRED, Rig, names, running


class Sink:
    """A stream as asynchronous file libraries have them."""

    def __init__(self) -> None:
        self.data = b""

    async def write(self, data: bytes, /) -> None:
        self.data += data


# Where a file can go.


async def test_a_file_is_fetched_to_memory() -> None:
    """Given a message, its attachment, or the attachment's id."""
    async with running() as rig:
        attachment_id = await rig.sent()
        message = await rig.chat.wait_for(AttachmentMessage, 5)
        for which in (message, message.attachments[0], attachment_id):
            assert await rig.chat.download_attachment(which) == DATA


async def test_what_was_sent_can_be_fetched() -> None:
    """`send_attachment` returns what `download_attachment` takes."""
    async with running() as rig:
        sent = await rig.chat.send_attachment(DATA, name="a.pdf")
        assert await rig.chat.download_attachment(sent) == DATA


async def test_a_file_is_fetched_to_a_path(tmp_path: Path) -> None:
    """What was there is replaced, with the permissions of any new file."""
    path = tmp_path / "mine.pdf"
    path.write_bytes(b"old")
    (tmp_path / "other").touch()
    async with running() as rig:
        assert await rig.chat.download_attachment(await rig.sent(), path) == path
    assert path.read_bytes() == DATA
    assert names(tmp_path) == ["mine.pdf", "other"]
    modes = {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in names(tmp_path)}
    assert len(modes) == 1


async def test_a_file_is_fetched_to_a_folder_under_a_free_name(tmp_path: Path) -> None:
    """Nothing in the folder is ever replaced, also by downloads at the same time."""
    async with running() as rig:
        await rig.sent("report.final.pdf")
        message = await rig.chat.wait_for(AttachmentMessage, 5)
        paths = await asyncio.gather(
            *(rig.chat.download_attachment(message, str(tmp_path)) for _ in range(3))
        )
    expected = ["report.final (1).pdf", "report.final (2).pdf", "report.final.pdf"]
    assert names(tmp_path) == sorted(path.name for path in paths) == expected
    assert all(path.read_bytes() == DATA for path in paths)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../evil.sh", "evil.sh"),
        ("/etc/passwd", "passwd"),
        ("..", "attachment"),
        (".bashrc", "bashrc"),
        ("a\x00b.pdf", "ab.pdf"),
        ("..\\..\\NUL.txt", "_NUL.txt"),
    ],
)
async def test_a_name_never_leads_out_of_the_folder(
    tmp_path: Path, name: str, expected: str
) -> None:
    """Whatever the other side calls its file."""
    folder = tmp_path / "inner" / "folder"
    folder.mkdir(parents=True)
    async with running() as rig:
        await rig.sent(name)
        message = await rig.chat.wait_for(AttachmentMessage, 5)
        path = await rig.chat.download_attachment(message, folder)
    assert path == folder / expected
    assert names(folder) == [expected]
    assert names(tmp_path) == ["inner"]
    assert names(tmp_path / "inner") == ["folder"]


async def test_a_file_is_fetched_to_a_stream() -> None:
    """To a binary file and to an asynchronous stream; both stay open."""
    buffer, sink = io.BytesIO(), Sink()
    async with running() as rig:
        attachment_id = await rig.sent()
        assert await rig.chat.download_attachment(attachment_id, buffer) == len(DATA)
        assert await rig.chat.download_attachment(attachment_id, sink) == len(DATA)
    assert buffer.getvalue() == sink.data == DATA


async def test_progress_is_reported_as_the_bytes_come() -> None:
    """It rises to the size."""
    said: list[tuple[int, int]] = []
    async with running() as rig:
        await rig.chat.download_attachment(
            await rig.sent(), progress=lambda *so_far: said.append(so_far)
        )
    assert said == sorted(set(said))
    assert len(said) > 2
    assert said[-1] == (len(DATA), len(DATA))


# What is refused.


async def test_a_message_without_one_file_is_refused() -> None:
    """One of several has to be chosen."""
    async with running() as rig:
        for message in (AttachmentMessage(type="ATTACHMENT"), Message(type="MESSAGE")):
            with pytest.raises(InvalidRequestError, match="attachment"):
                await rig.chat.download_attachment(message)  # type: ignore[call-overload]


async def test_a_folder_that_is_missing_is_the_system_s_error(tmp_path: Path) -> None:
    """As open() says it; the service has not been asked."""
    async with running() as rig:
        with pytest.raises(FileNotFoundError):
            await rig.chat.download_attachment("id", tmp_path / "missing" / "a.pdf")
        with pytest.raises(InvalidRequestError, match="to must be"):
            await rig.chat.download_attachment("id", object())  # type: ignore[call-overload]
        assert rig.calls("GetAttachment") == 0


async def test_a_rejected_file_is_not_given(tmp_path: Path) -> None:
    """The service's error comes out, and nothing is left in the folder."""
    async with running() as rig:
        rig.emulator.reject_next_attachment()
        attachment_id = await rig.sent()
        with pytest.raises(ValidationException):
            await rig.chat.download_attachment(attachment_id, tmp_path)
    assert names(tmp_path) == []


# What goes over the wire.


async def test_a_download_carries_no_token() -> None:
    """The presigned URL alone lets us in."""
    async with running() as rig:
        await rig.chat.download_attachment(await rig.sent())
        (seen,) = rig.proxy.seen
        assert seen.method == "GET"
        assert seen.headers == {
            "host": rig.proxy.url.removeprefix("http://"),
            "accept-encoding": "identity",
        }


# What goes wrong.


async def resumed(rig: Rig, target: Path | io.BytesIO | None) -> list[str]:
    """Fetch a file that breaks twice; return the ranges that were asked for."""
    rig.proxy.faults.extend((Cut(100_000), Cut(50_000)))
    await rig.chat.download_attachment(await rig.sent(), target)  # type: ignore[arg-type]
    assert all("if-range" in seen.headers for seen in rig.proxy.seen[1:])
    return [seen.headers.get("range", "all") for seen in rig.proxy.seen]


async def test_a_broken_download_goes_on_where_it_broke(tmp_path: Path) -> None:
    """Of the same file, by Range and If-Range; no byte is missing or doubled."""
    path = tmp_path / "a.pdf"
    async with running() as rig:
        assert await resumed(rig, path) == ["all", "bytes=100000-", "bytes=150000-"]
    assert path.read_bytes() == DATA
    assert names(tmp_path) == ["a.pdf"]


async def test_a_stream_is_continued() -> None:
    """It gets each byte once, whatever happens to connections."""
    buffer = io.BytesIO()
    async with running() as rig:
        await resumed(rig, buffer)
    assert buffer.getvalue() == DATA


async def test_a_stalled_download_goes_on() -> None:
    """The client's timeout holds for files, too."""
    async with running(timeout=0.5) as rig:
        rig.proxy.faults.append(Hold(after=100_000))
        assert await rig.chat.download_attachment(await rig.sent()) == DATA


async def test_a_storage_that_begins_anew_is_followed(tmp_path: Path) -> None:
    """An answer with the whole file replaces what there was of it."""
    async with running() as rig:
        rig.proxy.faults.extend((Cut(100_000), Answer(200, body=DATA)))
        path = await rig.chat.download_attachment(await rig.sent(), tmp_path / "a.pdf")
        assert path.read_bytes() == DATA
        rig.proxy.faults.extend((Cut(100_000), Answer(200, body=DATA)))
        assert await rig.chat.download_attachment(await rig.sent()) == DATA


async def test_a_stream_cannot_begin_anew() -> None:
    """What it has got cannot be taken back, and the error says so."""
    async with running() as rig:
        rig.proxy.faults.extend((Cut(100_000), Answer(200, body=DATA)))
        with pytest.raises(AttachmentError, match="has a part of the file already"):
            await rig.chat.download_attachment(await rig.sent(), Sink())


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, body=DATA[:-1]),
        Answer(200, body=DATA + b"x"),
        Answer(200, {"content-range": f"bytes 0-9/{len(DATA)}"}, DATA[:10]),
        Answer(206, {"content-range": f"bytes 5-9/{len(DATA)}"}, DATA[5:10]),
        Answer(206, {"content-range": "bytes 0-9/10"}, DATA[:10]),
        Answer(404, body=b"<Error><Code>NoSuchKey</Code></Error>"),
        Answer(302, {"location": "http://127.0.0.1:9/elsewhere"}),
    ],
)
async def test_a_wrong_answer_leaves_nothing(tmp_path: Path, answer: Answer) -> None:
    """Too short, too long, another part, none at all, or somewhere else: no file shows up."""
    (tmp_path / "a.pdf").write_bytes(b"old")
    async with running() as rig:
        rig.proxy.faults.append(answer)
        attachment_id = await rig.sent()
        for to in (tmp_path, tmp_path / "a.pdf"):
            rig.proxy.faults.append(answer)
            with pytest.raises(AttachmentError) as caught:
                await rig.chat.download_attachment(attachment_id, to)
            assert "storage/" not in str(caught.value)
    assert names(tmp_path) == ["a.pdf"]
    assert (tmp_path / "a.pdf").read_bytes() == b"old"


async def test_a_url_that_has_expired_is_replaced_once() -> None:
    """Also in mid-file, which then goes on; refused a second time, the reason is told."""
    async with running() as rig:
        attachment_id = await rig.sent()
        rig.proxy.faults.extend((Cut(100_000), Answer(403, body=EXPIRED)))
        assert await rig.chat.download_attachment(attachment_id) == DATA
        assert rig.calls("GetAttachment") == 2
        assert rig.proxy.seen[2].headers["range"] == "bytes=100000-"
        rig.proxy.faults.extend([Answer(403, body=EXPIRED)] * 2)
        with pytest.raises(AttachmentError, match="HTTP 403 AccessDenied"):
            await rig.chat.download_attachment(attachment_id)


async def test_attempts_are_bounded() -> None:
    """A storage that stays ill ends in an error."""
    async with running() as rig:
        rig.proxy.faults.extend([Cut(0)] * 9)
        with pytest.raises(AttachmentError, match="downloaded: "):
            await rig.chat.download_attachment(await rig.sent())
        assert len(rig.proxy.seen) == 5


@pytest.mark.parametrize("to", ["folder", "path"])
async def test_a_cancelled_download_leaves_nothing(tmp_path: Path, to: str) -> None:
    """While it runs, it is a hidden file; then it is gone."""
    async with running() as rig:
        hold = Hold(after=100_000)
        rig.proxy.faults.append(hold)
        attachment_id = await rig.sent()
        fetching = asyncio.create_task(
            rig.chat.download_attachment(
                attachment_id, tmp_path if to == "folder" else tmp_path / "a.pdf"
            )
        )
        await hold.reached.wait()
        (name,) = names(tmp_path)
        assert name.startswith(".")
        assert name.endswith(".part")
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
    assert names(tmp_path) == []


async def test_a_download_ends_in_time(tmp_path: Path) -> None:
    """The timeout is for all of it, and leaves nothing."""
    async with running() as rig:
        rig.proxy.faults.append(Hold(after=100_000))
        with pytest.raises(TimeoutError):
            await rig.chat.download_attachment(await rig.sent(), tmp_path, timeout=0.1)
    assert names(tmp_path) == []


async def test_what_progress_raises_ends_the_download(tmp_path: Path) -> None:
    """It comes out as it is, and nothing is left."""

    async def refuse(received: int, total: int) -> None:
        raise LookupError("enough")

    async with running() as rig:
        with pytest.raises(LookupError, match="enough"):
            await rig.chat.download_attachment(await rig.sent(), tmp_path, progress=refuse)
    assert names(tmp_path) == []


async def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing(tmp_path: Path) -> None:
    """Not even the name that was reserved for it."""

    def take_away(received: int, total: int) -> None:
        for path in tmp_path.iterdir():
            path.unlink()

    async with running() as rig:
        with pytest.raises(FileNotFoundError):
            await rig.chat.download_attachment(await rig.sent(), tmp_path, progress=take_away)
    assert names(tmp_path) == []
