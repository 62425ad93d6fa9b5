"""Bytes on their way to and from presigned URLs: counted, resumed, tried again.

What is sent or fetched is exactly as long as the service was told, or has told.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import httpx

from connect_chat.engine.retry import Retries
from connect_chat.errors import AttachmentError
from connect_chat.files import Source, Target
from connect_chat.transport.storage import Storage, TransferFailed, pieces

__all__ = ["Attempts", "Fetching", "Progress", "measured"]

logger = logging.getLogger("connect_chat.attachments")

Progress = Callable[[int, int], Awaitable[None] | None]
"""Called with the bytes so far and the bytes altogether; a coroutine function is awaited."""

_MAX_ATTEMPTS = 5
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class Fetching:
    """A download, as far as it has got."""

    def __init__(
        self, storage: Storage, target: Target, size: int, progress: Progress | None
    ) -> None:
        self._storage = storage
        self._target = target
        self._size = size
        self._progress = progress
        self._received = 0
        self._etag: str | None = None

    async def go_on(self, url: str) -> None:
        """Fetch what is missing.

        Raises:
            TransferFailed: It broke off.
            AttachmentError: The file is not of its announced size, or has to begin anew and can't.
        """
        async with self._storage.get(url, self._wanted()) as response:
            await self._begin(response)
            async with aclosing(pieces(response)) as coming:
                async for piece in coming:
                    self._received += len(piece)
                    if self._received > self._size:
                        raise self._wrong_size("more")
                    await self._target.write(piece)
                    await _report(self._progress, self._received, self._size)
        if self._received < self._size:
            raise self._wrong_size("fewer")

    def _wanted(self) -> dict[str, str]:
        """Return the headers that ask for what is missing, of the same file."""
        if not self._received:
            return {}
        wanted = {"Range": f"bytes={self._received}-"}
        return wanted | {"If-Range": self._etag} if self._etag else wanted

    async def _begin(self, response: httpx.Response) -> None:
        etag = response.headers.get("etag", "")
        # A weak one says that the meaning is the same, not the bytes.
        self._etag = etag if etag.startswith('"') else None
        if response.status_code == 206:
            place = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
            if place is None or (int(place[1]), int(place[2])) != (self._received, self._size):
                raise TransferFailed("the storage answered with another part of the file", None)
        elif self._received:
            await self._target.restart()
            self._received = 0

    def _wrong_size(self, than: str) -> AttachmentError:
        return AttachmentError(
            f"the storage gave {than} bytes than the {self._size:,} that the service announced; "
            "nothing was kept, download it again"
        )


class Attempts:
    """The attempts at one transfer: their number, the waits between them, and one new URL."""

    def __init__(self, storage: Storage, what: str) -> None:
        self._retries = Retries(storage.budget, max_attempts=_MAX_ATTEMPTS, repeatable=True)
        self._what = what
        self._renewed = False

    def renew(self, failed: TransferFailed, *, fresh: bool) -> bool:
        """Return whether the failure calls for a new URL, which one may once.

        Args:
            failed: What happened.
            fresh: Whether the URL has not expired yet.
        """
        if self._renewed or (fresh and not failed.refused):
            return False
        self._renewed = True
        return True

    async def again(self, failed: TransferFailed) -> None:
        """Wait until the next attempt is due.

        Raises:
            AttachmentError: There is to be none.
        """
        delay = None
        if failed.failure is not None:
            delay = self._retries.again_after(
                failed.failure,
                retry_after=None,
                remaining=float("inf"),  # whoever waits has set a timeout
                chance=random.random(),  # noqa: S311 - jitter, not a secret
            )
        if delay is None:
            raise self.error(failed, "Try again later; it is the storage's doing") from None
        logger.debug("a file was not %s (%s); again in %.2f s", self._what, failed.reason, delay)
        await asyncio.sleep(delay)

    def succeeded(self) -> None:
        """Pay back to the budget what success is worth."""
        self._retries.succeeded()

    def error(self, failed: TransferFailed, advice: str) -> AttachmentError:
        """Return what the caller gets."""
        return AttachmentError(f"the file could not be {self._what}: {failed.reason}. {advice}.")


async def measured(source: Source, size: int, progress: Progress | None) -> AsyncGenerator[bytes]:
    """Yield a source's bytes, exactly ``size`` of them.

    Raises:
        AttachmentError: There are more or fewer.
    """
    sent = 0
    async with aclosing(source.pieces()) as coming:
        async for piece in coming:
            if sent + len(piece) > size:
                raise _changed(size, "more")
            yield piece
            sent += len(piece)
            await _report(progress, sent, size)
    if sent < size:
        raise _changed(size, "fewer")


def _changed(size: int, than: str) -> AttachmentError:
    return AttachmentError(
        f"the source has {than} bytes than the {size:,} that were announced: its size= is wrong, "
        "or it was changed meanwhile. Nothing was sent; send it again"
    )


async def _report(progress: Progress | None, done: int, size: int) -> None:
    if progress is not None:
        said = progress(done, size)
        if inspect.isawaitable(said):
            await said
