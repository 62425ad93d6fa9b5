"""The steps of a scenario, as values.

In every text, ``{answer}`` stands for what the customer said last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from connect_chat.emulator.faults import Fault
from connect_chat.errors import ConfigurationError

__all__ = [
    "CUSTOMER",
    "FLOW",
    "Answer",
    "Ask",
    "AwaitCustomer",
    "End",
    "Idle",
    "Inject",
    "Interactive",
    "Join",
    "Leave",
    "Listen",
    "Repeat",
    "Return",
    "Say",
    "Scenario",
    "SendFile",
    "Step",
    "Stream",
    "Transfer",
    "Type",
    "Wait",
]

FLOW = "flow"
"""Who speaks for the contact flow, with the role SYSTEM. Everybody else has to `Join` first."""

CUSTOMER = "customer"
"""Whose chat it is."""


@dataclass(frozen=True, slots=True)
class Say:
    """Somebody sends a message.

    Attributes:
        text: Its content.
        by: Who sends it.
        content_type: Its type.
    """

    text: str
    by: str = FLOW
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class Type:
    """Somebody shows that they are typing.

    Attributes:
        by: Who.
    """

    by: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing happens for a while; in virtual time that takes none.

    Attributes:
        seconds: How long.
    """

    seconds: float

    def __post_init__(self) -> None:
        _check_seconds("seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class AwaitCustomer:
    """Wait until the customer has connected."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers that are foreseen.

    Attributes:
        match: A regular expression that is found in the answer, in capitals or not.
        steps: What happens then.
    """

    match: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        try:
            re.compile(self.match)
        except re.error as error:
            raise ConfigurationError(
                f"match must be a regular expression: {error}; write \\ before . ? * + ( ) [ ] "
                "that stand for themselves"
            ) from None


@dataclass(frozen=True, slots=True)
class Listen:
    """Wait for the customer's next message, and go on as it says.

    Attributes:
        answers: The answers that are foreseen; the first that matches counts.
        otherwise: What happens after any other answer.
        timeout: For how many seconds to wait; None for as long as it takes.
        silence: What happens when nothing was said by then.
    """

    answers: tuple[Answer, ...] = ()
    otherwise: tuple[Step, ...] = ()
    timeout: float | None = field(default=None, kw_only=True)
    silence: tuple[Step, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        _check_seconds("timeout", self.timeout)


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody asks something; then as `Listen`, for what is said from then on.

    Attributes:
        text: The question.
        answers: See `Listen`, as for the others.
        otherwise: See `Listen`.
        by: Who asks.
        timeout: See `Listen`.
        silence: See `Listen`.
    """

    text: str
    answers: tuple[Answer, ...] = ()
    otherwise: tuple[Step, ...] = ()
    by: str = field(default=FLOW, kw_only=True)
    timeout: float | None = field(default=None, kw_only=True)
    silence: tuple[Step, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        _check_seconds("timeout", self.timeout)


@dataclass(frozen=True, slots=True)
class Interactive:
    """The flow sends an interactive message; `Listen` takes what is picked.

    Attributes:
        template: It, in the service's spelling: ``{"templateType": "ListPicker", "version":
            "1.0", "data": {"content": {"title": …, "elements": […]}}}``.
    """

    template: Mapping[str, Any]

    def __post_init__(self) -> None:
        try:
            json.dumps(self.template)
        except TypeError as error:
            raise ConfigurationError(
                f"template must be JSON: {error}; in YAML, put dates in quotes"
            ) from None


@dataclass(frozen=True, slots=True)
class Stream:
    """Somebody answers piece by piece, as a generative bot does.

    Attributes:
        pieces: What the answer consists of.
        interval: Seconds between two pieces.
        by: Who answers.
    """

    pieces: tuple[str, ...]
    interval: float = 0.1
    by: str = FLOW

    def __post_init__(self) -> None:
        _check_seconds("interval", self.interval)


@dataclass(frozen=True, slots=True)
class SendFile:
    """Somebody sends a file.

    Attributes:
        name: Its name.
        text: What is in it.
        content_type: Its MIME type.
        by: Who sends it.
    """

    name: str
    text: str
    content_type: str = "text/plain"
    by: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Join:
    """Somebody joins.

    Attributes:
        name: Their name, which the other steps call them by.
        role: Their role.
    """

    name: str
    role: Literal["AGENT", "SUPERVISOR", "CUSTOM_BOT"] = "AGENT"


@dataclass(frozen=True, slots=True)
class Leave:
    """Somebody leaves.

    Attributes:
        by: Who.
    """

    by: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """An agent transfers the chat to another one, who joins.

    Attributes:
        to: The other one's name.
        by: Who transfers it.
    """

    to: str
    by: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Idle:
    """Everybody is told that somebody has gone idle.

    Attributes:
        by: Who; ``"customer"``, too.
    """

    by: str


@dataclass(frozen=True, slots=True)
class Return:
    """Everybody is told that somebody who was idle has returned.

    Attributes:
        by: Who; ``"customer"``, too.
    """

    by: str


@dataclass(frozen=True, slots=True)
class Inject:
    """Something goes wrong, in this chat unless the fault says otherwise.

    Attributes:
        fault: What.
    """

    fault: Fault


@dataclass(frozen=True, slots=True)
class Repeat:
    """Steps happen again and again.

    Attributes:
        steps: Which. Endless ones have to wait for something.
        times: How often; None for as long as the chat lasts.
    """

    steps: tuple[Step, ...]
    times: int | None = None

    def __post_init__(self) -> None:
        if self.times is None and not any(map(_waits, self.steps)):
            raise ConfigurationError(
                "steps that are repeated without end must wait for something: say how many times, "
                "or let them begin with listen, ask or wait"
            )


@dataclass(frozen=True, slots=True)
class End:
    """The chat ends."""


Step = (
    Say
    | Type
    | Wait
    | AwaitCustomer
    | Listen
    | Ask
    | Interactive
    | Stream
    | SendFile
    | Join
    | Leave
    | Transfer
    | Idle
    | Return
    | Inject
    | Repeat
    | End
)


@dataclass(frozen=True, slots=True, init=False)
class Scenario:
    """What the other side of a chat does, step by step; after the last one the chat goes on.

    Attributes:
        steps: The steps.
        name: What it is called.
        about: What it shows, in a sentence.
    """

    steps: tuple[Step, ...]
    name: str
    about: str

    def __init__(self, *steps: Step, name: str = "scenario", about: str = "") -> None:
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "about", about)


def _waits(step: Step) -> bool:
    match step:
        case Listen() | Ask():
            return True
        case Wait(seconds=seconds):
            return seconds > 0
        case Stream(pieces=pieces, interval=interval):
            return interval > 0 and len(pieces) > 1
        case Repeat(steps=steps):
            return any(map(_waits, steps))
    return False


def _check_seconds(name: str, seconds: float | None) -> None:
    if seconds is not None and seconds < 0:
        raise ConfigurationError(f"{name} must be 0 or more; got {seconds}")
