"""A backend that bridges a small browser page to Amazon Connect chat.

The hub holds the chats; request handlers come and go, and so may the server. What a page shows is
written to a log before the hub counts it as handled, and the page gets it as server-sent events
whose ids are the log's numbers. So a page that reconnects, or whose server was restarted, says
which number was its last, and gets the rest: nothing is lost, nothing comes twice.

Try it with ``python examples/fastapi_backend/run.py``. In the environment it needs::

    CONNECT_INSTANCE_ID, CONNECT_FLOW_ID   what StartChatContact asks for
    AWS_DEFAULT_REGION and credentials     whose role may call StartChatContact
    CHATS_DB                               a file for chats and log; chats.db by default

Run one worker per file: a chat is held by one process at a time.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import boto3
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from log import ChatLog
from pydantic import BaseModel, Field
from pydantic_core import to_json

from connect_chat import (
    AttachmentMessage,
    ChatEnded,
    ChatEndedError,
    ChatHub,
    ChatSession,
    ConnectChatError,
    InvalidRequestError,
    Item,
    Message,
    ParticipantClient,
    ParticipantJoined,
    ParticipantLeft,
    ServiceError,
    SqliteSnapshotStore,
)

PAGE = Path(__file__).with_name("page.html")
# Proxies hang up on a stream that says nothing for a minute or so.
KEEP_ALIVE = 15.0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold the chats for as long as the server runs, and take up those of the last run."""
    path = os.environ.get("CHATS_DB", "chats.db")

    async def on_item(chat: ChatSession, item: Item) -> None:
        await keep(log, chat, item)

    async with (
        ParticipantClient() as client,
        SqliteSnapshotStore(path) as store,
        ChatLog(path) as log,
        ChatHub(client, store=store, own=True, on_item=on_item) as hub,
    ):
        app.state.hub, app.state.log = hub, log
        app.state.connect = boto3.client("connect")
        await hub.restore()
        with when_told_to_stop(log.close):
            yield


async def keep(log: ChatLog, chat: ChatSession, item: Item) -> None:
    """Write an item to the log, if pages show it. A bot would answer here, too."""
    contact_id = chat.contact_id or ""
    match item:
        case Message(text=text):
            kind, shown = "message", text
        case AttachmentMessage(attachments=files):
            kind, shown = "message", ", ".join(file.attachment_name or "a file" for file in files)
        case ParticipantJoined(from_me=False):
            kind, shown = "notice", f"{item.display_name or 'Somebody'} has joined"
        case ParticipantLeft(from_me=False):
            kind, shown = "notice", f"{item.display_name or 'Somebody'} has left"
        case ChatEnded():
            kind, shown = "end", "The chat has ended"
        case _:  # typing, for example, which is asked for where it is shown
            log.announce(contact_id)
            return
    data = {
        "text": shown,
        "name": "Assistant" if item.participant_role == "SYSTEM" else item.display_name,
        "mine": item.from_me,
        "time": item.absolute_time,
    }
    await log.append(contact_id, item.id or kind, kind, to_json(data).decode())


@contextmanager
def when_told_to_stop(call: Callable[[], None]) -> Iterator[None]:
    """Have a function called when a signal stops the server.

    The end of the lifespan would be too late: the server waits for open streams before it.
    """
    loop = asyncio.get_running_loop()
    servers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)
        then = servers[signal.Signals(number)]
        if callable(then):
            then(number, frame)

    for number in servers:
        signal.signal(number, told)
    try:
        yield
    finally:
        for number, handler in servers.items():
            signal.signal(number, handler)


app = FastAPI(lifespan=lifespan)


@app.exception_handler(ConnectChatError)
async def failed(_: Request, error: ConnectChatError) -> Response:
    """Tell the page whether it is worth trying again: with a 5xx it is."""
    match error:
        case ChatEndedError():
            return Response(status_code=409)
        case InvalidRequestError() | ServiceError(retryable=False):
            return Response(status_code=400)
        case _:
            return Response(status_code=503)


def hub_of(request: Request) -> ChatHub:
    """Return the hub."""
    hub: ChatHub = request.app.state.hub
    return hub


def log_of(request: Request) -> ChatLog:
    """Return the log."""
    log: ChatLog = request.app.state.log
    return log


Hub = Annotated[ChatHub, Depends(hub_of)]
Log = Annotated[ChatLog, Depends(log_of)]


def chat_of(contact_id: str, hub: Hub) -> ChatSession:
    """Return the chat that a path names.

    Whoever knows its id may take part in it here; on a real site, check whose it is.
    """
    chat = hub.get(contact_id)
    if chat is None:
        raise HTTPException(404, "There is no such chat, or it has ended.")
    return chat


Chat = Annotated[ChatSession, Depends(chat_of)]
# Made by the page, so that a request that it repeats has its effect once.
ClientToken = Annotated[str, Field(min_length=1, max_length=100)]


class NewChat(BaseModel):
    """Who wants to chat."""

    name: str = Field(min_length=1, max_length=256)
    client_token: ClientToken


class NewMessage(BaseModel):
    """What to say."""

    text: str = Field(min_length=1, max_length=1024)
    client_token: ClientToken


@app.get("/")
async def page() -> FileResponse:
    """Return the page."""
    return FileResponse(PAGE)


@app.post("/chats", status_code=201)
async def start_chat(request: Request, new: NewChat, hub: Hub) -> dict[str, str]:
    """Start a chat, and hold it."""
    started = await asyncio.to_thread(
        request.app.state.connect.start_chat_contact,
        InstanceId=os.environ["CONNECT_INSTANCE_ID"],
        ContactFlowId=os.environ["CONNECT_FLOW_ID"],
        ParticipantDetails={"DisplayName": new.name},
        ClientToken=new.client_token,
    )
    await hub.open(
        started["ParticipantToken"],
        contact_id=started["ContactId"],
        participant_id=started["ParticipantId"],
        participant_role="CUSTOMER",
    )
    return {"contact_id": started["ContactId"]}


@app.post("/chats/{contact_id}/messages", status_code=204)
async def say(new: NewMessage, chat: Chat) -> None:
    """Say something."""
    await chat.send(new.text, client_token=new.client_token)


@app.post("/chats/{contact_id}/typing", status_code=204)
async def show_typing(chat: Chat) -> None:
    """Show that the customer is typing."""
    await chat.typing()


@app.post("/chats/{contact_id}/end", status_code=204)
async def end(chat: Chat) -> None:
    """Leave the chat."""
    await chat.disconnect()


@app.get("/chats/{contact_id}/events")
async def events(
    contact_id: str, hub: Hub, log: Log, last_event_id: Annotated[int, Header()] = 0
) -> StreamingResponse:
    """Stream what the page shows, from the event after ``Last-Event-ID`` on."""
    return StreamingResponse(
        stream(contact_id, last_event_id, hub, log),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def stream(contact_id: str, number: int, hub: ChatHub, log: ChatLog) -> AsyncIterator[bytes]:
    """Yield the events after a number, and who is typing; then wait for news, and so on."""
    shown: list[str | None] = []
    with log.page(contact_id) as news:
        yield b"retry: 1000\n\n"
        while not log.closing:
            news.clear()
            for event in await log.since(contact_id, number):
                number = event.number
                yield f"id: {number}\nevent: {event.kind}\ndata: {event.data}\n\n".encode()
                if event.kind == "end":
                    return
            chat = hub.get(contact_id)
            typing = [item.display_name for item in chat.who_is_typing] if chat else []
            if typing != shown:
                shown = typing
                yield b"event: typing\ndata: " + to_json(typing) + b"\n\n"
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    await news.wait()
            except TimeoutError:
                yield b":\n\n"
