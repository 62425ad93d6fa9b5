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
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "allow_many_files",
    "describe",
    "in_fresh_process",
    "most_files",
    "new_loop",
    "reap",
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


def in_fresh_process(call: Callable[..., T], *arguments: Any) -> T:
    """Call a function of a module in a new interpreter, and return what it returns."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_call, args=(theirs, call, arguments)
    )
    process.start()
    theirs.close()
    try:
        result: T = ours.recv()
    except EOFError:
        raise RuntimeError(f"{call.__module__}.{call.__qualname__} failed; see above") from None
    finally:
        reap(process)
    return result


def _call(pipe: Connection, call: Callable[..., T], arguments: tuple[Any, ...]) -> None:
    allow_many_files()
    pipe.send(call(*arguments))


def reap(process: BaseProcess) -> None:
    """Wait for a process that has been told to end, and end it if it doesn't."""
    process.join(10)
    if process.is_alive():
        process.kill()
        process.join()
