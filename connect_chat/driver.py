"""Carries out what the engine of a session decides: calls, sockets, one timer.

Every input goes the same way: tell the engine, carry out its commands, set the timer for its next
wake-up, and let go on who waits for something that has become true. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from pydantic_core import to_json

from connect_chat.client import ParticipantClient
from connect_chat.engine.commands import (
    CallService,
    CloseSocket,
    Command,
    Forget,
    Grant,
    OpenSocket,
    Outgoing,
    ReadTranscript,
    RequestConnection,
    SendFrame,
    SendReceipt,
    Trace,
    Urgency,
)
from connect_chat.engine.outbox import CallResult
from connect_chat.engine.queues import Priority
from connect_chat.engine.reader import Reader
from connect_chat.engine.session import SessionEngine
from connect_chat.errors import AccessDeniedException, ConnectChatError, NotConnectedError
from connect_chat.items import EVENT_PREFIX, Item
from connect_chat.requests import ConnectionType
from connect_chat.transport.websocket import OpenFailed, Socket, open_socket

__all__ = ["Driver", "TraceHook"]

T = TypeVar("T")

TraceHook = Callable[[Trace], None]

logger = logging.getLogger("connect_chat.session")

_PRIORITY: dict[Urgency, Priority] = {
    "send": Priority.SEND,
    "connect": Priority.CONNECT,
    "reconnect": Priority.RECONNECT,
    "rotate": Priority.ROTATE,
    "history": Priority.HISTORY,
}
_LEVEL = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


class Driver:
    """Runs one session's engine on the running event loop.

    Args:
        engine: What decides.
        client: What calls the service.
        participant_token: The participant's token.
        on_trace: Called with every `Trace` of the engine.

    Attributes:
        on_progress: Called after every step of the engine; must return quickly.
    """

    def __init__(
        self,
        engine: SessionEngine,
        client: ParticipantClient,
        participant_token: str,
        on_trace: TraceHook | None,
    ) -> None:
        self.engine = engine
        self._client = client
        # Reading what was missed waits for its turn as long as the queue is.
        self._patient = client.without_deadline()
        self._participant_token = participant_token
        self._on_trace = on_trace
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = math.inf
        # What is under way: calls by their request, opening sockets by their link.
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        # Those, and the ones that were cancelled and are not done yet.
        self._alive: set[asyncio.Task[None]] = set()
        self._sockets: dict[int, Socket] = {}
        self._closing: set[Socket] = set()
        self._results: dict[int, asyncio.Future[CallResult]] = {}
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}
        self._busy = False
        self.on_progress: Callable[[], None] | None = None

    # For the session.

    def tell(self, step: Callable[[float], T]) -> T:
        """Tell the engine something, given the time, and carry out what it decides."""
        result = step(self._loop.time())
        self._carry_out()
        return result

    def take(self, reader: Reader) -> Item | None:
        """Return a reader's next item, or None if there is none for now."""
        engine, now = self.engine, self._loop.time()
        item = reader.take(now)
        if item is not None and reader is engine.reader:
            engine.handed_out(item, now)
        if engine.commands or reader.behind:
            # Nothing else can have changed: an item that is there costs no step.
            self._carry_out()
        return item

    def time(self) -> float:
        """Return the engine's time."""
        return self._loop.time()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the engine has made a condition true."""
        if condition():
            return
        future = self._loop.create_future()
        self._waiting[future] = condition
        try:
            await future
        finally:
            del self._waiting[future]

    async def send(self, outgoing: Outgoing) -> CallResult:
        """Make a call in its turn, and return how it ended.

        Cancelled, a call that has not begun is taken back; one that has goes on.
        """
        call = self.tell(partial(self.engine.send, outgoing))
        future: asyncio.Future[CallResult] = self._loop.create_future()
        self._results[call] = future
        try:
            return await future
        except asyncio.CancelledError:
            self.engine.withdraw(call)
            raise
        finally:
            del self._results[call]

    async def call(self, call: Callable[[str], Awaitable[T]]) -> T:
        """Make a call out of turn, with the connection token; renew that once if it is refused."""
        for renewed in (False, True):
            token = await self._current_token()
            try:
                return await call(token)
            except AccessDeniedException:
                if renewed or self.engine.over:
                    raise
                self.tell(partial(self.engine.token_refused, token))
        raise AssertionError("unreachable")

    async def _current_token(self) -> str:
        await self.until(lambda: self.engine.token is not None or self.engine.over)
        self.engine.check_open()
        if self.engine.token is None:
            raise NotConnectedError("the chat is not connected yet")
        return self.engine.token

    async def aclose(self) -> None:
        """Close sockets and calls, and wait until nothing of them is left.

        Cancelled, it does without the goodbyes of websockets, which may take a second.
        """
        self.tell(self.engine.close)
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._wakes_at = None, math.inf
        for task in self._alive:
            task.cancel()
        try:
            await self._until_nothing_is_left()
        except asyncio.CancelledError:
            for socket in self._closing:
                socket.abort()
            await self._until_nothing_is_left()
            raise

    async def _until_nothing_is_left(self) -> None:
        while left := {
            *self._alive,
            *(socket.lost for socket in self._closing),
        }:
            await asyncio.wait(left)

    # The loop.

    def _carry_out(self) -> None:
        """Carry out commands until there are none, then set the timer and wake who waits."""
        if self._busy:
            return
        engine = self.engine
        if engine.commands:
            self._busy = True
            try:
                while engine.commands:
                    for command in engine.take_commands():
                        self._do(command)
                    # What is sent in one step goes out in one piece.
                    for socket in self._sockets.values():
                        socket.flush()
            finally:
                self._busy = False
        for result in engine.take_results():
            self._settle(result)
        if self._waiting:
            for future, condition in self._waiting.items():
                if not future.done() and condition():
                    future.set_result(None)
        if self.on_progress is not None:
            self.on_progress()
        at = engine.wake_at
        if at is not None and at < self._wakes_at:
            self._set_timer(at)

    def _settle(self, result: CallResult) -> None:
        future = self._results.get(result.call)
        if future is not None and not future.done():
            future.set_result(result)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = at
        self._timer = self._loop.call_at(at, self._wake, at)

    def _wake(self, at: float) -> None:
        self._timer, self._wakes_at = None, math.inf
        # A loop's timer may fire a clock tick early; what is due at ``at`` is due now.
        self.engine.wake(max(at, self._loop.time()))
        self._carry_out()

    def _do(self, command: Command) -> None:
        match command:
            case SendFrame(link=link, text=text):
                if link in self._sockets:
                    self._sockets[link].send_text(text)
            case Trace():
                self._trace(command)
            case RequestConnection(request=number):
                self._spawn(("call", number), self._request_connection(command))
            case ReadTranscript(request=number):
                self._spawn(("call", number), self._read_transcript(command))
            case SendReceipt(request=number):
                self._spawn(("call", number), self._send_receipt(command))
            case CallService(call=number):
                self._spawn(("call", number), self._call_service(command))
            case Forget(request=request):
                self._cancel(("call", request))
            case OpenSocket(link=link):
                self._spawn(("open", link), self._open(command))
            case CloseSocket(link=link):
                self._cancel(("open", link))
                self._close(link)

    def _spawn(self, key: tuple[str, int], work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks[key] = task
        self._alive.add(task)
        task.add_done_callback(partial(self._done, key))

    def _cancel(self, key: tuple[str, int]) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    def _done(self, key: tuple[str, int], task: asyncio.Task[None]) -> None:
        self._alive.discard(task)
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            # A defect of ours: it must surface where the user waits, not in a log.
            self.tell(partial(self.engine.crash, error))

    # Calls.

    async def _request_connection(self, command: RequestConnection) -> None:
        types: tuple[ConnectionType, ...] = ("CONNECTION_CREDENTIALS",)
        if command.websocket:
            types = ("WEBSOCKET", *types)
        # Reconnecting waits, too, but a rotation is of no use once its socket is gone.
        patient = self._client.without_deadline(
            turn_by=command.deadline, on_wait=partial(self._connection_waits, command.request)
        )
        try:
            connection = await patient.create_participant_connection(
                self._participant_token,
                types=types,
                connect_participant=command.connect_participant or None,
                priority=_PRIORITY[command.urgency],
            )
        except ConnectChatError as error:
            self.tell(partial(self.engine.connection_refused, command.request, error))
            return
        credentials, websocket = connection.connection_credentials, connection.websocket
        if credentials is None or credentials.connection_token is None:
            nothing = NotConnectedError("the service gave no connection token")
            self.tell(partial(self.engine.connection_refused, command.request, nothing))
            return
        grant = Grant(
            url=websocket.url if websocket else None,
            connection_expiry=websocket.connection_expiry if websocket else None,
            connection_token=credentials.connection_token,
            token_expiry=credentials.expiry,
            service_time=connection.service_time,
            local_time=datetime.now(UTC),
        )
        self.tell(partial(self.engine.connection_granted, command.request, grant))

    def _connection_waits(self, request: int, waiting: bool) -> None:
        engine = self.engine
        self.tell(
            partial(engine.connection_queued if waiting else engine.connection_turn_came, request)
        )

    async def _read_transcript(self, command: ReadTranscript) -> None:
        try:
            page = await self._patient.get_transcript(
                command.connection_token, priority=_PRIORITY[command.urgency], **command.query
            )
        except ConnectChatError as error:
            self.tell(partial(self.engine.page_failed, command.request, error))
            return
        self.tell(partial(self.engine.page_read, command.request, page.transcript, page.next_token))

    async def _call_service(self, command: CallService) -> None:
        said = command.outgoing
        item_id: str | None = None
        absolute_time: datetime | None = None
        try:
            if said.operation == "DisconnectParticipant":
                await self._client.disconnect_participant(
                    command.connection_token, client_token=said.client_token
                )
            else:
                answer = await self._client.send_message(
                    command.connection_token,
                    said.content,
                    content_type=said.content_type,
                    client_token=said.client_token,
                )
                item_id, absolute_time = answer.id, answer.absolute_time
        except ConnectChatError as error:
            self.tell(partial(self.engine.call_failed, command.call, error))
            return
        self.tell(partial(self.engine.call_succeeded, command.call, item_id, absolute_time))

    async def _send_receipt(self, command: SendReceipt) -> None:
        content = to_json({"messageId": command.message_id}).decode()
        try:
            await self.call(
                lambda token: self._client.send_event(
                    token,
                    f"{EVENT_PREFIX}message.{command.kind}",
                    content=content,
                    priority=Priority.HISTORY,
                )
            )
        except ConnectChatError as error:
            self.tell(partial(self.engine.receipt_failed, error))

    # Sockets.

    async def _open(self, command: OpenSocket) -> None:
        link = command.link
        try:
            socket = await open_socket(
                command.url,
                ssl_context=lambda: self._client.ssl_context,
                timeout=command.timeout,
                user_agent=self._client.user_agent,
            )
        except OpenFailed as error:
            failed = partial(
                self.engine.socket_failed, spent=error.spent, distrusted=error.distrusted
            )
            self.tell(partial(failed, link, error.reason))
            return
        self._sockets[link] = socket
        self.tell(partial(self.engine.socket_opened, link))
        socket.attach(partial(self._texts, link), partial(self._socket_closed, link))

    def _texts(self, link: int, texts: Sequence[bytes]) -> None:
        engine, now = self.engine, self._loop.time()
        try:
            for text in texts:
                engine.frame_received(link, text, now)
                if engine.commands:
                    self._carry_out()
            self._carry_out()
        except Exception as error:  # noqa: BLE001 - a defect of ours, as in _done
            self.tell(partial(self.engine.crash, error))

    def _socket_closed(self, link: int, code: int | None) -> None:
        self._close(link)
        self.tell(partial(self.engine.socket_closed, link, code))

    def _close(self, link: int) -> None:
        socket = self._sockets.pop(link, None)
        if socket is None:
            return
        socket.start_closing()
        if not socket.lost.done():
            self._closing.add(socket)
            socket.lost.add_done_callback(lambda _: self._closing.discard(socket))

    def _trace(self, trace: Trace) -> None:
        level = _LEVEL[trace.level]
        if logger.isEnabledFor(level):
            facts = " ".join(f"{name}={value}" for name, value in trace.facts.items())
            contact = self.engine.contact_id or "not known yet"
            logger.log(level, "[contact %s] %s %s", contact, trace.event, facts)
        if self._on_trace is not None:
            try:
                self._on_trace(trace)
            except Exception:
                logger.exception("on_trace failed; the session goes on")
