"""A chat whose time and service the test plays by hand.

Inputs are methods of `Chat`; each returns what the engine asks for because of it, in words::

    chat = Chat()
    assert chat.start() == ["ask A connect"]
    assert chat.granted("A") == ["open A"]
    assert chat.opened("A") == ["subscribe A"]
    assert chat.accepted("A") == ["read backward, reconnect"]
    assert chat.page("m1", "m2") == []
    assert chat.gets() == ["m1", "m2"]

Links are named A, B, … in the order in which they are asked for. An item is named by its kind and
the second at which it is said: ``m3`` is an agent's message, ``own3`` ours, ``typing3``,
``joined3``, ``transfer3``, ``end3`` events. Heartbeats are answered at once, and not told of,
except on the links in `mute`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import settings

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
    Trace,
)
from connect_chat.engine.frames import HEARTBEAT, PING
from connect_chat.engine.options import SessionOptions
from connect_chat.engine.outbox import CallResult
from connect_chat.engine.reader import Reader
from connect_chat.engine.session import SessionEngine
from connect_chat.errors import (
    AccessDeniedException,
    InternalServerException,
    ServiceError,
    ServiceUnreachableError,
    ThrottlingException,
    ValidationException,
)
from connect_chat.items import EVENT_PREFIX, Item, parse_item

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
ME = "participant-me"
AGENT = "participant-agent"
CONTACT = "contact-1"

prop = settings(deadline=None, derandomize=True, max_examples=150)
"""How properties are tried: the same examples every time."""

_EVENTS = {
    "typing": "typing",
    "joined": "participant.joined",
    "left": "participant.left",
    "transfer": "transfer.succeeded",
    "end": "chat.ended",
}


class Middling(Random):
    """No randomness: always the middle of the range."""

    def random(self) -> float:
        """Return 0.5."""
        return 0.5


def at(seconds: float) -> datetime:
    """Return the moment so many seconds into the chat."""
    return T0 + timedelta(seconds=seconds)


def raw(name: str, **fields: Any) -> dict[str, Any]:
    """Return an item in the service's spelling, as its name describes it.

    A field given as None is left out.
    """
    kind, seconds = re.fullmatch(r"([a-z]+)([\d.]+)[a-z]*", name).groups()
    mine = kind == "own"
    made = {
        "Id": name,
        "AbsoluteTime": at(float(seconds)).isoformat(timespec="milliseconds"),
        "ContactId": CONTACT,
        "ParticipantId": ME if mine else AGENT,
        "ParticipantRole": "CUSTOMER" if mine else "AGENT",
    }
    if kind in _EVENTS:
        made |= {"Type": "EVENT", "ContentType": EVENT_PREFIX + _EVENTS[kind]}
    else:
        made |= {"Type": "MESSAGE", "ContentType": "text/plain", "Content": f"content of {name}"}
    return {key: value for key, value in (made | fields).items() if value is not None}


def item(name: str, **fields: Any) -> Item:
    """Return an item, as its name describes it."""
    return parse_item(raw(name, **fields))


def frame(content: dict[str, Any]) -> str:
    """Return the frame that pushes an item."""
    return json.dumps(
        {"topic": "aws/chat", "contentType": "application/json", "content": json.dumps(content)}
    )


def error(kind: type[ServiceError], retry_after: float | None = None) -> ServiceError:
    """Return a service's error."""
    status = {
        AccessDeniedException: 403,
        InternalServerException: 500,
        ThrottlingException: 429,
        ValidationException: 400,
    }[kind]
    made = kind(status_code=status, code=kind.__name__, operation="an operation")
    made.retry_after = retry_after
    return made


DENIED = error(AccessDeniedException)
BROKEN = error(InternalServerException)
THROTTLED = error(ThrottlingException, retry_after=7.0)
INVALID = error(ValidationException)
DISTRUSTED = ServiceUnreachableError("not trusted", operation="an operation", retryable=False)


def names(items: Iterable[Item]) -> list[str]:
    """Return items by name, with what is special about them."""
    return [_name(one) for one in items]


def _name(one: Item) -> str:
    marks = [mark for mark in ("late", "from_me", "inferred") if getattr(one, mark, False)]
    return " ".join([one.id or type(one).__name__, *marks])


class Chat:
    """An engine under test.

    Attributes:
        engine: The engine.
        now: Its clock.
        mute: The links whose heartbeats nobody answers.
        ill: Whether deep heartbeats are answered with a failure.
        sent: Every frame sent, as (time, link, topic).
        traces: Every `Trace` so far.
        calls: The calls that wait for an answer, oldest first.
        reads: The reads that wait for an answer, oldest first.
    """

    def __init__(self, *, options: SessionOptions | None = None, **session: Any) -> None:
        self.now = 1000.0
        self.engine = SessionEngine(
            "participant-token",
            options=options or SessionOptions(),
            rng=Middling(),
            **session,
        )
        self.mute: set[str] = set()
        self.ill = False
        self.sent: list[tuple[float, str, str]] = []
        self.traces: list[Trace] = []
        self.calls: list[CallService] = []
        self.reads: list[ReadTranscript] = []
        self._links: dict[str, int] = {}
        self._renewals: list[int] = []
        self._asked: set[int] = set()

    # What happens.

    def start(self) -> list[str]:
        """Start the session."""
        return self._tell(self.engine.start)

    def passes(self, seconds: float) -> list[str]:
        """Let time pass; return everything that is asked for meanwhile."""
        until, asked, rings = self.now + seconds, [], 0
        while (due := self.engine.wake_at) is not None and due <= until:
            rings = rings + 1 if due <= self.now else 0
            assert rings < 20, "the engine spins"
            self.now = max(due, self.now)
            asked += self._tell(self.engine.wake)
        self.now = until
        return asked

    def granted(self, link: str, *, lifetime: float = 3600.0, clock: float = 0.0) -> list[str]:
        """Give the connection that was asked for.

        Args:
            link: The link that it was asked for.
            lifetime: Seconds until ConnectionExpiry, by the service's clock.
            clock: How far our clock is ahead of the service's, in seconds.
        """
        self._asked.discard(self._links[link])
        return self._tell(
            self.engine.connection_granted,
            self._links[link],
            grant(f"token {link}", lifetime=lifetime, clock=clock),
        )

    def refused(self, link: str, why: Exception) -> list[str]:
        """Refuse the connection that was asked for."""
        self._asked.discard(self._links[link])
        return self._tell(self.engine.connection_refused, self._links[link], why)

    def renewed(self, token: str = "token new") -> list[str]:
        """Give the token that was asked for."""
        return self._tell(
            self.engine.connection_granted, self._renewals.pop(), grant(token, url=None)
        )

    def not_renewed(self, why: Exception) -> list[str]:
        """Refuse the token that was asked for."""
        return self._tell(self.engine.connection_refused, self._renewals.pop(), why)

    def opened(self, link: str) -> list[str]:
        """Open the socket."""
        return self._tell(self.engine.socket_opened, self._links[link])

    def not_opened(self, link: str, *, spent: bool, distrusted: bool = False) -> list[str]:
        """Fail to open the socket."""
        number = self._links[link]
        return self._tell(
            lambda now: self.engine.socket_failed(
                number, "refused", now, spent=spent, distrusted=distrusted
            )
        )

    def closed(self, link: str, code: int | None = 1006) -> list[str]:
        """Cut the socket."""
        return self._tell(self.engine.socket_closed, self._links[link], code)

    def accepted(self, link: str) -> list[str]:
        """Accept the subscription."""
        return self.frame(link, '{"topic":"aws/subscribe","content":{"status":"success"}}')

    def declined(self, link: str) -> list[str]:
        """Refuse the subscription."""
        return self.frame(link, '{"topic":"aws/subscribe","content":{"status":"failure"}}')

    def beats(self, link: str) -> list[str]:
        """Answer a heartbeat."""
        return self.frame(link, HEARTBEAT)

    def says(self, link: str, *items: str | dict[str, Any]) -> list[str]:
        """Push items."""
        asked = []
        for one in items:
            asked += self.frame(link, frame(raw(one) if isinstance(one, str) else one))
        return asked

    def frame(self, link: str, text: str) -> list[str]:
        """Push a frame."""
        return self._tell(self.engine.frame_received, self._links[link], text)

    def page(self, *items: str | dict[str, Any], more: str | None = None) -> list[str]:
        """Answer the oldest read: items, ascending, and a NextToken."""
        shown = [item(one) if isinstance(one, str) else parse_item(one) for one in items]
        return self._tell(self.engine.page_read, self.reads.pop(0).request, shown, more)

    def page_fails(self, why: Exception) -> list[str]:
        """Fail the oldest read."""
        return self._tell(self.engine.page_failed, self.reads.pop(0).request, why)

    def send(self, content: str = "hello", operation: Any = "SendMessage") -> list[str]:
        """Say something."""
        outgoing = Outgoing(operation, content, client_token=f"client token of {content}")
        return self._tell(lambda now: self.engine.send(outgoing, now))

    def answered(self, name: str | None = None) -> list[str]:
        """Answer the oldest call, with an item's Id."""
        return self._tell(self.engine.call_succeeded, self.calls.pop(0).call, name, None)

    def call_fails(self, why: Exception) -> list[str]:
        """Fail the oldest call."""
        return self._tell(self.engine.call_failed, self.calls.pop(0).call, why)

    def close(self) -> list[str]:
        """Close our end."""
        return self._tell(self.engine.close)

    # What comes of it.

    def gets(self, reader: Reader | None = None) -> list[str]:
        """Take all that a reader has now."""
        return names(self.take(reader))

    def take(self, reader: Reader | None = None, limit: int | None = None) -> list[Item]:
        """Take all that a reader has now, or so many items at most."""
        found: list[Item] = []
        reader = reader or self.engine.reader
        while len(found) != limit and (one := reader.take(self.now)) is not None:
            found.append(one)
        self._note(self.engine.take_commands())
        return found

    def results(self) -> list[CallResult]:
        """Take the outcomes of calls."""
        return self.engine.take_results()

    @property
    def state(self) -> str:
        """The session's state."""
        return str(self.engine.state)

    @property
    def next_link(self) -> str:
        """The name that the next link will have."""
        return chr(ord("A") + len(self._links))

    def traced(self, event: str) -> list[Trace]:
        """Return the traces of one event."""
        return [one for one in self.traces if one.event == event]

    def _tell(self, what: Callable[..., object], *arguments: object) -> list[str]:
        what(*arguments, self.now)
        asked = []
        while commands := self.engine.take_commands():
            asked += self._note(commands)
            for command in commands:
                self._answer(command)
        return asked

    def _answer(self, command: Command) -> None:
        if not isinstance(command, SendFrame) or self._letter(command.link) in self.mute:
            return
        if command.text == HEARTBEAT:
            self.engine.frame_received(command.link, HEARTBEAT, self.now)
        elif command.text == PING:
            answer = {"topic": "aws/ping", "statusCode": 500 if self.ill else 200}
            self.engine.frame_received(command.link, json.dumps(answer), self.now)

    def _note(self, commands: Sequence[Command]) -> list[str]:
        return [words for command in commands if (words := self._in_words(command))]

    def _in_words(self, command: Command) -> str | None:
        match command:
            case Trace():
                self.traces.append(command)
            case SendFrame(link=link, text=text):
                topic = json.loads(text)["topic"].removeprefix("aws/")
                self.sent.append((self.now, self._letter(link), topic))
                return f"subscribe {self._letter(link)}" if topic == "subscribe" else None
            case RequestConnection(request=number, websocket=True):
                self._links[self.next_link] = number
                self._asked.add(number)
                return f"ask {self._letter(number)} {command.urgency}"
            case RequestConnection(request=number):
                self._renewals.append(number)
                return "renew the token"
            case OpenSocket(link=link):
                return f"open {self._letter(link)}"
            case CloseSocket(link=link):
                return f"close {self._letter(link)}"
            case ReadTranscript():
                self.reads.append(command)
                return f"read {_in_words(command.query)}, {command.urgency}"
            case Forget(request=number):
                return self._forgotten(number)
            case CallService(outgoing=outgoing):
                self.calls.append(command)
                token = command.connection_token
                return f"call {outgoing.operation} {outgoing.content} with {token}"
        return None

    def _forgotten(self, number: int) -> str | None:
        if number in self._renewals:
            self._renewals.remove(number)
            return "forget the renewal"
        if any(number == read.request for read in self.reads):
            self.reads = [read for read in self.reads if read.request != number]
            return "forget the read"
        if number in self._asked:
            self._asked.remove(number)
            return f"forget {self._letter(number)}"
        return None  # It has been answered.

    def _letter(self, number: int) -> str:
        return next(letter for letter, link in self._links.items() if link == number)


def _in_words(query: Any) -> str:
    if "next_token" in query:
        return f"on at {query['next_token']}"
    if query["scan_direction"] == "BACKWARD":
        return "the newest" if query["max_results"] == 1 else "backward"
    start = query["start_position"]
    return f"from {start['Id']}" if "Id" in start else f"from {start['AbsoluteTime'][11:]}"


def grant(
    token: str, *, url: str | None = "wss://a", lifetime: float = 3600.0, clock: float = 0.0
) -> Grant:
    """Return what the service gives."""
    return Grant(
        url=url,
        connection_expiry=None if url is None else T0 + timedelta(seconds=lifetime),
        connection_token=token,
        token_expiry=T0 + timedelta(days=1),
        service_time=T0,
        local_time=T0 + timedelta(seconds=clock),
    )


def connected(*items: str, options: SessionOptions | None = None, **session: Any) -> Chat:
    """Return a chat whose link A is live, its transcript read and its items taken."""
    chat = Chat(options=options or SessionOptions(relooks=(), reorder_window=0.0), **session)
    chat.start()
    chat.granted("A")
    chat.opened("A")
    chat.accepted("A")
    chat.page(*items)
    chat.gets()
    return chat


def replace(chat: Chat, link: str) -> list[str]:
    """Grant, open and subscribe a link that was asked for; return the last step's commands."""
    chat.granted(link)
    chat.opened(link)
    return chat.accepted(link)


def documented_table(docstring: str) -> dict[str, set[str]]:
    """Return a docstring's table of states: the states that each is left for, by their names."""
    header, rows = re.findall(r"^ {4}state .*$", docstring, re.M)[0], {}
    column = header.index("left for")
    names = [line[4:column].split()[0] for line in re.findall(r"^ {4}[A-Z]+ .*$", docstring, re.M)]
    state = None
    for line in docstring.splitlines():
        if (first := line[4:].split(" ")[0]) in names and line.startswith("    " + first):
            state = first
            rows[state] = ""
        elif not line.startswith(" " * 17):
            state = None
        if state:
            rows[state] += line[column:] + " "
    return {state: set(re.findall(r"[A-Z]+", text)) & set(names) for state, text in rows.items()}
