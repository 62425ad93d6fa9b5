"""One chat whose hours take seconds: the engine, driven by hand, with a service that answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from pydantic_core import from_json

from connect_chat import GetTranscriptResponse, SessionOptions
from connect_chat.engine.commands import (
    Command,
    Grant,
    OpenSocket,
    ReadTranscript,
    RequestConnection,
    SendFrame,
)
from connect_chat.engine.frames import HEARTBEAT, PING
from connect_chat.engine.session import SessionEngine
from tests.benchmarks import script

__all__ = ["INTERVAL", "VirtualChat"]

INTERVAL = 0.1
"""Seconds between two items: the fastest that the service's quota allows."""

_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_SUBSCRIBED = '{"topic":"aws/subscribe","content":{"status":"success","topics":["aws/chat"]}}'
_HEALTHY = '{"topic":"aws/ping","statusCode":200,"statusContent":"OK"}'


class VirtualChat:
    """A session's engine in a chat in which something is said every 100 ms.

    Heartbeats are answered, the connection rotates every hour, and the transcript is read as
    often as the engine wants, all at once and without a delay.

    Attributes:
        received: How many items have been handed out.
        served: Seconds of CPU that the service has taken, which are none of the engine's.
    """

    def __init__(self, options: SessionOptions) -> None:
        self.received = 0
        self.served = 0.0
        self._engine = SessionEngine(
            "participant", options=options, rng=Random(0), participant_id="us"
        )
        self._window = options.reorder_window
        self._now = 0.0
        self._said = 1
        self._link = 0
        self._engine.start(self._now)
        self._carry_out()

    def say(self, texts: Sequence[str]) -> None:
        """Have the next items said, each pushed as one of these texts, in that order."""
        for text in texts:
            self._advance(self._now + INTERVAL)
            self._said += 1
            self._engine.frame_received(self._link, text, self._now)
            self._carry_out()

    def burst(self, texts: Sequence[bytes]) -> None:
        """Have the next items pushed all at once, and take them when they have waited."""
        self._said += len(texts)
        for text in texts:
            self._engine.frame_received(self._link, text, self._now)
        self._carry_out()
        self._advance(self._now + self._window)

    def texts(self, count: int) -> list[str]:
        """Return the texts with which the next items are pushed."""
        frames = script.frames(0, self._said, count)
        return [frame[frame.index(b"{") :].decode() for frame in frames]

    def _advance(self, until: float) -> None:
        while (at := self._engine.wake_at) is not None and at <= until:
            self._now = at
            self._engine.wake(at)
            self._carry_out()
        self._now = until

    def _carry_out(self) -> None:
        engine = self._engine
        while commands := engine.take_commands():
            for command in commands:
                self._do(command)
        while engine.reader.take(self._now) is not None:
            self.received += 1

    def _do(self, command: Command) -> None:
        engine, now = self._engine, self._now
        match command:
            case RequestConnection(request=request):
                engine.connection_granted(request, self._grant(), now)
            case OpenSocket(link=link):
                self._link = link
                engine.socket_opened(link, now)
            case SendFrame(link=link, text=text):
                answer = {HEARTBEAT: HEARTBEAT, PING: _HEALTHY}.get(text, _SUBSCRIBED)
                engine.frame_received(link, answer, now)
            case ReadTranscript(request=request, query=query):
                began = time.process_time()
                spelled = {name.title().replace("_", ""): value for name, value in query.items()}
                body = script.page(0, self._said, spelled)
                self.served += time.process_time() - began
                page = GetTranscriptResponse.of(from_json(body), request_id=None, date=None)
                engine.page_read(request, page.transcript, page.next_token, now)
            case _:
                pass

    def _grant(self) -> Grant:
        service_time = _BEGAN + timedelta(seconds=self._now)
        return Grant(
            url="wss://service/",
            connection_expiry=service_time + timedelta(hours=1),
            connection_token="connection",
            token_expiry=service_time + timedelta(days=1),
            service_time=service_time,
            local_time=service_time,
        )
