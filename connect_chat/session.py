"""One participant in one chat."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self, TypeVar, cast, overload
from uuid import uuid4

from pydantic_core import to_json

from connect_chat import requests
from connect_chat.attachments import AttachmentLike, Attachments, SentAttachment
from connect_chat.client import ParticipantClient
from connect_chat.driver import Driver, TraceHook
from connect_chat.engine.commands import Outgoing
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.outbox import CallResult
from connect_chat.engine.reader import Reader
from connect_chat.engine.sent import SentMessages, SentStatus
from connect_chat.engine.session import SessionEngine, SessionState
from connect_chat.engine.snapshot import Snapshot, participant_key
from connect_chat.errors import (
    ChatEndedError,
    InvalidRequestError,
    NotConnectedError,
    ServiceError,
    ServiceUnreachableError,
)
from connect_chat.files import AsyncWritable, SourceLike, TargetLike
from connect_chat.history import HistoryOrder, walk
from connect_chat.interactive import InteractiveAnswer
from connect_chat.items import (
    EVENT_PREFIX,
    AuthenticationInitiated,
    InteractiveMessage,
    Item,
    Message,
    Typing,
)
from connect_chat.shapes import DescribeViewResponse, GetAuthenticationUrlResponse
from connect_chat.transfers import Progress

__all__ = ["ChatSession", "ItemReader", "SentMessage"]

I = TypeVar("I", bound=Item)  # noqa: E741

Wanted = type[I] | tuple[type[I], ...] | Callable[[Item], bool]

# One for all sessions of the process, since its state is as large as the rest of a session's.
_JITTER = Random()  # noqa: S311 - no secret
_TYPING = EVENT_PREFIX + "typing"
_TYPING_INTERVAL = 10.0


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that the service has taken.

    Attributes:
        id: Its Id, which its item carries, too.
        absolute_time: When the service took it, an aware datetime.
        client_token: The idempotency token that it was sent with.
    """

    id: str
    absolute_time: datetime | None
    client_token: str
    _driver: Driver = field(repr=False, compare=False)

    @property
    def status(self) -> SentStatus | None:
        """``"sent"``, ``"delivered"`` or ``"read"``, as far as others' receipts have told.

        None once it is not remembered any more; a session remembers its last 256 messages.
        """
        return self._driver.engine.sent.status(self.id)

    async def wait_for(
        self, status: Literal["delivered", "read"], timeout: float | None = None
    ) -> None:
        """Wait until somebody has got or read it. A later message's receipt tells that, too.

        Args:
            status: What to wait for; ``"read"`` counts as ``"delivered"``.
            timeout: How long, in seconds; None for as long as it takes.

        Raises:
            TimeoutError: It did not happen in time. Receipts are best effort, so wait bounded.
            ChatEndedError: The chat has ended without it.
            NotConnectedError: The session was closed or has failed.
        """
        engine = self._driver.engine
        async with asyncio.timeout(timeout):
            await self._driver.until(
                lambda: SentMessages.reached(self.status, status) or engine.over
            )
        if not SentMessages.reached(self.status, status):
            engine.check_open()


class ItemReader:
    """The items of a chat, from some moment on: each once, in order, at this reader's pace.

    Iterate over it, or call `receive`. Several readers of one chat are independent.
    """

    def __init__(self, driver: Callable[[], Driver], reader: Reader) -> None:
        self._driver = driver
        self._reader = reader

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """Return the next item; the iteration ends after the `ChatEnded`.

        Raises:
            NotConnectedError: The chat could not be reconnected, or the session was closed.
        """
        item = self.receive_nowait() or await self._next()
        if item is None:
            raise StopAsyncIteration
        return item

    async def receive(self, timeout: float | None = None) -> Item:
        """Return the next item.

        Args:
            timeout: How long to wait, in seconds; None for as long as it takes.

        Raises:
            TimeoutError: There was none in time.
            ChatEndedError: The `ChatEnded` has already been returned.
            NotConnectedError: The chat could not be reconnected, or the session was closed.
        """
        async with asyncio.timeout(timeout):
            item = await self._next()
        if item is None:
            raise ChatEndedError("the chat has ended, and everything in it has been received")
        return item

    @property
    def ready(self) -> bool:
        """Whether `receive` would return, or raise, at once."""
        reader = self._reader
        return reader.ready or reader.failure is not None

    def receive_nowait(self) -> Item | None:
        """Return the next item, or None if there is none for now.

        Raises:
            NotConnectedError: The chat could not be reconnected, or the session was closed.
        """
        driver, reader = self._driver(), self._reader
        item = driver.take(reader)
        if item is None and reader.failure is not None and not reader.finished:
            raise reader.failure
        return item

    def put_back(self, item: Item) -> None:
        """Take back the item that was received last, as not handled: it is received again."""
        self._reader.put_back(item)

    @overload
    async def wait_for(self, wanted: type[I], timeout: float | None = None) -> I: ...

    @overload
    async def wait_for(
        self, wanted: tuple[type[I], ...] | Callable[[Item], bool], timeout: float | None = None
    ) -> Item: ...

    async def wait_for(self, wanted: Wanted[Any], timeout: float | None = None) -> Item:
        """Return the next item of a type, or the next that a predicate holds for.

        It is taken out of the reader; what stands before it stays to be received.

        Args:
            wanted: A type of item, a tuple of types, or a function from an item to a bool.
            timeout: How long to wait, in seconds; None for as long as it takes.

        Raises:
            TimeoutError: There was none in time.
            ChatEndedError: The chat has ended without one.
            NotConnectedError: As for `receive`; also if so many items wait to be received that
                no more fit in.
        """
        matches = partial(_is_a, wanted) if isinstance(wanted, type | tuple) else wanted
        driver, reader = self._driver(), self._reader
        async with asyncio.timeout(timeout):
            while True:
                seen = reader.pushes
                found = driver.tell(partial(reader.find, matches))
                if found is not None:
                    driver.tell(partial(driver.engine.handed_out, found))
                    return found
                if reader.failure is not None:
                    raise reader.failure
                if driver.engine.over:
                    raise ChatEndedError("the chat has ended without what was waited for")
                if reader.full:
                    raise NotConnectedError(
                        "too many items wait to be received: iterate over the chat, or raise "
                        "SessionOptions.buffer"
                    )
                await driver.until(
                    lambda seen=seen: (
                        reader.pushes != seen  # type: ignore[misc]
                        or reader.failure is not None
                        or driver.engine.over
                    )
                )

    async def _next(self) -> Item | None:
        driver, reader = self._driver(), self._reader
        while True:
            item = self.receive_nowait()
            if item is not None or reader.finished:
                return item
            await driver.until(lambda: self.ready)


class ChatSession(ItemReader):
    """One participant's chat, held open: every item once, in order, whatever happens to sockets.

    ::

        async with ChatSession(participant_token, client=client) as chat:
            await chat.send("Hello")
            async for item in chat:
                ...

    On entry it is connected and subscribed. From then on it rotates its connection before that
    expires, replaces it when it breaks or goes silent, and reads what was missed from the
    transcript. Leaving the ``async with`` closes our end; the participant stays in the chat
    (`disconnect` leaves it).

    *Promised*, for everything that the transcript keeps: each item is delivered once and, unless
    marked ``late``, in the order of its AbsoluteTime, from the first item of the contact on. An
    item is late if later ones had to go out before it was found; see `SessionOptions`. What the
    transcript does not keep (typing, receipts, idle events) is delivered if it arrives. Our own
    messages, files and typing are not delivered, unless ``own`` is True. The last item is a
    `ChatEnded`.

    The session may be used from any task of its event loop. Iterating over it from two tasks
    divides the items between them; for each task to see them all, use `subscribe`.

    Args:
        participant_token: What StartChatContact or CreateParticipant gave. Kept secret.
        client: What calls the service; share one per Connect instance. None makes one for this
            session, of ``region`` and ``endpoint_url``, and closes it with it.
        region: See `ParticipantClient`.
        endpoint_url: See `ParticipantClient`.
        participant_id: Our participant, from where the token is from. If None it is learnt from
            our first message.
        participant_role: Our role, for example ``"AGENT"``; a transfer ends an agent's or a
            supervisor's part. Learnt likewise.
        contact_id: The contact, if known. Learnt from its first item otherwise.
        own: Whether our own messages are delivered, too, with ``from_me``.
        from_start: Whether what was said before we connected is delivered.
        updates: Whether a streamed bot answer is also delivered as it grows, as `MessageUpdate`
            items; its complete `Message` is delivered in either case.
        receipts: ``"manual"``, for `mark_delivered` and `mark_read`, or ``"auto"``: a message of
            somebody else counts as delivered when it arrives, as read when it is received here.
        transport: ``"websocket"``, or ``"polling"`` for networks that do not let websockets
            through: the transcript is read again and again then, every second while something is
            said and less often otherwise, and what it does not keep is not delivered.
        options: Times and bounds.
        on_trace: Called with what happens to the connection, see `Trace`; must return quickly.
    """

    def __init__(
        self,
        participant_token: str,
        *,
        client: ParticipantClient | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        participant_id: str | None = None,
        participant_role: str | None = None,
        contact_id: str | None = None,
        own: bool = False,
        from_start: bool = True,
        updates: bool = False,
        receipts: Literal["manual", "auto"] = "manual",
        transport: Literal["websocket", "polling"] = "websocket",
        options: SessionOptions | None = None,
        on_trace: TraceHook | None = None,
        _snapshot: Snapshot | None = None,
    ) -> None:
        # Spelled to be checked: a bad token should raise here rather than from a task.
        requests.create_participant_connection(
            participant_token, types=("WEBSOCKET",), connect_participant=None
        )
        self._own_client = (
            ParticipantClient(region, endpoint_url=endpoint_url) if client is None else None
        )
        self._client = client or cast("ParticipantClient", self._own_client)
        self._participant_token = participant_token
        self._on_trace = on_trace
        self._engine = SessionEngine(
            participant_token,
            options=options or SessionOptions(),
            rng=_JITTER,
            participant_id=participant_id,
            participant_role=participant_role,
            contact_id=contact_id,
            own=own,
            from_start=from_start,
            updates=updates,
            auto_receipts=receipts == "auto",
            polling=transport == "polling",
            snapshot=_snapshot,
        )
        self._running: Driver | None = None
        self._closed: asyncio.Future[None] | None = None
        self._typed_at = float("-inf")
        super().__init__(self._drive, self._engine.reader)

    @classmethod
    def resume(
        cls,
        snapshot: Snapshot | str | bytes,
        *,
        client: ParticipantClient | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        own: bool = False,
        updates: bool = False,
        receipts: Literal["manual", "auto"] = "manual",
        transport: Literal["websocket", "polling"] = "websocket",
        options: SessionOptions | None = None,
        on_trace: TraceHook | None = None,
    ) -> Self:
        """Return a session that goes on where another one stood, in whatever process.

        What was received from that one before the snapshot was taken is not delivered again;
        everything else is. If the chat has ended meanwhile, what can still be read is delivered,
        and then a `ChatEnded`.

        Args:
            snapshot: From `snapshot`, or what its ``dump`` wrote.
            client: See the class, as for the others.
            region: See the class.
            endpoint_url: See the class.
            own: See the class.
            updates: See the class.
            receipts: See the class.
            transport: See the class.
            options: See the class.
            on_trace: See the class.

        Raises:
            ValueError: ``snapshot`` is no snapshot.
        """
        if not isinstance(snapshot, Snapshot):
            snapshot = Snapshot.load(snapshot)
        return cls(
            snapshot.participant_token.get_secret_value(),
            client=client,
            region=region,
            endpoint_url=endpoint_url,
            own=own,
            updates=updates,
            receipts=receipts,
            transport=transport,
            options=options,
            on_trace=on_trace,
            _snapshot=snapshot,
        )

    def __repr__(self) -> str:
        return f"<ChatSession contact={self.contact_id or '?'} {self.state}>"

    async def __aenter__(self) -> Self:
        """Connect and subscribe.

        Raises:
            AccessDeniedException: The token is not valid or spent, or the chat has ended.
            ServiceError: The service refused otherwise.
            NotConnectedError: It did not work within ``SessionOptions.connect_timeout``, or it
                cannot work, since the server's certificate is not trusted.
        """
        if self._running is not None:
            raise NotConnectedError("a ChatSession is entered once; make or resume another one")
        driver = self._running = Driver(
            self._engine, self._client, self._participant_token, self._on_trace
        )
        try:
            driver.tell(self._engine.start)
            await driver.until(lambda: self._engine.state is not SessionState.CONNECTING)
            if self._engine.error is not None:
                raise self._engine.error
            if self._engine.state is SessionState.CLOSED:
                raise NotConnectedError("the session was closed while it was connecting")
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close our end: sockets, calls, timers. The participant stays in the chat. Idempotent."""
        if self._closed is not None:
            await asyncio.wait([self._closed])
            return
        self._closed = asyncio.get_running_loop().create_future()
        try:
            if self._running is not None:
                await self._running.aclose()
        finally:
            self._closed.set_result(None)
            if self._own_client is not None:
                await self._own_client.aclose()

    # For a hub.

    @property
    def key(self) -> str:
        """What identifies the participant, and gives away nothing: a hash of its token."""
        return participant_key(self._participant_token)

    def on_progress(self, call: Callable[[], None]) -> None:
        """Have a function called whenever the session may have become `ready`."""
        self._drive().on_progress = call

    async def contact_known(self, timeout: float = 10.0) -> None:
        """Wait until the contact is known, which its first item tells; at most ``timeout`` s."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._drive().until(lambda: self.contact_id is not None or self._engine.over)

    # What is known.

    @property
    def state(self) -> SessionState:
        """``"new"``, ``"connecting"``, ``"connected"``, ``"reconnecting"``, ``"ended"``,
        ``"failed"`` or ``"closed"``."""  # noqa: D205, D209
        return self._engine.state

    @property
    def contact_id(self) -> str | None:
        """The contact, once an item has told it."""
        return self._engine.contact_id

    @property
    def participant_id(self) -> str | None:
        """Our participant, if it was given or once our first message has told it."""
        return self._engine.participant_id

    @property
    def connected_at(self) -> datetime | None:
        """Since when the present connection has been live, an aware datetime; None without one."""
        at = self._engine.connected_at
        if at is None or self._running is None:
            return None
        return datetime.now(UTC) - timedelta(seconds=self._running.time() - at)

    @property
    def stats(self) -> dict[str, int]:
        """Counters since the session began.

        ``items`` let through, ``duplicates`` dropped, ``late`` ones, ``bad_frames``,
        ``connections`` asked for, ``rotations``, ``gaps`` opened and ``recoveries`` that closed
        one (the first is the beginning of the chat, which is read from the transcript; each takes
        a while to be sure that it is complete), and ``catchups`` of slow readers.
        """
        return self._engine.counters

    def snapshot(self) -> Snapshot:
        """Return where this session stands, for `resume` in another process.

        What has been received from the session itself (not from its `subscribe` readers) counts
        as handled. So take it after handling an item: what is received after that is delivered
        again, and nothing is missing. Works in every state, also after a failure.
        """
        return self._engine.snapshot()

    # Talking.

    async def send(
        self, content: str, *, content_type: str = "text/plain", client_token: str | None = None
    ) -> SentMessage:
        """Say something, after everything that was sent before it.

        Cancelled while it waits for its turn, it is not sent. Cancelled while it is under way,
        it may or may not have been said, and what is sent next still comes after it; send again
        with the same ``client_token`` to be sure without saying it twice.

        Args:
            content: ``text/plain`` and ``text/markdown``: 1 to 1,024 characters;
                ``application/json``: 1 to 12,000; an interactive response: 1 to 12,288.
            content_type: One of those.
            client_token: Identifies this message: it is said once however often it is sent with
                it. Up to 500 characters; None makes one.

        Raises:
            InvalidContentError: The content breaks a limit; nothing was sent.
            ChatEndedError: The chat is over.
            NotConnectedError: The session is closed or has failed.
            ServiceError: The service refused.
            ServiceUnreachableError: There was no answer: it may or may not have been said.
        """
        token = client_token or str(uuid4())
        requests.send_message("-", content, content_type=content_type, client_token=token)
        result = await self._call(Outgoing("SendMessage", content, content_type, token))
        # Others see us stop typing when we say something, so typing may be shown again at once.
        self._typed_at = float("-inf")
        return SentMessage(result.item_id or "", result.absolute_time, token, self._drive())

    async def send_markdown(self, content: str, *, client_token: str | None = None) -> SentMessage:
        """Say something in Markdown, 1 to 1,024 characters. See `send`."""
        return await self.send(content, content_type="text/markdown", client_token=client_token)

    async def send_json(self, value: object, *, client_token: str | None = None) -> SentMessage:
        """Send a value as ``application/json``, up to 12,000 characters of JSON. See `send`.

        Args:
            value: Anything that JSON can hold, pydantic models included.
            client_token: See `send`.
        """
        content = to_json(value).decode()
        return await self.send(content, content_type="application/json", client_token=client_token)

    async def reply(
        self, answer: InteractiveAnswer, *, client_token: str | None = None
    ) -> SentMessage:
        """Answer an interactive message. See `send`.

        ::

            await chat.reply(message.choose("Apple"))

        Args:
            answer: What `InteractiveMessage.choose` and its neighbours return.
            client_token: See `send`.
        """
        return await self.send(
            answer.content, content_type=answer.content_type, client_token=client_token
        )

    async def ask(self, content: str, *, timeout: float | None = None) -> Message:
        """Say something and return the next message of somebody else.

        That message is taken out of the iteration; everything else stays in it.

        Args:
            content: 1 to 1,024 characters.
            timeout: How long to wait for the answer, in seconds; None for as long as it takes.

        Raises:
            TimeoutError: Nobody answered in time. The question has been asked.
            ChatEndedError: The chat is over or ended without an answer.
            ServiceError: As for `send`, and its other errors.
        """
        sent = await self.send(content)

        def answers(item: Item) -> bool:
            return (
                isinstance(item, Message)
                and not item.from_me
                and not _before(item.absolute_time, sent.absolute_time)
            )

        return cast("Message", await self.wait_for(answers, timeout))

    async def typing(self) -> None:
        """Show the others that we are typing, at most every 10 s; calls in between do nothing.

        A passing trouble of the service is logged and does not raise.

        Raises:
            ChatEndedError: The chat is over.
            NotConnectedError: The session is closed or has failed.
        """
        driver = self._drive()
        self._engine.check_open()
        now = driver.time()
        if now - self._typed_at < _TYPING_INTERVAL:
            return
        self._typed_at = now
        driver.tell(self._engine.typing_begun)
        item_id: str | None = None
        try:
            with contextlib.suppress(ServiceError, ServiceUnreachableError):
                sent = await driver.call(lambda token: self._client.send_event(token, _TYPING))
                item_id = sent.id
        finally:
            driver.tell(partial(self._engine.typing_ended, item_id))

    @contextlib.asynccontextmanager
    async def typing_while(self) -> AsyncIterator[None]:
        """Show the others that we are typing for as long as the block runs.

        ::

            async with chat.typing_while():
                answer = await think(item)
            await chat.send(answer)

        It ends with the block, whether that returns, raises or is cancelled.
        """

        async def keep_typing() -> None:
            with contextlib.suppress(ChatEndedError, NotConnectedError):
                while True:
                    await self.typing()
                    await asyncio.sleep(_TYPING_INTERVAL)

        task = asyncio.create_task(keep_typing())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    @property
    def who_is_typing(self) -> tuple[Typing, ...]:
        """The latest `Typing` of each of the others who is typing now; it expires by itself."""
        return self._engine.presence.typing(self._drive().time())

    async def mark_delivered(self, item: Item) -> None:
        """Tell the others that a message has arrived. It stands for the ones before it, too.

        The receipt is held for 300 ms, in case the message is read, and at most one goes out per
        5 s; see `SessionOptions`. None is repeated, or sent after the end. Never raises for a
        receipt's sake: they are best effort.
        """
        self._drive().tell(partial(self._engine.mark, "delivered", item))

    async def mark_read(self, item: Item) -> None:
        """Tell the others that a message has been read. See `mark_delivered`; sent at once."""
        self._drive().tell(partial(self._engine.mark, "read", item))

    async def disconnect(self) -> None:
        """Leave the chat, after everything that was sent before.

        What the disconnect flow still says is delivered; then comes the `ChatEnded`, so go on
        iterating until that. A chat that is over already is fine.

        Raises:
            NotConnectedError: The session is closed or has failed.
            ServiceError: The service refused.
            ServiceUnreachableError: There was no answer.
        """
        with contextlib.suppress(ChatEndedError):
            await self._call(Outgoing("DisconnectParticipant", client_token=str(uuid4())))

    # Views and signing in.

    async def describe_view(self, view: InteractiveMessage | str) -> DescribeViewResponse:
        """Get the view that a message shows.

        Args:
            view: The message, or its ``view_token``.

        Raises:
            InvalidRequestError: The message is no view.
            ResourceNotFoundException: There is no such view.
            ServiceError: The service refused otherwise.
            ServiceUnreachableError: There was no answer.
        """
        token = view if isinstance(view, str) else view.view_token
        if token is None:
            raise InvalidRequestError("view", "a message with a view_token")
        return await self._drive().call(
            lambda connection: self._client.describe_view(connection, token)
        )

    async def get_authentication_url(
        self, asked: AuthenticationInitiated | str | None = None, *, redirect_uri: str
    ) -> GetAuthenticationUrlResponse:
        """Learn where the customer signs in. Works for a minute after `AuthenticationInitiated`.

        Args:
            asked: The `AuthenticationInitiated`, or its ``session_id``; None for the last one
                that was delivered.
            redirect_uri: Where the customer goes then, 1 to 1,024 characters.

        Raises:
            InvalidRequestError: The event names no session.
            ServiceError: The service refused, for example because the minute is over.
            ServiceUnreachableError: There was no answer.
        """
        session_id = _session_id(asked or self._engine.authentication)
        return await self._drive().call(
            lambda connection: self._client.get_authentication_url(
                connection, session_id=session_id, redirect_uri=redirect_uri
            )
        )

    async def cancel_authentication(
        self, asked: AuthenticationInitiated | str | None = None
    ) -> None:
        """Cancel a sign-in.

        Args:
            asked: The `AuthenticationInitiated`, or its ``session_id``; None for the last one
                that was delivered.

        Raises:
            InvalidRequestError: The event names no session.
            ServiceError: The service refused.
            ServiceUnreachableError: There was no answer.
        """
        session_id = _session_id(asked or self._engine.authentication)
        await self._drive().call(
            lambda connection: self._client.cancel_participant_authentication(
                connection, session_id=session_id
            )
        )

    # Reading.

    @contextlib.asynccontextmanager
    async def subscribe(self) -> AsyncIterator[ItemReader]:
        """Read the same chat a second time, from now on.

        ::

            async with chat.subscribe() as items:
                async for item in items:
                    ...
        """
        reader = self._engine.open_reader()
        try:
            yield ItemReader(self._drive, reader)
        finally:
            self._drive().tell(partial(self._engine.close_reader, reader))

    # Files and history.

    async def send_attachment(
        self,
        source: SourceLike,
        *,
        name: str | None = None,
        content_type: str | None = None,
        size: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = 300.0,
        wait: float = 0.0,
        client_token: str | None = None,
    ) -> SentAttachment:
        """Send a file. It is streamed, so that it takes little memory whatever its size.

        Everybody gets it at once, when all of it is there, and nobody gets anything if it fails.
        An upload that breaks is begun anew, if the source can be read again.

        Args:
            source: A path; bytes; a binary file, which is read from where it stands and stays
                open; a stream with a coroutine ``read``, or an asynchronous iterator of bytes.
            name: The file's name, 1 to 256 characters; by default the source's.
            content_type: Its MIME type, 1 to 255 characters; by default the one that its name
                stands for. One that chats do not carry by default is warned of in the log.
            size: Its size in bytes, needed if the source cannot tell it: streams and iterators.
            progress: Called, or awaited, with the bytes sent so far and the bytes altogether;
                they fall back if the upload is begun anew. What it raises ends the upload.
            timeout: Seconds that the upload may take; None for as long as it takes.
            wait: Seconds to wait for the outcome of the service's scan, after that.
            client_token: Identifies this sending: it happens once however often it is called
                with it. 1 to 500 characters; None makes one.

        Raises:
            InvalidRequestError: The size, the name or the type breaks a limit; nothing was sent.
            AttachmentError: The chat has too many files, the storage does not take the file, or
                the source did not hold what it should.
            TimeoutError: The upload took too long.
            OSError: The source cannot be read.
            ServiceQuotaExceededException: The service's own limits are lower.
            ChatEndedError: The chat is over.
            NotConnectedError: The session is closed or has failed.
            ServiceError: The service refused.
            ServiceUnreachableError: There was no answer.
        """
        return await Attachments(self._drive(), self._client).send(
            source,
            name=name,
            content_type=content_type,
            size=size,
            progress=progress,
            timeout=timeout,
            wait=wait,
            client_token=client_token,
        )

    @overload
    async def download_attachment(
        self,
        attachment: AttachmentLike,
        to: None = None,
        *,
        progress: Progress | None = None,
        timeout: float | None = 300.0,
    ) -> bytes: ...

    @overload
    async def download_attachment(
        self,
        attachment: AttachmentLike,
        to: str | PathLike[str],
        *,
        progress: Progress | None = None,
        timeout: float | None = 300.0,
    ) -> Path: ...

    @overload
    async def download_attachment(
        self,
        attachment: AttachmentLike,
        to: BinaryIO | AsyncWritable,
        *,
        progress: Progress | None = None,
        timeout: float | None = 300.0,
    ) -> int: ...

    async def download_attachment(
        self,
        attachment: AttachmentLike,
        to: TargetLike | None = None,
        *,
        progress: Progress | None = None,
        timeout: float | None = 300.0,
    ) -> bytes | Path | int:
        """Fetch a file. It is streamed, and goes on where it broke off.

        Args:
            attachment: A message with one file, one of its ``attachments``, what
                `send_attachment` returned, or an attachment's id.
            to: A folder, where the file gets a free name like its own, never one that leads
                elsewhere or hides it; or the path of the file, which is replaced. Either way the
                file shows up when it is whole, and nothing is left behind otherwise. Or a binary
                file or a stream with a coroutine ``write``, which stays open. None for memory.
            progress: Called, or awaited, with the bytes received so far and the bytes
                altogether. What it raises ends the download.
            timeout: Seconds that the download may take; None for as long as it takes.

        Returns:
            The file's path; for a stream, the number of bytes; for memory, the bytes.

        Raises:
            InvalidRequestError: ``attachment`` is not one file, or ``to`` takes no bytes.
            AttachmentError: The storage does not give the file, or not as it was announced.
            TimeoutError: The download took too long.
            OSError: The file cannot be written.
            ValidationException: There is no such file in the chat, or it is not approved.
            AccessDeniedException: We may not fetch files, as a CUSTOM_BOT.
            ChatEndedError: The chat is over.
            NotConnectedError: The session is closed or has failed.
            ServiceUnreachableError: There was no answer.
        """
        attachments = Attachments(self._drive(), self._client)
        return await attachments.download(attachment, to, progress=progress, timeout=timeout)  # type: ignore[no-any-return]

    def history(
        self, *, order: HistoryOrder = "newest", page_size: int = 100
    ) -> AsyncGenerator[Item]:
        """Go back through the transcript and, in a persistent chat, through past contacts.

        ::

            async for item in chat.history():
                ...

        It gives every item that the transcript has kept up to now, ours among them (with
        ``from_me``, as far as that is known), each once; those of past contacts have a
        ``related_contact_id``. It is independent of what the session delivers. Pages are read
        when they are needed, after everything more urgent that the client has to call.

        Args:
            order: ``"newest"`` first, or ``"oldest"`` first. The service tells the past only
                backward, so ``"oldest"`` reads it to its beginning before the first item comes;
                beyond 4 MiB it keeps what it has read in a temporary file without a name.
            page_size: Items to read at once, 1 to 100.

        Raises:
            InvalidRequestError: An argument is out of range (when the iteration begins, as for
                the others).
            ChatEndedError: The chat is over: its transcript can no longer be read.
            NotConnectedError: The session is closed or has failed.
            ServiceError: The service refused.
            ServiceUnreachableError: There was no answer.
        """
        return walk(self._drive(), self._client, order=order, page_size=page_size)

    # The rest.

    def _drive(self) -> Driver:
        if self._running is None:
            raise NotConnectedError("the session is not open: use it inside `async with`")
        return self._running

    async def _call(self, outgoing: Outgoing) -> CallResult:
        result = await self._drive().send(outgoing)
        if result.error is not None:
            raise result.error
        return result


def _session_id(asked: AuthenticationInitiated | str | None) -> str:
    session_id = asked.session_id if isinstance(asked, AuthenticationInitiated) else asked
    if session_id is None:
        raise InvalidRequestError("asked", "an event with a session_id")
    return session_id


def _is_a(kind: type[Item] | tuple[type[Item], ...], item: Item) -> bool:
    return isinstance(item, kind)


def _before(time: datetime | None, other: datetime | None) -> bool:
    return time is not None and other is not None and time < other
