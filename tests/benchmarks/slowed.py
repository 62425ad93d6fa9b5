"""A build that is slower on purpose, for seeing that the benchmarks see it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

__all__ = ["VARIABLE", "slow_down", "wanted"]

VARIABLE = "CONNECT_CHAT_BENCHMARKS_SLOWED"
"""The variable of the environment that tells the processes of a run."""

# Seconds of work that do nothing: for a frame, for a call, for a session that is made.
_FRAME, _CALL, _SESSION = 50e-6, 2e-3, 5e-3
_BALLAST = 64 * 1024


def wanted() -> bool:
    """Return whether this process is to be slow."""
    return os.environ.get(VARIABLE) == "1"


def slow_down() -> None:
    """Slow the library down in this process: frames, calls and sessions, which grow heavy, too."""
    from connect_chat import ChatSession
    from connect_chat.engine.session import SessionEngine
    from connect_chat.transport.http import Http

    _delay(SessionEngine, "frame_received", _FRAME)
    _delay(Http, "send", _CALL)
    _delay(ChatSession, "__init__", _SESSION)
    enter = ChatSession.__aenter__

    async def enter_heavily(self: ChatSession) -> ChatSession:
        self._ballast = bytearray(os.urandom(_BALLAST))  # type: ignore[attr-defined]
        return await enter(self)

    ChatSession.__aenter__ = enter_heavily  # type: ignore[method-assign]


def _delay(owner: type, name: str, seconds: float) -> None:
    method: Callable[..., Any] = getattr(owner, name)

    def slowly(*arguments: Any, **options: Any) -> Any:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass
        return method(*arguments, **options)

    setattr(owner, name, slowly)
