"""The websocket gateway: upgrades, subscriptions and heartbeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from pydantic_core import from_json, to_json
from starlette.types import Receive, Scope, Send

from connect_chat.emulator import frames
from connect_chat.emulator.connections import WebSocketConnection
from connect_chat.emulator.contact import Socket
from connect_chat.emulator.refusal import Refusal
from connect_chat.emulator.service import Service

__all__ = ["Gateway"]

_CHAT_TOPIC = "aws/chat"


class Gateway:
    """The ASGI application behind websocket URLs."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one websocket until it closes."""
        connection: WebSocketConnection = scope["state"]["connection"]
        await receive()  # websocket.connect
        query = parse_qs(scope["query_string"].decode("latin-1"))
        try:
            socket = self._service.open_socket(query.get("ticket", [""])[0], connection)
        except Refusal:
            await _refuse_upgrade(send)
            return
        try:
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                if connection.close_code is not None:
                    await send({"type": "websocket.close", "code": connection.close_code})
                    return
                self._handle(socket, message.get("text") or "")
        finally:
            self._service.close_socket(socket)

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
        content = message.get("content")
        topics = content.get("topics") if isinstance(content, dict) else None
        if not isinstance(topics, list) or _CHAT_TOPIC not in topics:
            socket.connection.write(frames.subscribed("failure", topics or []))
            return
        socket.connection.write(frames.subscribed("success", topics))
        socket.subscribed = True
        self._service.join(socket.participant)


async def _refuse_upgrade(send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": 403, "headers": headers})
    body = to_json(frames.gateway_refusal())
    await send({"type": "websocket.http.response.body", "body": body})
