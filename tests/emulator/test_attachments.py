"""Files: announced, uploaded to the stand-in for S3, scanned and fetched."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from connect_chat.emulator import Refusal

from .support import FakeClock, Rig, http, running

DATA = b"0123456789"


async def start(rig: Rig, token: str, size: int = len(DATA), **members: Any) -> dict[str, Any]:
    return await rig.call(
        "start_attachment_upload",
        ContentType="text/plain",
        AttachmentSizeInBytes=size,
        AttachmentName="../../notes & ünïcode.txt",
        ConnectionToken=token,
        **members,
    )


async def put(upload: dict[str, Any], data: bytes = DATA, **headers: str) -> httpx.Response:
    metadata = upload["UploadMetadata"]
    async with http() as web:
        return await web.put(
            metadata["Url"], content=data, headers={**metadata["HeadersToInclude"], **headers}
        )


async def complete(rig: Rig, token: str, upload: dict[str, Any], **members: Any) -> None:
    ids = [upload["AttachmentId"]]
    await rig.call(
        "complete_attachment_upload", AttachmentIds=ids, ConnectionToken=token, **members
    )


async def uploaded(rig: Rig, token: str) -> str:
    """Send a file; return its id."""
    upload = await start(rig, token)
    assert (await put(upload)).status_code == 200
    await complete(rig, token, upload)
    return upload["AttachmentId"]


async def get(url: str, **headers: str) -> httpx.Response:
    async with http() as web:
        return await web.get(url, headers=headers)


def shown(rig: Rig, contact_id: str) -> list[str]:
    """Return the states in which attachments were shown."""
    return [
        attachment["Status"]
        for entry in rig.emulator.transcript(contact_id)
        for attachment in entry.get("Attachments", [])
    ]


async def test_an_attachment_goes_all_the_way() -> None:
    """What is uploaded is shown to everybody as approved, and fetched as it was."""
    async with running() as rig:
        chat, token = await rig.started()
        attachment_id = await uploaded(rig, token)
        entry = rig.emulator.transcript(chat.contact_id)[-1]
        assert entry["Type"] == "ATTACHMENT"
        assert entry["Attachments"] == [
            {
                "ContentType": "text/plain",
                "AttachmentId": attachment_id,
                "AttachmentName": "../../notes & ünïcode.txt",
                "Status": "APPROVED",
            }
        ]
        reply = await rig.call("get_attachment", AttachmentId=attachment_id, ConnectionToken=token)
        assert reply["AttachmentSizeInBytes"] == len(DATA)
        answer = await get(reply["Url"])
        assert (answer.status_code, answer.content) == (200, DATA)
        assert answer.headers["content-type"] == "text/plain"
        assert answer.headers["content-disposition"] == (
            "attachment; filename*=UTF-8''..%2F..%2Fnotes%20%26%20%C3%BCn%C3%AFcode.txt"
        )


@pytest.mark.parametrize(
    ("asked", "status", "data", "range_"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=7-99", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=-99", 206, DATA, "bytes 0-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=-", 200, DATA, None),
        ("bytes=0-1,3-4", 200, DATA, None),
        ("lines=1-2", 200, DATA, None),
    ],
)
async def test_ranges(asked: str, status: int, data: bytes | None, range_: str | None) -> None:
    """A part is 206, what is outside 416, and what isn't understood is the whole."""
    async with running() as rig:
        _, token = await rig.started()
        attachment_id = await uploaded(rig, token)
        reply = await rig.call("get_attachment", AttachmentId=attachment_id, ConnectionToken=token)
        answer = await get(reply["Url"], Range=asked)
        assert answer.status_code == status
        assert answer.headers.get("content-range") == range_
        assert data is None or answer.content == data


async def test_a_range_is_of_the_file_it_was_asked_of() -> None:
    """If-Range gets the range of a file that is still the same, and else the whole."""
    async with running() as rig:
        _, token = await rig.started()
        attachment_id = await uploaded(rig, token)
        reply = await rig.call("get_attachment", AttachmentId=attachment_id, ConnectionToken=token)
        etag = (await get(reply["Url"])).headers["etag"]
        same = await get(reply["Url"], Range="bytes=7-", **{"If-Range": etag})
        other = await get(reply["Url"], Range="bytes=7-", **{"If-Range": '"other"'})
        assert (same.status_code, same.content) == (206, DATA[7:])
        assert (other.status_code, other.content) == (200, DATA)


async def test_the_disposition_is_the_one_asked_for() -> None:
    """UrlContentDisposition INLINE lets a browser show the file."""
    async with running() as rig:
        _, token = await rig.started()
        reply = await rig.call(
            "get_attachment",
            AttachmentId=await uploaded(rig, token),
            UrlContentDisposition="INLINE",
            ConnectionToken=token,
        )
        assert (await get(reply["Url"])).headers["content-disposition"].startswith("inline;")


async def test_urls_expire() -> None:
    """Uploads after 5 minutes, downloads after UrlExpiryInSeconds, or else 5 minutes."""
    clock = FakeClock()
    async with running(clock) as rig:
        _, token = await rig.started()
        late = await start(rig, token)
        wanted = {"AttachmentId": await uploaded(rig, token), "ConnectionToken": token}
        short = await rig.call("get_attachment", UrlExpiryInSeconds=5, **wanted)
        usual = await rig.call("get_attachment", **wanted)
        clock.now += 5
        assert (await get(short["Url"])).status_code == 200
        clock.now += 1
        assert (await get(short["Url"])).status_code == 403
        assert (await get(usual["Url"])).status_code == 200
        clock.now += 295
        assert "Request has expired" in (await get(usual["Url"])).text
        assert "Request has expired" in (await put(late)).text


async def test_the_upload_carries_exactly_the_signed_headers() -> None:
    """A header that is missing, different, or not signed is refused as S3 does."""
    async with running() as rig:
        _, token = await rig.started()
        upload = await start(rig, token)
        metadata = upload["UploadMetadata"]
        signed = metadata["HeadersToInclude"]
        assert {name.lower() for name in signed} == {
            "content-type",
            "content-length",
            "x-amz-meta-initial_contact_id",
        }
        for answer, status, code in (
            (await put(upload, **{"Content-Type": "text/html"}), 403, "SignatureDoesNotMatch"),
            (await put(upload, **{"x-amz-acl": "private"}), 403, "AccessDenied"),
            (await put(upload, **{"X-Amz-Bearer": token}), 400, "InvalidArgument"),
            (
                await put(upload, DATA + b"!", **{"Content-Length": "11"}),
                403,
                "SignatureDoesNotMatch",
            ),
        ):
            assert answer.status_code == status
            assert answer.headers["content-type"].startswith("application/xml")
            assert f"<Code>{code}</Code>" in answer.text
            assert token not in answer.text
        del signed["x-amz-meta-initial_contact_id"]
        assert (await put(upload)).status_code == 403
        await rig.refused(
            "ValidationException",
            "complete_attachment_upload",
            AttachmentIds=[upload["AttachmentId"]],
            ConnectionToken=token,
        )


async def test_a_url_works_for_what_it_was_signed_for() -> None:
    """Not for another method, another file, another expiry, nor with the bearer token."""
    async with running() as rig:
        _, token = await rig.started()
        wanted = {"AttachmentId": await uploaded(rig, token), "ConnectionToken": token}
        url = (await rig.call("get_attachment", **wanted))["Url"]
        other = (await start(rig, token))["UploadMetadata"]["Url"]
        assert (await get(other)).status_code == 403
        assert (await get(url.replace(wanted["AttachmentId"], "another"))).status_code == 403
        assert (await get(url.replace("X-Amz-Expires=1", "X-Amz-Expires=2"))).status_code == 403
        assert (await get(url, **{"X-Amz-Bearer": token})).status_code == 400
        assert (await get(url.partition("?")[0])).status_code == 403


async def test_an_upload_beyond_the_limit_is_not_read_to_its_end() -> None:
    """The stand-in for S3 takes no more than the largest attachment."""
    async with running(attachment_max_bytes=10) as rig:
        _, token = await rig.started()
        answer = await put(await start(rig, token), b"x" * 11, **{"Content-Length": "11"})
        assert "<Code>EntityTooLarge</Code>" in answer.text


async def test_an_upload_is_completed_once() -> None:
    """Again it conflicts, unless it is the same request; and it cannot be overwritten."""
    async with running() as rig:
        chat, token = await rig.started()
        upload = await start(rig, token)
        await put(upload)
        for _ in range(2):
            await complete(rig, token, upload, ClientToken="once")
        await rig.refused(
            "ConflictException",
            "complete_attachment_upload",
            AttachmentIds=[upload["AttachmentId"]],
            ConnectionToken=token,
        )
        assert (await put(upload, b"9876543210")).status_code == 403
        assert shown(rig, chat.contact_id) == ["APPROVED"]


async def test_starting_is_idempotent() -> None:
    """The same ClientToken gives the same attachment."""
    async with running() as rig:
        _, token = await rig.started()
        first, again = [await start(rig, token, ClientToken="once") for _ in range(2)]
        assert first["AttachmentId"] == again["AttachmentId"]


async def test_size_and_number_are_limited() -> None:
    """One byte or one attachment too many is ServiceQuotaExceededException."""
    async with running(attachment_max_bytes=10, attachments_per_chat=1) as rig:
        chat, token = await rig.started()
        await rig.refused(
            "ServiceQuotaExceededException",
            "start_attachment_upload",
            ContentType="text/plain",
            AttachmentSizeInBytes=11,
            AttachmentName="a.txt",
            ConnectionToken=token,
        )
        first, second = await start(rig, token), await start(rig, token)
        await put(first)
        await put(second)
        await complete(rig, token, first)
        await rig.refused(
            "ServiceQuotaExceededException",
            "complete_attachment_upload",
            AttachmentIds=[second["AttachmentId"]],
            ConnectionToken=token,
        )
        agent = await rig.emulator.join(chat.contact_id)
        with pytest.raises(Refusal, match="ServiceQuotaExceededException"):
            await agent.send_file("b.txt", b"b", content_type="text/plain")


async def test_a_rejected_attachment_is_shown_and_not_given() -> None:
    """The scan rejects the next one only."""
    async with running() as rig:
        chat, token = await rig.started()
        rig.emulator.reject_next_attachment()
        rejected = await uploaded(rig, token)
        await uploaded(rig, token)
        assert shown(rig, chat.contact_id) == ["REJECTED", "APPROVED"]
        await rig.refused(
            "ValidationException", "get_attachment", AttachmentId=rejected, ConnectionToken=token
        )


async def test_a_scan_that_takes_time_is_shown_as_in_progress() -> None:
    """Until it is over the attachment is not given."""
    async with running(scan_seconds=3600) as rig:
        chat, token = await rig.started()
        attachment_id = await uploaded(rig, token)
        assert shown(rig, chat.contact_id) == ["IN_PROGRESS"]
        await rig.refused(
            "ValidationException",
            "get_attachment",
            AttachmentId=attachment_id,
            ConnectionToken=token,
        )


async def test_only_its_own_chat_is_given_an_attachment_and_no_bot() -> None:
    """Another chat's customer does not find it, and a CUSTOM_BOT may not read any."""
    async with running() as rig:
        chat, token = await rig.started()
        _, stranger = await rig.started()
        bot = await rig.call(
            "create_participant",
            InstanceId="instance",
            ContactId=chat.contact_id,
            ParticipantDetails={"ParticipantRole": "CUSTOM_BOT"},
        )
        bot_token = await rig.token(bot["ParticipantCredentials"]["ParticipantToken"])
        wanted = {"AttachmentId": await uploaded(rig, token)}
        await rig.refused(
            "ValidationException", "get_attachment", ConnectionToken=stranger, **wanted
        )
        await rig.refused(
            "AccessDeniedException", "get_attachment", ConnectionToken=bot_token, **wanted
        )
