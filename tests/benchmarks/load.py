"""The process that the load comes from, and what it is told over a pipe.

So what is measured is the process that talks to it. See `service` for what it does.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.machine import Child
from tests.benchmarks.service import CHATS, HOST, run

__all__ = ["Address", "Load", "connection_token", "load", "participant_token"]


@dataclass(frozen=True)
class Address:
    """Where the service is.

    Attributes:
        plain_port: Of its ``http`` and ``ws`` side.
        tls_port: Of its ``https`` and ``wss`` side.
        ca: Whom to trust there, as PEM.
    """

    plain_port: int
    tls_port: int
    ca: bytes

    def url(self, *, tls: bool = False) -> str:
        """Return the endpoint URL."""
        return f"https://{HOST}:{self.tls_port}" if tls else f"http://{HOST}:{self.plain_port}"

    def websocket(self, chat: int, *, tls: bool = False) -> str:
        """Return the URL of a chat's websocket."""
        url = f"wss://{HOST}:{self.tls_port}" if tls else f"ws://{HOST}:{self.plain_port}"
        return f"{url}{CHATS}{chat}"

    def ssl_context(self) -> ssl.SSLContext:
        """Return settings that trust it."""
        return ssl.create_default_context(cadata=self.ca.decode())


class Load:
    """The service's process. Its methods block; they are for moments when nothing is measured.

    Attributes:
        address: Where it listens.
    """

    def __init__(self, child: Child) -> None:
        self._child = child
        self._chats = 0
        self.address = Address(*child.hear())

    def _ask(self, command: str, *arguments: Any) -> Any:
        return self._child.ask((command, arguments))

    def new_chats(self, count: int) -> range:
        """Return the numbers of so many chats in which nothing has been said yet."""
        first, self._chats = self._chats, self._chats + count
        return range(first, first + count)

    def say(self, chats: Sequence[int], count: int) -> None:
        """Have so many items in the transcripts of some chats, without pushing them."""
        self._ask("say", chats, count)

    def prepare(self, chats: Sequence[int], count: int) -> Callable[[], None]:
        """Build ``count`` frames for each chat; return what has them pushed and doesn't wait."""
        self._ask("prepare", chats, count)
        return lambda: self._child.pipe.send(("push", (count,)))

    def pace(self, chats: Sequence[int], count: int, rate: float, *, stamped: bool = False) -> None:
        """Have ``count`` items pushed, ``rate`` a second, to the chats in turn; don't wait.

        If they are stamped, each is a message whose text is when it was sent, in nanoseconds of
        ``time.perf_counter_ns``.
        """
        self._child.pipe.send(("pace", (chats, count, rate, stamped)))

    @property
    def subscribed(self) -> int:
        """How many websockets are subscribed."""
        return int(self._ask("subscribed"))

    @property
    def cpu(self) -> float:
        """The seconds of CPU that it has used."""
        return float(self._ask("cpu"))


@contextmanager
def load() -> Iterator[Load]:
    """Run the service in a process of its own."""
    with Child(run) as child:
        yield Load(child)


def participant_token(chat: int) -> str:
    """Return the token with which a participant of a chat is connected."""
    return f"participant-{chat}"


def connection_token(chat: int) -> str:
    """Return the token that a connected participant calls with."""
    return f"connection-{chat}"
