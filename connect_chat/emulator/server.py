"""The emulator itself: the service behind a port."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp

from connect_chat.emulator.admin import Admin
from connect_chat.emulator.api import error_answer
from connect_chat.emulator.attachments import Attachments
from connect_chat.emulator.authentication import Authentication
from connect_chat.emulator.browsers import BrowserGuard, check_origins, is_loopback
from connect_chat.emulator.clock import Clock
from connect_chat.emulator.contact import SYSTEM, ChatOptions
from connect_chat.emulator.control_plane import ControlPlane
from connect_chat.emulator.exchanges import Exchanges
from connect_chat.emulator.faults import Cut, Fail, Fault, LoseAnswer, RejectAttachment
from connect_chat.emulator.injection import Faults, Injection
from connect_chat.emulator.listener import Listener
from connect_chat.emulator.messages import MESSAGE_CONTENT_TYPES, push_event, say_as_system
from connect_chat.emulator.participant_api import ParticipantApi
from connect_chat.emulator.participants import EmulatedParticipant, StartedChat
from connect_chat.emulator.quotas import Quotas
from connect_chat.emulator.recording import Record, RecordKind, Records, to_json_lines
from connect_chat.emulator.scenarios.playing import play
from connect_chat.emulator.scenarios.steps import Scenario
from connect_chat.emulator.service import Service
from connect_chat.emulator.settings import EmulatorSettings
from connect_chat.emulator.storage import Storage
from connect_chat.emulator.streams import Stream, stream
from connect_chat.emulator.views import Views
from connect_chat.emulator.websocket import Gateway
from connect_chat.items import INTERACTIVE_CONTENT_TYPE, Item, parse_item

__all__ = ["Emulator"]

logger = logging.getLogger("connect_chat.emulator")


class Emulator:
    """Amazon Connect chat on this machine.

    ``async with`` opens the port, on the running event loop and with no thread nor signal handler,
    and closes it with everything that is connected to it. The methods belong to that loop.

    Args:
        host: The address to listen at. Whoever reaches it can use the emulator, so anything but
            a loopback address is warned of.
        port: The port, or 0 for a free one.
        settings: Times and limits; the real service's if None.
        ssl_certfile: A certificate chain in PEM, for https and wss.
        ssl_keyfile: Its key, if it isn't in the same file.
        allow_origins: Web pages that may use it from a browser, by origin, for example
            ``http://localhost:3000``. Others are refused; what isn't a browser always may.
        scenario: What the other side does in each chat that is started.
        clock: Returns the time in seconds since 1970, UTC.

    Raises:
        ConfigurationError: An origin is not a scheme, a host and maybe a port.
        OSError: On entry, if it cannot listen there.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        settings: EmulatorSettings | None = None,
        ssl_certfile: str | os.PathLike[str] | None = None,
        ssl_keyfile: str | os.PathLike[str] | None = None,
        allow_origins: Iterable[str] = (),
        scenario: Scenario | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._allow_origins = check_origins(allow_origins)
        self._host = host
        self._port = port
        self._ssl_certfile = ssl_certfile
        self._ssl_keyfile = ssl_keyfile
        self._settings = settings or EmulatorSettings()
        self._clock = Clock(clock)
        self._service = Service(self._settings, self._clock)
        self._records = Records(self._clock.now, self._settings.max_records)
        self._faults = Faults(self._service, self._records)
        self._attachments = Attachments(self._service, self._faults)
        self._authentication = Authentication(self._service)
        self._views = Views()
        self._listener: Listener | None = None
        self._playing: set[asyncio.Task[None]] = set()
        if scenario is not None:
            self._service.on_start.append(lambda contact: self.start_playing(contact.id, scenario))

    async def __aenter__(self) -> Self:
        """Open the port."""
        listener = Listener(
            self._application(),
            host=self._host,
            port=self._port,
            ssl_certfile=self._ssl_certfile,
            ssl_keyfile=self._ssl_keyfile,
            max_connections=self._settings.max_connections,
        )
        await listener.open()
        self._listener = listener
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the port and everything that is connected to it, and call off what is due."""
        listener, self._listener = self._listener, None
        for task in self._playing:
            task.cancel()
        if self._playing:
            await asyncio.wait(self._playing)
        if listener is not None:
            await listener.close()
        self._clock.cancel_all()

    def _application(self) -> ASGIApp:
        storage = Storage(self._settings, self._clock, self._attachments)
        participant_api = ParticipantApi(
            self._service,
            quotas=Quotas(self._settings, self._clock),
            attachments=self._attachments,
            authentication=self._authentication,
            storage=storage,
            views=self._views,
        )

        exchanges = Exchanges(self._faults, self._records)

        async def unknown_operation(request: Request, error: Exception) -> Response:
            return error_answer(
                "UnknownOperationException", "There is no such operation.", clock=self._clock
            )

        application = Starlette(
            routes=[
                *participant_api.routes(exchanges),
                *ControlPlane(self._service).routes(exchanges),
                *storage.routes(exchanges),
                WebSocketRoute("/chat", Gateway(self._service, self._faults, self._records)),
                Admin(self, self._service).routes(),
            ],
            exception_handlers={404: unknown_operation, 405: unknown_operation},
        )
        return BrowserGuard(
            application,
            allow_origins=self._allow_origins,
            names_this_machine=is_loopback(self._host),
        )

    @property
    def url(self) -> str:
        """Where it is reached, for example ``"http://127.0.0.1:54321"``.

        Raises:
            RuntimeError: It is not running.
        """
        if self._listener is None:
            raise RuntimeError("the emulator is not running: enter it with 'async with' first")
        return self._listener.url

    # --- Chats -----------------------------------------------------------------------------------

    async def start_chat(
        self,
        display_name: str = "Customer",
        *,
        attributes: Mapping[str, str] | None = None,
        initial_message: str | None = None,
        rehydrate_from: str | None = None,
        instance_id: str = "00000000-0000-0000-0000-000000000000",
    ) -> StartedChat:
        """Start a chat, as StartChatContact does.

        Args:
            display_name: The customer's name.
            attributes: Contact attributes.
            initial_message: What the customer says first, as plain text.
            rehydrate_from: A contact of a chat that is over: this persistent chat goes on from
                it, and has it and what was before it for its past (FROM_SEGMENT).
            instance_id: The Connect instance that it is in, which quotas are counted for.

        Raises:
            Refusal: ValidationException for an initial message that is empty or too long,
                ResourceNotFoundException if there is no contact to go on from,
                InvalidRequestException if its chat is not over,
                LimitExceededException or ThrottlingException if the emulator is full.
        """
        customer = self._service.start_chat(
            ChatOptions(
                instance_id=instance_id,
                content_types=frozenset(MESSAGE_CONTENT_TYPES),
                attributes=attributes or {},
                related_contact_id=rehydrate_from,
                lasts=self._settings.chat_duration,
            ),
            display_name=display_name,
            initial_message=None if initial_message is None else ("text/plain", initial_message),
            rehydrated=rehydrate_from,
        )
        return StartedChat(customer.contact.id, customer.id, customer.token)

    async def join(
        self, contact_id: str, *, display_name: str = "Agent", role: str = "AGENT"
    ) -> EmulatedParticipant:
        """Let somebody join a chat who lives in this process.

        Args:
            contact_id: The chat.
            display_name: Their name.
            role: ``"AGENT"``, ``"SUPERVISOR"``, ``"CUSTOM_BOT"`` or ``"CUSTOMER"``.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat, ConflictException if it
                is over, ServiceQuotaExceededException for a second CUSTOM_BOT.
        """
        participant = self._service.add_participant(
            self._service.contact(contact_id), role=role, display_name=display_name
        )
        self._service.join(participant)
        return EmulatedParticipant(
            participant, service=self._service, attachments=self._attachments
        )

    async def say(self, contact_id: str, content: str, *, content_type: str = "text/plain") -> Item:
        """Say something as the flow does, with the role SYSTEM; return the item.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat, AccessDeniedException if
                it is over, ValidationException for a content type that does not exist.
        """
        contact = self._service.running_contact(contact_id)
        return parse_item(say_as_system(contact, content, content_type=content_type))

    async def send_interactive(self, contact_id: str, template: Mapping[str, Any]) -> Item:
        """Send an interactive message as the flow does; return the item.

        Args:
            contact_id: The chat.
            template: A list picker or other template, in the service's spelling:
                ``{"templateType": "ListPicker", "version": "1.0", "data": {"content": …}}``.

        Raises:
            Refusal: As `say`; ValidationException also if it has more than 20 KB.
        """
        content = json.dumps(template, ensure_ascii=False)
        return await self.say(contact_id, content, content_type=INTERACTIVE_CONTENT_TYPE)

    async def stream(
        self,
        contact_id: str,
        pieces: Iterable[str],
        *,
        interval: float = 0,
        content_type: str = "text/plain",
    ) -> Item:
        """Let a bot of the flow answer piece by piece, as SYSTEM; return the whole.

        Everybody gets the pieces, numbered from 1, and then the whole, all of one Id. The
        transcript keeps the whole, at the time of the first piece.

        Args:
            contact_id: The chat.
            pieces: What the answer consists of.
            interval: Seconds between two pieces.
            content_type: The answer's type.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat, AccessDeniedException if
                it is over, or ends before the answer does.
        """
        message = Stream(self._service.running_contact(contact_id), SYSTEM, content_type)
        return parse_item(
            await stream(
                message,
                pieces,
                interval=interval,
                check=lambda: self._service.running_contact(contact_id),
            )
        )

    async def push_event(
        self,
        contact_id: str,
        name: str,
        *,
        participant_id: str | None = None,
        content: str | None = None,
    ) -> Item:
        """Push an event that nobody sent, for example ``"participant.idle"``; return the item.

        That is all it does: ``"participant.left"`` takes nobody out of the chat. The transcript
        keeps what it keeps of the service's events.

        Args:
            contact_id: The chat.
            name: What follows ``application/vnd.amazonaws.connect.event.`` in its type.
            participant_id: Whom it is about, if it is about anybody.
            content: Its Content.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat or participant,
                AccessDeniedException if the chat is over.
        """
        contact = self._service.running_contact(contact_id)
        sender = None if participant_id is None else contact.participant(participant_id)
        return parse_item(push_event(contact, name, sender=sender, content=content))

    async def play(self, contact_id: str, scenario: Scenario) -> None:
        """Let the other side of a chat do what a scenario says, to its end or to the chat's.

        Args:
            contact_id: The chat.
            scenario: See `connect_chat.emulator.scenarios`.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat; and what the service
                refuses of what the scenario does.
            ConfigurationError: Somebody does something who has not joined.
        """
        await play(self, self._service.contact(contact_id), scenario)

    def start_playing(self, contact_id: str, scenario: Scenario) -> None:
        """Let a scenario be played, as `play` does, without waiting for its end.

        What goes wrong with it is logged.

        Args:
            contact_id: The chat.
            scenario: See `connect_chat.emulator.scenarios`.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat.
        """
        contact = self._service.contact(contact_id)
        task = asyncio.get_running_loop().create_task(play(self, contact, scenario))
        self._playing.add(task)
        task.add_done_callback(self._played)

    def _played(self, task: asyncio.Task[None]) -> None:
        self._playing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("A scenario has stopped: %s", task.exception())

    def end_chat(self, contact_id: str) -> None:
        """End a chat: everybody gets ``chat.ended``, and then their websockets close.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat.
        """
        self._service.end(self._service.contact(contact_id))

    def transcript(self, contact_id: str) -> list[dict[str, Any]]:
        """Return what a chat's transcript keeps, in order, as the items were pushed.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat.
        """
        return [dict(item) for item in self._service.contact(contact_id).transcript.items]

    def attributes(self, contact_id: str) -> dict[str, str]:
        """Return the contact attributes that a chat was started with.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat.
        """
        return dict(self._service.contact(contact_id).options.attributes)

    def request_authentication(self, contact_id: str) -> str:
        """Ask a chat's customer to sign in; return the authentication session's id.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat, AccessDeniedException if
                it is over.
        """
        return self._authentication.request(self._service.running_contact(contact_id))

    def add_view(self, *, name: str, content: Mapping[str, Any]) -> str:
        """Register a view; return the token with which DescribeView finds it.

        Without this there is one view, of the token ``"detail"``.

        Args:
            name: Its name.
            content: Its Content: ``InputSchema`` and ``Template``, which are JSON in strings,
                and ``Actions``, a list of strings.
        """
        return self._views.add(name, content)

    # --- What goes wrong -------------------------------------------------------------------------

    def inject(self, fault: Fault) -> Injection:
        """Let something go wrong, until the fault is over or removed.

        ::

            from connect_chat.emulator import faults

            emulator.inject(faults.Drop(probability=0.1, seed=7))
            with emulator.inject(faults.Freeze("down")):
                ...

        Args:
            fault: One of those in `connect_chat.emulator.faults`.

        Returns:
            What removes it, and tells how often it has happened.

        Raises:
            Refusal: ResourceNotFoundException if it is about a chat that does not exist.
        """
        return self._faults.inject(fault)

    @property
    def injected(self) -> list[Injection]:
        """The faults that are not over, in the order of their injection."""
        return self._faults.injected

    def fail_next(
        self,
        operation: str,
        error: str | int | None = None,
        *,
        count: int = 1,
        after_work: bool = False,
    ) -> Injection:
        """Let the next calls of an operation fail, which is short for `faults.Fail`.

        Args:
            operation: Its name, for example ``"SendMessage"``.
            error: An error that the operation names, for example ``"ThrottlingException"``; or
                the bare status of a gateway in between, for example 503; or None: the answer is
                lost, since the connection is aborted.
            count: How many calls fail.
            after_work: Whether the operation does its work first.

        Raises:
            ConfigurationError: There is no such operation, or it names no such error.
        """
        if error is None:
            return self.inject(LoseAnswer(operation, after_work=after_work, count=count))
        return self.inject(Fail(operation, error, after_work=after_work, count=count))

    def reject_next_attachment(self) -> None:
        """Let the scan reject the next attachment whose upload is completed."""
        self.inject(RejectAttachment(count=1))

    def drop_connections(self, contact_id: str | None = None) -> int:
        """Abort the websockets of one chat, or of all, with no closing handshake.

        Returns:
            How many there were.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat.
        """
        return self.inject(Cut(contact_id=contact_id)).applied

    # --- What happened ---------------------------------------------------------------------------

    def open_connections(self, contact_id: str | None = None) -> int:
        """Return how many websockets are open, of one chat or of all.

        Raises:
            Refusal: ResourceNotFoundException if there is no such chat.
        """
        return len(self._service.sockets(contact_id))

    def records(
        self,
        kind: RecordKind | None = None,
        *,
        contact_id: str | None = None,
        participant: str | None = None,
        operation: str | None = None,
    ) -> list[Record]:
        """Return what clients did and what befell them, in order; None selects everything.

        ::

            sent = emulator.records("request", operation="SendMessage")
            assert len({record.body["ClientToken"] for record in sent}) == 1

        Args:
            kind: Of this kind: ``"request"``, ``"answer"``, ``"upgrade"``, ``"frame_in"``,
                ``"frame_out"``, ``"closed"`` or ``"fault"``.
            contact_id: Of this chat.
            participant: Of who has this ParticipantId or this role.
            operation: Of this operation, or frames of this topic.
        """
        return self._records.select(
            kind, contact_id=contact_id, participant=participant, operation=operation
        )

    def export_records(self, *, contents: bool = False) -> str:
        """Return all records as JSON Lines, without tokens and without what opens URLs.

        Args:
            contents: Whether to keep what was said, and names; otherwise their length is told.
        """
        return to_json_lines(self._records.select(), contents=contents)
