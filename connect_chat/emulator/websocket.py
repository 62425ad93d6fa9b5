"""The websocket gateway: upgrades, subscriptions and heartbeats."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from pydantic_core import from_json, to_json
from starlette.types import Receive, Scope, Send

from connect_chat.emulator import frames
from connect_chat.emulator.contact import Participant, Socket
from connect_chat.emulator.faults import (
    ExpireUrls,
    IgnoreSubscription,
    RefuseSubscription,
    RejectUpgrade,
)
from connect_chat.emulator.injection import Faults, Injection
from connect_chat.emulator.line import Line
from connect_chat.emulator.recording import Records
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.service import Service

__all__ = ["Gateway"]

_CHAT_TOPIC = "aws/chat"
_SWITCHING = 101
_FORBIDDEN = 403


class Gateway:
    """The ASGI application behind websocket URLs."""

    def __init__(self, service: Service, faults: Faults, records: Records) -> None:
        self._service = service
        self._faults = faults
        self._records = records

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one websocket until it closes."""
        await receive()  # websocket.connect
        query = parse_qs(scope["query_string"].decode("latin-1"))
        secret = query.get("ticket", [""])[0]
        participant = self._service.tokens.holder(secret)
        status = self._refusal(secret, participant)
        if status is None and participant is not None:
            line = Line(
                participant,
                scope["state"]["connection"],
                clock=self._service.clock,
                faults=self._faults,
                records=self._records,
            )
            try:
                socket = self._service.open_socket(secret, line)
            except Refusal:
                status = _FORBIDDEN
        self._records.add("upgrade", participant, status=status or _SWITCHING)
        if status is not None:
            await _refuse_upgrade(send, status)
            return
        code: int | None = None
        try:
            code = await self._serve(socket, line, receive, send)
        finally:
            self._service.close_socket(socket)
            line.closed(code)

    def _refusal(self, secret: str, participant: Participant | None) -> int | None:
        """Return the status with which an upgrade is refused before it is looked at, if any."""
        if participant is None:
            return _FORBIDDEN
        if self._faults.take(ExpireUrls, whom=participant) is not None:
            with suppress(Refusal):
                self._service.tokens.redeem(secret)
            return _FORBIDDEN
        match self._faults.take(RejectUpgrade, whom=participant):
            case Injection(fault=RejectUpgrade(status=status)):
                return status
        return None

    async def _serve(self, socket: Socket, line: Line, receive: Receive, send: Send) -> int | None:
        """Serve an open websocket; return the code that it is closed with."""
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            if line.close_code is not None:
                await send({"type": "websocket.close", "code": line.close_code})
                return line.close_code
            text = message.get("text") or ""
            line.received(text)
            self._handle(socket, text)
        code: int | None = message.get("code")
        return code

    def _handle(self, socket: Socket, text: str) -> None:
        try:
            message = from_json(text)
        except ValueError:
            message = None
        write = socket.connection.write
        match message:
            case {"topic": "aws/heartbeat"}:
                write(frames.HEARTBEAT)
            case {"topic": "aws/ping"}:
                write(frames.PONG)
            case {"topic": "aws/subscribe"}:
                self._subscribe(socket, message)
            case {"topic": str()}:
                pass  # unknown topics are ignored
            case _:
                write(frames.forbidden())

    def _subscribe(self, socket: Socket, message: Mapping[str, Any]) -> None:
        if self._faults.take(IgnoreSubscription, whom=socket.participant) is not None:
            return
        content = message.get("content")
        topics = content.get("topics") if isinstance(content, dict) else None
        if (
            not isinstance(topics, list)
            or _CHAT_TOPIC not in topics
            or self._faults.take(RefuseSubscription, whom=socket.participant) is not None
        ):
            socket.connection.write(frames.subscribed("failure", topics or []))
            return
        socket.connection.write(frames.subscribed("success", topics))
        socket.subscribed = True
        self._service.join(socket.participant)


async def _refuse_upgrade(send: Send, status: int) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    body = to_json(frames.gateway_refusal())
    await send({"type": "websocket.http.response.body", "body": body})
