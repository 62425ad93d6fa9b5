"""Opening a TCP connection to whichever of a host's addresses answers first (RFC 8305).

Asyncio's own way of doing that, when it is cancelled, leaves tasks and sockets behind in Python
3.11 to 3.13.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import TypeVar

__all__ = ["connect"]

P = TypeVar("P", bound=asyncio.Protocol)

# When the next address is tried beside one that has not answered yet, in seconds.
_NEXT_AFTER = 0.25


async def connect(protocol_factory: Callable[[], P], host: str, port: int) -> P:
    """Connect to a host, and return the connection's protocol.

    Args:
        protocol_factory: Makes the protocol.
        host: A name or an address.
        port: The port.

    Raises:
        OSError: No address could be connected to; the last one's error.
    """
    loop = asyncio.get_running_loop()
    addresses = await _resolve(host, port)
    if len(addresses) == 1:
        _, protocol = await loop.create_connection(protocol_factory, addresses[0], port)
        return protocol
    attempts: set[asyncio.Task[tuple[asyncio.Transport, P]]] = set()
    error: BaseException = OSError(f"no address of {host} can be connected to")
    try:
        while addresses or attempts:
            if addresses:
                address = addresses.pop(0)
                connecting = loop.create_connection(protocol_factory, address, port)
                attempts.add(loop.create_task(connecting))
            done, _ = await asyncio.wait(
                attempts,
                timeout=_NEXT_AFTER if addresses else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for ended in done:
                attempts.discard(ended)
                failure = ended.exception()
                if failure is None:
                    return ended.result()[1]
                error = failure
        raise error
    finally:
        # They end in the loop's next turn.
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_close)


async def _resolve(host: str, port: int) -> list[str]:
    """Return a host's addresses in the system's order, but the families in turns."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    first = [address[0] for family, *_, address in found if family == found[0][0]]
    other = [address[0] for family, *_, address in found if family != found[0][0]]
    turns = chain.from_iterable(zip_longest(first, other))
    return [str(address) for address in turns if address is not None]


def _close(attempt: asyncio.Task[tuple[asyncio.Transport, P]]) -> None:
    """Close a connection that was not needed any more."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result()[0].abort()
