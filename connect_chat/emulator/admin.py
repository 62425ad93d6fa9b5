"""What `Emulator` does in Python, over HTTP, for tests in other languages and for people with curl.

Everything is JSON, below ``/_emulator``. An error has the status 4xx and a ``Message``.

===============================================  =================================================
GET ``/faults``                                  the faults that are not over
POST ``/faults``                                 inject one: ``{"kind": "drop", "count": 3}``
DELETE ``/faults``, ``/faults/{id}``             remove all, or one
GET ``/records``                                 JSON Lines, masked; ``?kind=``, ``contact_id=``,
                                                 ``participant=``, ``operation=`` select,
                                                 ``contents=true`` keeps what was said
GET ``/chats``                                   all chats
POST ``/chats``                                  start one: ``{"display_name", "attributes",
                                                 "initial_message"}``, all optional
GET ``/chats/{contact_id}``                      one, with its transcript
DELETE ``/chats/{contact_id}``                   end it
POST ``/chats/{contact_id}/participants``        let somebody join: ``{"display_name", "role"}``
POST ``/chats/{contact_id}/say``                 ``{"text", "content_type", "participant_id"}``;
                                                 without the latter the flow says it
POST ``/chats/{contact_id}/type``                ``{"participant_id"}``
POST ``/chats/{contact_id}/leave``               ``{"participant_id"}``
POST ``/chats/{contact_id}/play``                ``{"scenario": "support"}``, one that comes with
                                                 the package
===============================================  =================================================

Only participants who joined here can say, type and leave here. What is done here is not recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from connect_chat.emulator.api import TooLargeError, read_body
from connect_chat.emulator.contact import Contact
from connect_chat.emulator.faults import describe, parse_fault
from connect_chat.emulator.injection import Injection
from connect_chat.emulator.participants import EmulatedParticipant
from connect_chat.emulator.recording import RecordKind, to_json_lines
from connect_chat.emulator.refusal import STATUS, Refusal
from connect_chat.emulator.scenarios.loading import load_ready
from connect_chat.emulator.service import Service
from connect_chat.errors import ConfigurationError

if TYPE_CHECKING:
    from connect_chat.emulator.server import Emulator

__all__ = ["Admin"]

T = TypeVar("T", bound="_Asked")

_MOST_BODY_BYTES = 64 * 1024


class _Asked:
    """What a request's body says."""

    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class _Start(_Asked):
    display_name: str = "Customer"
    attributes: dict[str, str] = field(default_factory=dict)
    initial_message: str | None = None


@dataclass(frozen=True)
class _Join(_Asked):
    display_name: str = "Agent"
    role: str = "AGENT"


@dataclass(frozen=True)
class _Say(_Asked):
    text: str
    content_type: str = "text/plain"
    participant_id: str | None = None


@dataclass(frozen=True)
class _Whom(_Asked):
    participant_id: str


@dataclass(frozen=True)
class _Play(_Asked):
    scenario: str


class Admin:
    """The admin API of an emulator."""

    def __init__(self, emulator: Emulator, service: Service) -> None:
        self._emulator = emulator
        self._service = service
        self._joined: dict[str, EmulatedParticipant] = {}
        service.on_forget.append(self._forget)

    def routes(self) -> Mount:
        """Return where it is reached."""
        chat = "/chats/{contact_id}"
        endpoints: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._inject),
            ("DELETE", "/faults", self._remove_all),
            ("DELETE", "/faults/{id:int}", self._remove),
            ("GET", "/records", self._records),
            ("GET", "/chats", self._chats),
            ("POST", "/chats", self._start),
            ("GET", chat, self._chat),
            ("DELETE", chat, self._end),
            ("POST", chat + "/participants", self._join),
            ("POST", chat + "/say", self._say),
            ("POST", chat + "/type", self._type),
            ("POST", chat + "/leave", self._leave),
            ("POST", chat + "/play", self._play),
        ]
        return Mount(
            "/_emulator",
            routes=[
                Route(path, _guarded(endpoint), methods=[method])
                for method, path, endpoint in endpoints
            ],
        )

    # --- Faults and records ----------------------------------------------------------------------

    async def _faults(self, request: Request) -> Response:
        return _json([_injection(injection) for injection in self._emulator.injected])

    async def _inject(self, request: Request) -> Response:
        members = await _object(request)
        return _json(_injection(self._emulator.inject(parse_fault(members))), 201)

    async def _remove_all(self, request: Request) -> Response:
        for injection in self._emulator.injected:
            injection.remove()
        return Response(status_code=204)

    async def _remove(self, request: Request) -> Response:
        for injection in self._emulator.injected:
            if injection.id == request.path_params["id"]:
                injection.remove()
                return Response(status_code=204)
        raise Refusal("ResourceNotFoundException", "There is no such fault, or it is over.")

    async def _records(self, request: Request) -> Response:
        query = dict(request.query_params)
        contents = query.pop("contents", "false") == "true"
        kind = query.pop("kind", None)
        if kind is not None and kind not in get_args(RecordKind):
            raise ConfigurationError(f"kind is one of {', '.join(get_args(RecordKind))}")
        wanted = {
            name: query.pop(name, None) for name in ("contact_id", "participant", "operation")
        }
        if query:
            raise ConfigurationError(f"records are not selected by {', '.join(query)}")
        records = self._emulator.records(cast("RecordKind | None", kind), **wanted)
        lines = to_json_lines(records, contents=contents)
        return Response(lines, media_type="application/jsonl")

    # --- Chats -----------------------------------------------------------------------------------

    async def _chats(self, request: Request) -> Response:
        return _json([self._described(contact) for contact in self._service.chats()])

    async def _chat(self, request: Request) -> Response:
        contact = self._service.contact(request.path_params["contact_id"])
        transcript = self._emulator.transcript(contact.id)
        return _json({**self._described(contact), "transcript": transcript})

    async def _start(self, request: Request) -> Response:
        asked = await _read(request, _Start)
        chat = await self._emulator.start_chat(
            asked.display_name,
            attributes=asked.attributes,
            initial_message=asked.initial_message,
        )
        answer = {
            "contact_id": chat.contact_id,
            "participant_id": chat.participant_id,
            "participant_token": chat.participant_token,
        }
        return _json(answer, 201)

    async def _end(self, request: Request) -> Response:
        self._emulator.end_chat(request.path_params["contact_id"])
        return Response(status_code=204)

    async def _join(self, request: Request) -> Response:
        asked = await _read(request, _Join)
        if asked.role not in ("AGENT", "SUPERVISOR", "CUSTOM_BOT", "CUSTOMER"):
            raise ConfigurationError("role is AGENT, SUPERVISOR, CUSTOM_BOT or CUSTOMER")
        participant = await self._emulator.join(
            request.path_params["contact_id"], display_name=asked.display_name, role=asked.role
        )
        self._joined[participant.participant_id] = participant
        return _json({"participant_id": participant.participant_id}, 201)

    async def _say(self, request: Request) -> Response:
        asked = await _read(request, _Say)
        if asked.participant_id is None:
            contact_id = request.path_params["contact_id"]
            item = await self._emulator.say(contact_id, asked.text, content_type=asked.content_type)
        else:
            speaker = self._who(request, asked.participant_id)
            item = await speaker.say(asked.text, content_type=asked.content_type)
        return _json({"id": item.id}, 201)

    async def _type(self, request: Request) -> Response:
        asked = await _read(request, _Whom)
        await self._who(request, asked.participant_id).type()
        return Response(status_code=204)

    async def _leave(self, request: Request) -> Response:
        asked = await _read(request, _Whom)
        await self._who(request, asked.participant_id).leave()
        return Response(status_code=204)

    async def _play(self, request: Request) -> Response:
        asked = await _read(request, _Play)
        contact = self._service.running_contact(request.path_params["contact_id"])
        # By name only, since a path would let a caller read files.
        self._emulator.start_playing(contact.id, load_ready(asked.scenario))
        return Response(status_code=202)

    def _who(self, request: Request, participant_id: str) -> EmulatedParticipant:
        participant = self._joined.get(participant_id)
        contact = self._service.contact(request.path_params["contact_id"])
        if participant is None or participant.contact_id != contact.id:
            raise Refusal("ResourceNotFoundException", "Nobody of that id has joined here.")
        return participant

    def _forget(self, contact: Contact) -> None:
        for participant in contact.participants:
            self._joined.pop(participant.id, None)

    def _described(self, contact: Contact) -> Mapping[str, Any]:
        return {
            "contact_id": contact.id,
            "initial_contact_id": contact.initial_id,
            "ended": contact.ended,
            "participants": [
                {
                    "participant_id": participant.id,
                    "role": participant.role,
                    "display_name": participant.display_name,
                    "present": participant.present,
                    "connections": len(participant.sockets),
                }
                for participant in contact.participants
            ],
        }


def _injection(injection: Injection) -> Mapping[str, Any]:
    return {
        "id": injection.id,
        "applied": injection.applied,
        "fault": describe(injection.fault),
    }


def _guarded(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Answer with what an endpoint refuses."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refusal as refusal:
            return _json({"Message": refusal.message}, STATUS[refusal.code])
        except ConfigurationError as error:
            return _json({"Message": str(error)}, 400)
        except ClientDisconnect:
            return Response()  # nobody is there to get it

    return guarded


async def _object(request: Request) -> dict[str, Any]:
    try:
        members = from_json(await read_body(request, _MOST_BODY_BYTES) or b"{}")
    except (ValueError, TooLargeError):
        raise ConfigurationError("the body is not valid JSON, or too large") from None
    if not isinstance(members, dict):
        raise ConfigurationError("the body is not a JSON object")
    return members


async def _read(request: Request, kind: type[T]) -> T:
    """Return what a request asks for, strictly."""
    members = await _object(request)
    try:
        return TypeAdapter(kind).validate_json(to_json(members), strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ConfigurationError(f"{where}: {problem['msg']}") from None


def _json(content: Any, status: int = 200) -> Response:
    return Response(to_json(content), status, media_type="application/json")
