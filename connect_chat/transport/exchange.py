"""What every way of sending a request over HTTP has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from connect_chat.engine.retry import Failure

__all__ = ["Answer", "Exchange", "Unanswered"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever it says.

    Attributes:
        status: The status.
        headers: The headers; their names in any case.
        body: The body, decoded if it was compressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unanswered(Exception):
    """No answer came. The cause is chained if it quotes neither request nor answer.

    Attributes:
        kind: How it failed, in the library's terms; nothing of the request or the answer.
        words: What the library says about it, which may quote the request; or nothing.
        failure: Whether the request may have been taken, for who decides on another attempt.
    """

    def __init__(self, kind: str, failure: Failure, *, words: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.failure = failure
        self.words = words


class Exchange(Protocol):
    """Sends requests over connections that it keeps.

    Redirects are not followed, cookies not kept, and nothing is sent twice. Connecting, and each
    wait for some more of the answer, are bounded in time. Calls don't wait for one another.
    """

    async def send(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Answer:
        """Send a request and return its answer.

        Cancelled, it leaves no connection with an answer still to come.

        Args:
            method: The HTTP method.
            url: Where to; spelled as it goes over the wire.
            headers: All headers.
            body: The body; empty for none.

        Raises:
            Unanswered: No whole answer came.
            ConfigurationError: The environment's proxy or certificates are of no use.
        """

    async def aclose(self) -> None:
        """Close the connections, unless they are somebody else's. Idempotent."""
