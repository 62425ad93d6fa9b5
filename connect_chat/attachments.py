"""Files that go into a chat and come out of it, streamed.

Up: announced with StartAttachmentUpload, ``PUT`` to a presigned URL, and shown to everybody by
CompleteAttachmentUpload, which is called only once the storage has taken every byte. Down: named
by GetAttachment, fetched from a presigned URL, and put in its place only once it is whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from connect_chat import requests
from connect_chat.client import ParticipantClient
from connect_chat.driver import Driver
from connect_chat.errors import AttachmentError, ConflictException, InvalidRequestError
from connect_chat.filenames import CONTENT_TYPES, guess_content_type
from connect_chat.files import Source, SourceLike, Target, TargetLike, open_source, open_target
from connect_chat.items import Attachment, AttachmentMessage
from connect_chat.shapes import GetAttachmentResponse, Response, UploadMetadata
from connect_chat.transfers import Attempts, Fetching, Progress, measured
from connect_chat.transport.storage import TransferFailed

__all__ = ["AttachmentLike", "Attachments", "SentAttachment"]

logger = logging.getLogger("connect_chat.attachments")


@dataclass(frozen=True, slots=True)
class SentAttachment:
    """A file that the service has taken.

    Attributes:
        attachment_id: Its id, which its item carries, too.
        name: Its name. Not in the repr.
        content_type: Its MIME type.
        size: Its size in bytes.
        status: What was known of its scan on return: ``"IN_PROGRESS"``, ``"APPROVED"`` (the
            others can fetch it) or ``"REJECTED"`` (they cannot).
        client_token: The idempotency token that it was sent with.
    """

    attachment_id: str
    name: str = field(repr=False)
    content_type: str
    size: int
    status: str
    client_token: str


AttachmentLike = Attachment | AttachmentMessage | SentAttachment | str


@dataclass(frozen=True, slots=True)
class _File:
    """A file to be sent, as it is announced."""

    name: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class _Upload:
    """A place for a file, as the service gave it."""

    attachment_id: str
    metadata: UploadMetadata
    fresh: Callable[[], bool]


class Attachments:
    """Sends and fetches the files of one session."""

    def __init__(self, driver: Driver, client: ParticipantClient) -> None:
        self._driver = driver
        self._client = client
        self._files = driver.engine.files

    # Up.

    async def send(
        self,
        source: SourceLike,
        *,
        name: str | None,
        content_type: str | None,
        size: int | None,
        progress: Progress | None,
        timeout: float | None,
        wait: float,
        client_token: str | None,
    ) -> SentAttachment:
        """See `ChatSession.send_attachment`."""
        token = client_token or str(uuid4())
        async with asyncio.timeout(timeout):
            opened = await open_source(source)
            try:
                file = self._described(opened, name, content_type, size, token)
                attachment_id = await self._upload(opened, file, token, progress)
            finally:
                await opened.aclose()
        await self._scanned(attachment_id, wait)
        return SentAttachment(
            attachment_id,
            file.name,
            file.content_type,
            file.size,
            self._files.status(attachment_id) or "IN_PROGRESS",
            token,
        )

    def _described(
        self,
        source: Source,
        name: str | None,
        content_type: str | None,
        size: int | None,
        client_token: str,
    ) -> _File:
        """Return what is to be announced, checked."""
        name = name or source.name
        if name is None:
            raise InvalidRequestError("name", "given, since the source has none")
        size = source.size if size is None else size
        if size is None:
            raise InvalidRequestError("size", "given, since the source does not tell its size")
        content_type = content_type or guess_content_type(name)
        self._files.check(size)
        requests.start_attachment_upload(
            "-",
            attachment_name=name,
            attachment_size_in_bytes=size,
            content_type=content_type,
            client_token=client_token,
        )
        if content_type.partition(";")[0].strip().lower() not in CONTENT_TYPES.values():
            logger.warning(
                "%s is not among the types of files that chats carry by default; unless an "
                "administrator has allowed it, the service will refuse it",
                content_type,
            )
        return _File(name, content_type, size)

    async def _upload(
        self, source: Source, file: _File, token: str, progress: Progress | None
    ) -> str:
        """Announce a file, send it, and have it shown; return its id."""
        upload = await self._announce(file, token)
        try:
            attempts = Attempts(self._client.storage, "uploaded")
            while True:
                try:
                    await self._put(upload, source, file, progress)
                    break
                except TransferFailed as failed:
                    if failed.repeatable and not source.again:
                        raise attempts.error(
                            failed,
                            "The source cannot be read a second time; send it again, best from a "
                            "path",
                        ) from None
                    if attempts.renew(failed, fresh=upload.fresh()):
                        # Another announcement is another intent; nobody has seen the first one.
                        self._files.withdrawn(upload.attachment_id)
                        upload = await self._announce(file, str(uuid4()))
                    else:
                        await attempts.again(failed)
            attempts.succeeded()
            await self._complete(upload.attachment_id, token)
        except BaseException:
            self._files.withdrawn(upload.attachment_id)
            raise
        return upload.attachment_id

    async def _announce(self, file: _File, token: str) -> _Upload:
        answer = await self._driver.call(
            lambda bearer: self._client.start_attachment_upload(
                bearer,
                attachment_name=file.name,
                attachment_size_in_bytes=file.size,
                content_type=file.content_type,
                client_token=token,
            )
        )
        if answer.attachment_id is None or answer.upload_metadata is None:
            raise AttachmentError("the service named no place to upload the file to; send it again")
        self._driver.engine.file_announced(answer.attachment_id)
        metadata = answer.upload_metadata
        return _Upload(answer.attachment_id, metadata, _until(answer, metadata.url_expiry))

    async def _put(
        self, upload: _Upload, source: Source, file: _File, progress: Progress | None
    ) -> None:
        await self._client.storage.put(
            upload.metadata.url,
            upload.metadata.headers_to_include,
            measured(source, file.size, progress),
            file.size,
        )

    async def _complete(self, attachment_id: str, token: str) -> None:
        # A conflict says that it is being completed, and nobody but us knows the id: an attempt
        # whose answer was lost has done it.
        with suppress(ConflictException):
            await self._driver.call(
                lambda bearer: self._client.complete_attachment_upload(
                    bearer, (attachment_id,), client_token=token
                )
            )

    async def _scanned(self, attachment_id: str, wait: float) -> None:
        """Wait so many seconds for the outcome of a scan."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._driver.until(
                    lambda: (
                        self._files.verdict(attachment_id) is not None or self._driver.engine.over
                    )
                )

    # Down.

    async def download(
        self,
        attachment: AttachmentLike,
        to: TargetLike | None,
        *,
        progress: Progress | None,
        timeout: float | None,
    ) -> Any:
        """See `ChatSession.download_attachment`."""
        attachment_id, name = _identified(attachment)
        async with asyncio.timeout(timeout):
            target = await open_target(to, name)
            try:
                await self._fetch(attachment_id, target, progress)
                return await target.finish()
            finally:
                await target.discard()

    async def _fetch(self, attachment_id: str, target: Target, progress: Progress | None) -> None:
        """Fetch a file, going on where it broke off."""
        answer = await self._locate(attachment_id)
        fresh = _until(answer, answer.url_expiry)
        attempts = Attempts(self._client.storage, "downloaded")
        fetching = Fetching(self._client.storage, target, answer.attachment_size_in_bytes, progress)
        while True:
            try:
                await fetching.go_on(answer.url or "")
                break
            except TransferFailed as failed:
                if attempts.renew(failed, fresh=fresh()):
                    answer = await self._locate(attachment_id)
                    fresh = _until(answer, answer.url_expiry)
                else:
                    await attempts.again(failed)
        attempts.succeeded()

    async def _locate(self, attachment_id: str) -> GetAttachmentResponse:
        return await self._driver.call(
            lambda bearer: self._client.get_attachment(bearer, attachment_id)
        )


def _identified(attachment: AttachmentLike) -> tuple[str, str]:
    """Return an attachment's id and name."""
    if isinstance(attachment, AttachmentMessage) and len(attachment.attachments) == 1:
        attachment = attachment.attachments[0]
    match attachment:
        case str():
            return attachment, attachment
        case SentAttachment():
            return attachment.attachment_id, attachment.name
        case Attachment(attachment_id=str(found), attachment_name=name):
            return found, name or found
    raise InvalidRequestError(
        "attachment", "a message with one file, one of a message's attachments, or an id"
    )


def _until(answer: Response, expiry: datetime | None) -> Callable[[], bool]:
    """Return what tells whether a URL is still valid, by the service's clock at its issue.

    Without the service's word it counts as valid: the storage will tell.
    """
    if expiry is None or answer.service_time is None:
        return lambda: True
    loop = asyncio.get_running_loop()
    end = loop.time() + (expiry - answer.service_time).total_seconds()
    return lambda: loop.time() < end
