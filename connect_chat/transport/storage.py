"""Presigned URLs: bytes that go to them and come from them, and how that fails.

Whoever holds a presigned URL is let in by it, so a request carries no credential of ours, no
header that was not signed for, and no error quotes the URL. Redirects are not followed: where a
file goes to or comes from is what the service named.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx

from connect_chat.engine.retry import Failure, RetryBudget
from connect_chat.transport.pool import open_pool
from connect_chat.transport.proxies import proxy_for

__all__ = ["Storage", "TransferFailed", "pieces"]

# Transfers are few and long. A connection to the storage is rarely used again much later.
_LIMITS = httpx.Limits(max_connections=20, max_keepalive_connections=5, keepalive_expiry=5.0)

# What HTTP itself says about a request; the rest of its headers are the service's to name.
_FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection"})

_ERROR_LIMIT = 4096
_ERROR_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")


class TransferFailed(Exception):
    """One attempt at a transfer failed.

    Attributes:
        reason: How, in words; without the URL.
        failure: How, for who decides on another attempt; None if that would fail, too.
        refused: Whether the URL is not, or no longer, valid: a new one may be.
    """

    def __init__(self, reason: str, failure: Failure | None, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.failure = failure
        self.refused = refused

    @property
    def repeatable(self) -> bool:
        """Whether another attempt may succeed, perhaps at another URL."""
        return self.failure is not None or self.refused


class Storage:
    """Sends to and fetches from presigned URLs.

    Args:
        ssl_context: Called for the TLS settings when they are first needed.
        timeout: Seconds that connecting, sending a piece, each read and waiting for a free
            connection may take.
        encrypted: Whether only https is good enough.

    Attributes:
        budget: What repeated attempts draw on, so that a storage that is ill is not hammered.
    """

    def __init__(
        self, *, ssl_context: Callable[[], ssl.SSLContext], timeout: float, encrypted: bool
    ) -> None:
        self.budget = RetryBudget()
        self._ssl_context = ssl_context
        self._timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        self._schemes = ("https",) if encrypted else ("https", "http")
        # By scheme and proxy, since the proxy depends on the host that a URL names.
        self._pools: dict[tuple[str, httpx.URL | None], httpx.AsyncHTTPTransport] = {}
        self._closed = False

    async def aclose(self) -> None:
        """Close the connections, and open no more."""
        self._closed = True
        while self._pools:
            await self._pools.popitem()[1].aclose()

    async def put(
        self, url: str, headers: Mapping[str, str], chunks: AsyncGenerator[bytes], size: int
    ) -> None:
        """Send bytes, once.

        Args:
            url: Where to.
            headers: The headers that the URL was signed for; exactly these are sent, besides
                ``Host`` and the ``Content-Length``.
            chunks: The bytes. An error of theirs ends the transfer and is raised as it is.
            size: How many there are.

        Raises:
            TransferFailed: They were not taken, or not all of them.
        """
        body = _Body(chunks)
        signed = [(name, value) for name, value in headers.items() if name.lower() not in _FRAMING]
        try:
            response = await self._send(
                "PUT", url, [*signed, ("Content-Length", str(size))], stream=body
            )
        except Exception:
            if body.failure is not None:
                raise body.failure from None
            raise
        finally:
            await chunks.aclose()
        try:
            await _check(response)
        finally:
            await response.aclose()
        if not body.complete:
            raise TransferFailed("it was answered before all was sent", Failure.FAULTY)

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """Fetch bytes: an answer of 200 or 206, whose body is to be read with `pieces`.

        Args:
            url: Where from.
            headers: Further headers.

        Raises:
            TransferFailed: There was another answer, or none.
        """
        identity = ("Accept-Encoding", "identity")
        response = await self._send("GET", url, [identity, *headers.items()])
        try:
            await _check(response)
            yield response
        finally:
            await response.aclose()

    async def _send(
        self,
        method: str,
        url: str,
        headers: list[tuple[str, str]],
        stream: httpx.AsyncByteStream | None = None,
    ) -> httpx.Response:
        target = self._parse(url)
        try:
            # Given a stream, httpx adds no headers of its own.
            request = httpx.Request(
                method,
                target,
                headers=[("Host", target.netloc.decode("ascii")), *headers],
                stream=stream or httpx.ByteStream(b""),
                extensions={"timeout": self._timeouts},
            )
            return await self._pool(target).handle_async_request(request)
        except httpx.TransportError as error:
            raise _broken(error) from None

    def _parse(self, url: str) -> httpx.URL:
        try:
            target = httpx.URL(url)
        except httpx.InvalidURL:
            raise TransferFailed("the service gave a malformed URL", None) from None
        if target.scheme not in self._schemes or not target.host:
            raise TransferFailed("the service gave a URL that is not https", None)
        return target

    def _pool(self, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        if self._closed:
            raise TransferFailed("the client is closed", None)
        key = (url.scheme, proxy_for(url))
        pool = self._pools.get(key)
        if pool is None:
            pool = open_pool(url, ssl_context=self._ssl_context, limits=_LIMITS)
            self._pools[key] = pool
        return pool


async def pieces(response: httpx.Response) -> AsyncGenerator[bytes]:
    """Yield the body of an answer as it comes in, as it is stored.

    Raises:
        TransferFailed: It broke off.
    """
    try:
        async for piece in response.aiter_raw():
            yield piece
    except httpx.TransportError as error:
        raise _broken(error) from None


class _Body(httpx.AsyncByteStream):
    """The body of a request; remembers whether it was read to its end, or why not."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.complete = False
        self.failure: Exception | None = None

    # Not a generator: one that is left in its middle would end at the garbage collector's leisure.
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            self.complete = True
            raise
        except Exception as error:
            self.failure = error
            raise


async def _check(response: httpx.Response) -> None:
    """Raise unless an answer carries what was asked for."""
    status = response.status_code
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise TransferFailed(f"the storage redirects (HTTP {status}), which is not followed", None)
    reason = f"HTTP {status}{await _error_code(response)}"
    if status == 429:
        raise TransferFailed(reason, Failure.THROTTLED)
    if status >= 500 or status == 408:
        raise TransferFailed(reason, Failure.FAULTY)
    raise TransferFailed(reason, None, refused=status == 403)


async def _error_code(response: httpx.Response) -> str:
    """Return the code in the storage's page of an error; the rest of it may quote the request."""
    page = bytearray()
    try:
        async for piece in response.aiter_raw():
            page += piece
            if len(page) > _ERROR_LIMIT:
                break
    except httpx.TransportError:
        pass
    found = _ERROR_CODE.search(page)
    return f" {found[1].decode('ascii')}" if found else ""


def _broken(error: httpx.TransportError) -> TransferFailed:
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return TransferFailed(f"the request could not be made ({type(error).__name__})", None)
    if isinstance(error, httpx.ConnectError):  # says what the system or TLS said
        return TransferFailed(f"ConnectError: {error}", Failure.UNSENT)
    return TransferFailed(type(error).__name__, Failure.LOST)
