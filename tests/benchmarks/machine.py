"""What the benchmarks need of the machine: its description, memory, CPU time, processes."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import multiprocessing
import os
import platform
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.benchmarks import slowed

__all__ = [
    "Child",
    "allow_many_files",
    "describe",
    "hear",
    "in_fresh_process",
    "most_files",
    "new_loop",
    "resident",
]

T = TypeVar("T")

_LIBRARIES = (
    "connect-chat",
    "httpx",
    "httpcore",
    "websockets",
    "pydantic",
    "pydantic-core",
    "anyio",
    "uvloop",
    "aiohttp",
    "httpx-aiohttp",
    "aiobotocore",
    "boto3",
    "botocore",
)


def describe() -> dict[str, Any]:
    """Return what numbers from this machine depend on."""
    versions = {}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "event_loop": "asyncio's own, unless a row says otherwise",
        "libraries": versions,
    }


def _cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def resident() -> int:
    """Return the bytes of memory that this process occupies, without what is garbage (Linux)."""
    gc.collect()
    with suppress(OSError, AttributeError):
        # Freed memory goes back to the system, so that no burst of long ago counts.
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def most_files() -> int:
    """Return how many files and sockets a process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def allow_many_files() -> None:
    """Raise the soft limit of open files to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    """Return a new event loop: ``"asyncio"`` or ``"uvloop"``."""
    if kind == "asyncio":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


class Child:
    """A function at work in a fresh interpreter, which can be asked over a pipe.

    Args:
        call: A function of a module; its first argument is the other end of the pipe.
        arguments: The others.
    """

    def __init__(self, call: Callable[..., None], *arguments: Any) -> None:
        self.pipe, self._theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_start, args=(call, self._theirs, *arguments)
        )

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self.pipe.send("stop")
        self._process.join(30)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def ask(self, command: Any) -> Any:
        """Send it something, and return what it answers."""
        self.pipe.send(command)
        return self.hear()

    def hear(self) -> Any:
        """Return what it says next.

        Raises:
            RuntimeError: It has ended.
        """
        try:
            return self.pipe.recv()
        except EOFError:
            raise RuntimeError("a process of the benchmarks has failed; see above") from None


def hear(pipe: Connection) -> Any:
    """Return what has come in from whoever started this process; "stop" if they are gone."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return "stop"


def _start(call: Callable[..., None], pipe: Connection, *arguments: Any) -> None:
    allow_many_files()
    if slowed.wanted():
        slowed.slow_down()
    call(pipe, *arguments)


def in_fresh_process(call: Callable[..., T], *arguments: Any) -> T:
    """Call a function of a module in a fresh interpreter, and return what it returns."""
    with Child(_return, call, *arguments) as child:
        result: T = child.hear()
        return result


def _return(pipe: Connection, call: Callable[..., Any], *arguments: Any) -> None:
    pipe.send(call(*arguments))
