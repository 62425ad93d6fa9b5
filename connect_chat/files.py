"""Where a file's bytes come from and where they go: paths, memory, streams.

All of them are read and written in pieces, so that a file of any size takes constant memory, and
blocking calls are made in a worker thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar, cast
from uuid import uuid4

from connect_chat.errors import AttachmentError, InvalidRequestError
from connect_chat.filenames import safe_filename

__all__ = [
    "AsyncReadable",
    "AsyncWritable",
    "Source",
    "SourceLike",
    "Target",
    "TargetLike",
    "open_source",
    "open_target",
]

T = TypeVar("T")

_PIECE = 128 * 1024


class AsyncReadable(Protocol):
    """A stream with a coroutine ``read``: of aiofiles, anyio, asyncio and others."""

    async def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""


class AsyncWritable(Protocol):
    """A stream with a coroutine ``write``: of aiofiles, anyio and others."""

    async def write(self, data: bytes, /) -> object:
        """Write all of ``data``."""


Buffer = bytes | bytearray | memoryview
SourceLike = str | os.PathLike[str] | Buffer | BinaryIO | AsyncReadable | AsyncIterable[bytes]
TargetLike = str | os.PathLike[str] | BinaryIO | AsyncWritable


class Source(Protocol):
    """Bytes to be sent.

    Attributes:
        name: The file's name, if it has one.
        size: How many bytes there are, if that can be known.
        again: Whether `pieces` can be called (again).
    """

    name: str | None
    size: int | None

    @property
    def again(self) -> bool: ...  # noqa: D102

    def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the bytes from the beginning."""

    async def aclose(self) -> None:
        """Close what was opened."""


class Target(Protocol):
    """A place for bytes that come in."""

    async def write(self, piece: bytes) -> None:
        """Add bytes."""

    async def restart(self) -> None:
        """Drop the bytes that were written.

        Raises:
            AttachmentError: They are gone already.
        """

    async def finish(self) -> Any:
        """Put the whole file in its place; return what the caller of a download gets."""

    async def discard(self) -> None:
        """Leave nothing behind. Does nothing after `finish`."""


async def open_source(source: SourceLike) -> Source:
    """Return what yields the bytes of a source.

    Raises:
        InvalidRequestError: It is nothing that bytes can be read from.
        OSError: The file cannot be opened.
    """
    match source:
        case str() | os.PathLike():
            return await in_thread(lambda: _opened(Path(source)), undo=_Opened.close)
        case bytes() | bytearray() | memoryview():
            return _Memory(memoryview(source).cast("B"))
    read = getattr(source, "read", None)
    if inspect.iscoroutinefunction(read):
        return _Stream(lambda: _read_pieces(cast("AsyncReadable", source)))
    if callable(read):
        return await asyncio.to_thread(_of_file, cast("BinaryIO", source))
    if hasattr(source, "__aiter__"):
        return _Stream(lambda: _given_pieces(cast("AsyncIterable[bytes]", source)))
    raise InvalidRequestError(
        "source", "a path, bytes, a binary file, or an async stream or iterator of bytes"
    )


async def open_target(to: TargetLike | None, name: str) -> Target:
    """Return what takes the bytes of a download.

    Args:
        to: Where they go: a folder, where a free name like ``name`` is found; another path, which
            is replaced; a stream, which stays open; None for memory.
        name: The file's name, as somebody else chose it.

    Raises:
        InvalidRequestError: ``to`` is nothing that bytes can be written to.
        OSError: There is no such folder, or nothing can be created in it.
    """
    match to:
        case None:
            return _Buffer()
        case str() | os.PathLike():
            return await in_thread(
                lambda: _Partial(Path(to), safe_filename(name)), undo=_Partial.remove
            )
    write = getattr(to, "write", None)
    if inspect.iscoroutinefunction(write):
        return _Sink(write)
    if callable(write):
        return _Sink(lambda piece: asyncio.to_thread(write, piece))
    raise InvalidRequestError("to", "a path, a folder, a binary file or an async stream, or None")


async def in_thread(call: Callable[[], T], *, undo: Callable[[T], object] | None = None) -> T:
    """Make a blocking call in a worker thread, and never leave while it goes on.

    What it works on can be closed after that, also if we were cancelled.

    Args:
        call: What to do.
        undo: What to do with its result if we were cancelled, so that nobody gets it.
    """
    future = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        if future.exception() is None and undo is not None:
            undo(future.result())
        raise


class _Memory:
    """Bytes that are there."""

    name: str | None = None
    again = True

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.size: int | None = len(data)

    async def pieces(self) -> AsyncGenerator[bytes]:
        for start in range(0, len(self._data), _PIECE):
            yield bytes(self._data[start : start + _PIECE])

    async def aclose(self) -> None:
        pass


class _Opened:
    """A file that can be sought in, from where it stands now."""

    again = True

    def __init__(self, file: BinaryIO, *, name: str | None, size: int, ours: bool) -> None:
        self._file = file
        self._start = file.tell()
        self._ours = ours
        self.name = name
        self.size: int | None = size

    async def pieces(self) -> AsyncGenerator[bytes]:
        await in_thread(lambda: self._file.seek(self._start))
        while piece := _checked(await in_thread(lambda: self._file.read(_PIECE))):
            yield piece

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        if self._ours:
            self._file.close()


class _Stream:
    """Bytes that can be read once."""

    size: int | None = None

    def __init__(self, begin: Callable[[], AsyncGenerator[bytes]], name: str | None = None) -> None:
        self._begin = begin
        self.name = name
        self.again = True

    async def pieces(self) -> AsyncGenerator[bytes]:
        async with aclosing(self._begin()) as pieces:
            async for piece in pieces:
                self.again = False
                yield _checked(piece)

    async def aclose(self) -> None:
        pass


def _opened(path: Path) -> _Opened:
    # Looked at before it is opened: opening a pipe waits for its other end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise InvalidRequestError("source", "a regular file, if it is a path; open others yourself")
    file = path.open("rb")
    return _Opened(file, name=path.name, size=os.fstat(file.fileno()).st_size, ours=True)


def _of_file(file: BinaryIO) -> Source:
    name = getattr(file, "name", None)
    name = os.path.basename(name) if isinstance(name, str) and name else None
    if not getattr(file, "seekable", bool)():
        return _Stream(lambda: _blocking_pieces(file), name)
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    return _Opened(file, name=name, size=size, ours=False)


async def _read_pieces(stream: AsyncReadable) -> AsyncGenerator[bytes]:
    while piece := await stream.read(_PIECE):
        yield piece


async def _blocking_pieces(file: BinaryIO) -> AsyncGenerator[bytes]:
    # Its other end may never send any more, so a cancelled read is abandoned, not waited for.
    while piece := await asyncio.to_thread(file.read, _PIECE):
        yield piece


async def _given_pieces(stream: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    iterator: AsyncIterator[bytes] = aiter(stream)
    try:
        async for piece in iterator:
            yield piece
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


def _checked(piece: object) -> bytes:
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise InvalidRequestError("source", "made of bytes; open files in binary mode")
    return bytes(piece)


class _Buffer:
    """Memory."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()

    async def write(self, piece: bytes) -> None:
        self._buffer.write(piece)

    async def restart(self) -> None:
        self._buffer = io.BytesIO()

    async def finish(self) -> bytes:
        return self._buffer.getvalue()

    async def discard(self) -> None:
        self._buffer.close()


class _Sink:
    """Somebody else's stream."""

    def __init__(self, write: Callable[[bytes], Awaitable[object]]) -> None:
        self._write = write
        self._written = 0

    async def write(self, piece: bytes) -> None:
        self._written += len(piece)
        await self._write(piece)

    async def restart(self) -> None:
        if self._written:
            raise AttachmentError(
                "the connection broke, the storage cannot go on in mid-file, and the stream has "
                "a part of the file already; download it again to a new stream or to a path"
            )

    async def finish(self) -> int:
        return self._written

    async def discard(self) -> None:
        pass


class _Partial:
    """A file under a temporary name, until it is whole."""

    def __init__(self, to: Path, name: str) -> None:
        self._name = name if to.is_dir() else None
        self._to = to
        folder = to if self._name else to.parent
        self._path = folder / f".{uuid4().hex}.part"
        self._file = self._path.open("xb")

    async def write(self, piece: bytes) -> None:
        await in_thread(lambda: self._file.write(piece))

    async def restart(self) -> None:
        await in_thread(lambda: self._file.truncate(self._file.seek(0)))

    async def finish(self) -> Path:
        return await in_thread(self._place)

    async def discard(self) -> None:
        await in_thread(self.remove)

    def _place(self) -> Path:
        self._file.close()
        if self._name is None:
            return self._path.replace(self._to)
        reserved = _reserve(self._to, self._name)
        try:
            return self._path.replace(reserved)
        except OSError:
            reserved.unlink()
            raise

    def remove(self) -> None:
        with contextlib.suppress(OSError):  # what cannot be written cannot be flushed either
            self._file.close()
        self._path.unlink(missing_ok=True)


def _reserve(folder: Path, name: str) -> Path:
    """Create an empty file of that name, or of one like it if it is taken; return its path."""
    stem, suffix = os.path.splitext(name)
    for number in count():
        path = folder / (f"{stem} ({number}){suffix}" if number else name)
        with contextlib.suppress(FileExistsError):
            path.touch(exist_ok=False)
            return path
    raise AssertionError("unreachable")
