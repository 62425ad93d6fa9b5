"""All the chats of one process."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from connect_chat.client import ParticipantClient
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.session import SessionState
from connect_chat.engine.snapshot import Snapshot
from connect_chat.errors import ChatNotFoundError, ConnectChatError, HubClosedError, HubFullError
from connect_chat.items import ChatEnded, Item
from connect_chat.session import ChatSession
from connect_chat.stores import SnapshotStore
from connect_chat.transport.calls import ClientStats

__all__ = ["ChatHub", "HubStats"]

ItemHandler = Callable[[ChatSession, Item], Awaitable[None]]
ErrorHandler = Callable[[ChatSession, Item | None, Exception], Awaitable[None] | None]

logger = logging.getLogger("connect_chat.hub")

# What a snapshot tells by itself, so that a resumed session does not take it.
_IN_SNAPSHOTS = frozenset({"participant_id", "participant_role", "contact_id", "from_start"})


@dataclass(frozen=True, slots=True)
class HubStats:
    """What a hub is doing, as plain numbers.

    Attributes:
        sessions: Chats held.
        states: Chats by state, for example ``{"connected": 1998, "reconnecting": 2}``.
        ready: Chats with items that wait for a handler.
        handling: Handlers at work.
        handled: Items handled so far.
        errors: Handlers and chats that have failed so far.
        counters: The sum of the sessions' ``stats``, of those that are gone, too.
        client: What the client has done: calls, retries, throttles, and who waits for a turn
            under the quota, by operation and priority.
    """

    sessions: int
    states: dict[str, int]
    ready: int
    handling: int
    handled: int
    errors: int
    counters: dict[str, int]
    client: ClientStats


class _Chat:
    """A session and its place among those with something to handle."""

    __slots__ = ("busy", "contact_id", "item", "queued", "session", "task")

    def __init__(self, session: ChatSession) -> None:
        self.session = session
        # Under which it is found; None while it is not known yet.
        self.contact_id: str | None = None
        # In the queue; being handled. Never both, so that its items are handled one by one.
        self.queued = False
        self.busy = False
        # What has been handed out and is not handled yet.
        self.item: Item | None = None
        self.task: asyncio.Task[ChatSession] | None = None


class ChatHub:
    """Holds the chats of one process, and hands their items to whoever handles them.

    ::

        async def on_item(chat, item):
            match item:
                case Message(text=text):
                    await chat.send(f"You said {text}")

        async with ChatHub(client, on_item=on_item) as hub:
            await hub.open(participant_token)

    Chats belong to the hub, not to the task that opened them: a request handler that is cancelled
    cancels its own call and harms no chat. Every method may be awaited from any task of the
    event loop. A chat leaves the hub once its `ChatEnded` has been handled, or when it fails.

    Items are handled one at a time within a chat, in order, and in as many chats at a time as
    ``concurrency`` says. Without ``on_item``, iterate over the hub::

        async for chat, item in hub:
            ...

    An item counts as handled when the handler returns, or when the next one is asked for; with a
    ``store`` the chat's snapshot is saved then, before its next item, and also when the chat is
    opened. So a crash loses no chat that `open` has returned, and at most the one item of each
    chat that was being handled, or saved, comes again.

    Args:
        client: What calls the service. None makes one, of ``region`` and ``endpoint_url``.
        region: See `ParticipantClient`.
        endpoint_url: See `ParticipantClient`.
        on_item: An async function that handles an item of a chat. An exception is reported to
            ``on_error``, the item counts as handled, and the chat goes on.
        on_error: A function, async or not, that hears of a handler's exception, and of a chat
            that has failed (the item is None then). By default it is logged.
        concurrency: So many handlers at a time.
        max_chats: So many chats at most; None for no limit.
        store: Where snapshots are kept.
        session_options: Keyword arguments for every `ChatSession`.
    """

    def __init__(
        self,
        client: ParticipantClient | None = None,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        on_item: ItemHandler | None = None,
        on_error: ErrorHandler | None = None,
        concurrency: int = 100,
        max_chats: int | None = None,
        store: SnapshotStore | None = None,
        **session_options: Any,
    ) -> None:
        self._client = client or ParticipantClient(region, endpoint_url=endpoint_url)
        self._own_client = self._client if client is None else None
        self._on_item = on_item
        self._on_error = on_error
        self._concurrency = concurrency
        self._max_chats = max_chats
        self._store = store
        self._session_options = session_options
        self._chats: dict[str, _Chat] = {}
        self._by_contact: dict[str, list[_Chat]] = {}
        self._ready: deque[_Chat] = deque()
        self._arrived: deque[asyncio.Future[None]] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[list[Snapshot]] | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._state: str = "new"
        self._handling = 0
        self._handled = 0
        self._errors = 0
        self._past: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise HubClosedError("a ChatHub is entered once; make another one")
        self._state = "open"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop handling, save every chat's snapshot, and close our end of all. Idempotent.

        A handler at work is cancelled, and its item counts as not handled; see `drain`.
        """
        await self.drain(0)

    # Chats.

    async def open(self, participant_token: str, **options: Any) -> ChatSession:
        """Connect a participant and hold its chat; return its session.

        Opening a participant that is held already returns the session that there is. Cancelled,
        only the waiting ends: the hub goes on connecting.

        Args:
            participant_token: What StartChatContact or CreateParticipant gave.
            options: Further keyword arguments of `ChatSession`.

        Raises:
            HubFullError: There are ``max_chats`` already.
            HubClosedError: The hub takes no chats any more, or was closed meanwhile.
            AccessDeniedException: And whatever else entering a `ChatSession` raises.
        """
        self._check_open()
        session = ChatSession(
            participant_token, client=self._client, **{**self._session_options, **options}
        )
        chat = self._add(session)
        if chat.task is None:
            raise AssertionError("a chat has a task from its beginning")
        await asyncio.wait([chat.task])
        if chat.task.cancelled():
            self._check_open()
        return chat.task.result()

    def __getitem__(self, contact_id: str) -> ChatSession:
        """Return the session of a contact.

        Raises:
            ChatNotFoundError: (a ``KeyError``) The hub holds no such chat.
        """
        session = self.get(contact_id)
        if session is None:
            raise ChatNotFoundError(contact_id)
        return session

    def __contains__(self, contact_id: object) -> bool:
        return contact_id in self._by_contact

    def __len__(self) -> int:
        return len(self._chats)

    def get(self, contact_id: str) -> ChatSession | None:
        """Return the session of a contact, or None. Of several participants, the first opened."""
        chat = self._find(contact_id)
        return None if chat is None else chat.session

    @property
    def sessions(self) -> tuple[ChatSession, ...]:
        """The sessions held, in the order of opening."""
        return tuple(chat.session for chat in self._chats.values())

    async def close(self, contact_id: str) -> None:
        """Close our end of a contact's chat and forget it, its snapshot, too.

        The participant stays in the chat; to leave it, ``await hub[contact_id].disconnect()``.

        Raises:
            ChatNotFoundError: (a ``KeyError``) The hub holds no such chat.
        """
        chat = self._find(contact_id)
        if chat is None:
            raise ChatNotFoundError(contact_id)
        await asyncio.shield(self._spawn(self._release(chat, forget=True)))

    # Items.

    async def __aiter__(self) -> AsyncIterator[tuple[ChatSession, Item]]:
        """Iterate over the items of all chats, with the session of each; ends with the hub.

        Several tasks may iterate; a chat's items still come one by one, since its next is handed
        out when the task that had the one before asks for more.
        """
        if self._on_item is not None:
            raise HubClosedError("this hub hands its items to on_item; iterate over one without")
        while (found := await self._next()) is not None:
            chat, item = found
            handled = False
            try:
                yield chat.session, item
                handled = True
            finally:
                if not handled:
                    self._put_back(chat, item)
            await self._finish(chat, item)

    # Restarts.

    def snapshots(self) -> list[Snapshot]:
        """Return a snapshot of every chat, as of the last item of it that was handled."""
        return [_snapshot(chat) for chat in self._chats.values()]

    async def restore(self, store: SnapshotStore | None = None) -> int:
        """Take up all the chats of a store, the one with the newest item first.

        Returns as soon as they are known: connecting them is paced by the quota, and a chat that
        cannot be resumed is reported to ``on_error``.

        Args:
            store: The store; by default the hub's own.

        Returns:
            How many chats were taken up.

        Raises:
            HubFullError: There are more than ``max_chats``; the newest were taken up.
            HubClosedError: The hub takes no chats any more.
        """
        self._check_open()
        source = store or self._store
        if source is None:
            raise HubClosedError("there is no store to restore from: pass one")
        snapshots = [snapshot async for snapshot in source.load()]
        snapshots.sort(key=lambda one: (one.last_time is not None, one.last_time), reverse=True)
        options = self._options_to_resume()
        for snapshot in snapshots:
            chat = self._add(ChatSession.resume(snapshot, client=self._client, **options))
            if chat.task is not None:
                chat.task.add_done_callback(partial(self._restored, chat))
        return len(snapshots)

    async def drain(self, timeout: float | None = None) -> list[Snapshot]:
        """Prepare for a restart: hand out nothing more, let handlers finish, and close.

        Args:
            timeout: How long handlers may take, in seconds; None for as long as it takes, which
                is for ever if a handler itself waits for it. One that takes longer is cancelled,
                and its item counts as not handled.

        Returns:
            The snapshots of all chats, which have been saved to the store if there is one.
        """
        if self._state != "closed":
            self._state = "draining"
        self._wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._quiet.wait()
        if self._closing is None:
            self._closing = self._spawn(self._close_all())
        # Whoever is cancelled here stops waiting; the chats are closed all the same.
        return await asyncio.shield(self._closing)

    async def _close_all(self) -> list[Snapshot]:
        await _cancel(self._workers)
        chats = list(self._chats.values())
        snapshots = [_snapshot(chat) for chat in chats]
        try:
            if self._store is not None:
                await asyncio.gather(*(self._store.save(snapshot) for snapshot in snapshots))
        finally:
            await _cancel({chat.task for chat in chats if chat.task is not None})
            await asyncio.gather(*(chat.session.aclose() for chat in chats))
            for chat in chats:
                self._forget(chat)
            if self._own_client is not None:
                await self._own_client.aclose()
            self._state = "closed"
        return snapshots

    # Seen from outside.

    @property
    def stats(self) -> HubStats:
        """What the hub is doing."""
        states: dict[str, int] = {}
        counters = dict(self._past)
        for chat in self._chats.values():
            state = str(chat.session.state)
            states[state] = states.get(state, 0) + 1
            _add(counters, chat.session.stats)
        return HubStats(
            sessions=len(self._chats),
            states=states,
            ready=len(self._ready),
            handling=self._handling,
            handled=self._handled,
            errors=self._errors,
            counters=counters,
            client=self._client.stats,
        )

    @property
    def healthy(self) -> bool:
        """Whether the hub is open and at least half of its chats are connected."""
        if self._state != "open":
            return False
        connected = sum(
            chat.session.state is SessionState.CONNECTED for chat in self._chats.values()
        )
        return 2 * connected >= len(self._chats)

    # Keeping chats.

    def _check_open(self) -> None:
        if self._state == "new":
            raise HubClosedError("the hub is not open: use it inside `async with`")
        if self._state != "open":
            raise HubClosedError("the hub is draining or closed; open the chat in another process")

    def _add(self, session: ChatSession) -> _Chat:
        """Return the participant's chat: the one that is held, or a new one of ``session``."""
        key = session.key
        chat = self._chats.get(key)
        if chat is None:
            if self._max_chats is not None and len(self._chats) >= self._max_chats:
                raise HubFullError(self._max_chats)
            chat = self._chats[key] = _Chat(session)
            self._note_contact(chat)
            chat.task = self._spawn(self._enter(chat))
        return chat

    async def _enter(self, chat: _Chat) -> ChatSession:
        session = chat.session
        try:
            await session.__aenter__()
            await self._save(chat)
        except BaseException:
            self._forget(chat)
            await session.aclose()
            raise
        session.on_progress(partial(self._progress, chat))
        self._progress(chat)
        await session.contact_known()
        return session

    def _options_to_resume(self) -> dict[str, Any]:
        """Return the options of sessions that are resumed, many at once.

        They wait for their turn in the quota as long as chats that have lost their connection do.
        """
        options = {
            name: value
            for name, value in self._session_options.items()
            if name not in _IN_SNAPSHOTS
        }
        times = options.get("options") or SessionOptions()
        patience = max(times.connect_timeout, times.give_up_after)
        return options | {"options": replace(times, connect_timeout=patience)}

    def _restored(self, chat: _Chat, task: asyncio.Task[ChatSession]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._spawn(self._report(chat, None, error))

    async def _release(self, chat: _Chat, *, forget: bool) -> None:
        """Let a chat go."""
        session = chat.session
        if not self._holds(chat):
            return
        self._forget(chat)
        _add(self._past, session.stats)
        await session.aclose()
        if forget and self._store is not None:
            await self._store.delete(session.key)

    def _note_contact(self, chat: _Chat) -> None:
        """Have a chat found by its contact, once that is known."""
        contact_id = chat.session.contact_id
        if chat.contact_id is None and contact_id is not None and self._holds(chat):
            chat.contact_id = contact_id
            self._by_contact.setdefault(contact_id, []).append(chat)

    def _forget(self, chat: _Chat) -> None:
        if self._chats.pop(chat.session.key, None) is None or chat.contact_id is None:
            return
        others = self._by_contact[chat.contact_id]
        others.remove(chat)
        if not others:
            del self._by_contact[chat.contact_id]

    def _find(self, contact_id: str) -> _Chat | None:
        found = self._by_contact.get(contact_id)
        return found[0] if found else None

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Whoever awaits it gets the exception; if nobody does any more, it was reported or logged.
        task.add_done_callback(_retrieve)
        return task

    # Handing out items.

    def _progress(self, chat: _Chat) -> None:
        """Queue a chat that has something to hand out, unless it is queued or being handled."""
        self._note_contact(chat)
        if chat.queued or chat.busy or not chat.session.ready:
            return
        chat.queued = True
        self._ready.append(chat)
        self._wake()

    def _wake(self) -> None:
        if self._on_item is not None:
            if self._ready and len(self._workers) < self._concurrency and self._state == "open":
                worker = self._spawn(self._work())
                self._workers.add(worker)
                worker.add_done_callback(self._workers.discard)
            return
        while self._arrived:
            waiter = self._arrived.popleft()
            if not waiter.done():
                waiter.set_result(None)
                if self._state == "open":
                    break

    async def _next(self) -> tuple[_Chat, Item] | None:
        """Wait for the next item; None when the hub closes."""
        while self._state == "open":
            found = await self._take()
            if found is not None:
                return found
            waiter = asyncio.get_running_loop().create_future()
            self._arrived.append(waiter)
            await waiter
        return None

    async def _take(self) -> tuple[_Chat, Item] | None:
        """Return the next item of the chat that has waited longest; None if there is none."""
        while self._ready and self._state == "open":
            chat = self._ready.popleft()
            chat.queued = False
            if not self._holds(chat):
                continue
            # Busy first: receiving is progress, which must not queue the chat again.
            chat.busy = True
            try:
                item = chat.session.receive_nowait()
            except ConnectChatError as error:
                await self._report(chat, None, error)
                await self._release(chat, forget=False)
                continue
            if item is not None:
                chat.item = item
                self._handling += 1
                self._quiet.clear()
                return chat, item
            # Somebody else has received it, with `wait_for` or `ask`.
            chat.busy = False
        return None

    async def _work(self) -> None:
        """Handle items until none are ready."""
        while (found := await self._take()) is not None:
            chat, item = found
            handled = False
            try:
                await self._handle(chat, item)
                handled = True
            finally:
                if not handled:
                    self._put_back(chat, item)
            await self._finish(chat, item)

    async def _handle(self, chat: _Chat, item: Item) -> None:
        if self._on_item is None:
            return
        try:
            await self._on_item(chat.session, item)
        except Exception as error:  # noqa: BLE001 - one chat's handler must not harm the others
            await self._report(chat, item, error)

    def _put_back(self, chat: _Chat, item: Item) -> None:
        """Note that an item was not handled after all."""
        chat.session.put_back(item)
        self._let_go(chat)

    async def _finish(self, chat: _Chat, item: Item) -> None:
        """Note that an item was handled."""
        self._handled += 1
        chat.item = None
        try:
            if isinstance(item, ChatEnded):
                await self._release(chat, forget=True)
            else:
                await self._save(chat)
        except Exception as error:  # noqa: BLE001 - a store may raise anything
            await self._report(chat, item, error)
        finally:
            self._let_go(chat)

    def _let_go(self, chat: _Chat) -> None:
        """Note that nobody has an item of the chat in hand any more."""
        chat.item = None
        chat.busy = False
        self._handling -= 1
        if not self._handling:
            self._quiet.set()
        self._progress(chat)

    async def _save(self, chat: _Chat) -> None:
        """Save a chat's snapshot, unless it was closed meanwhile and so is to be forgotten."""
        if self._store is not None and self._holds(chat):
            await self._store.save(chat.session.snapshot())

    def _holds(self, chat: _Chat) -> bool:
        return self._chats.get(chat.session.key) is chat

    async def _report(self, chat: _Chat, item: Item | None, error: Exception) -> None:
        self._errors += 1
        if self._on_error is None:
            logger.error(
                "[contact %s] %s: %s",
                chat.session.contact_id or "not known yet",
                "the chat has failed" if item is None else f"handling {type(item).__name__} failed",
                type(error).__name__,
                exc_info=error,
            )
            return
        try:
            answer = self._on_error(chat.session, item, error)
            if inspect.isawaitable(answer):
                await answer
        except Exception:
            logger.exception("on_error itself has failed")


def _snapshot(chat: _Chat) -> Snapshot:
    """Return where a chat stands; what is still being handled counts as not handled."""
    if chat.item is None:
        return chat.session.snapshot()
    chat.session.put_back(chat.item)
    snapshot = chat.session.snapshot()
    chat.session.receive_nowait()
    return snapshot


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value
