"""What can go wrong, as values: `Emulator.inject` makes it happen.

Faults of requests::

    Fail("SendMessage", "ThrottlingException", count=2)     the service refuses
    Fail("GetTranscript", 503)                              a gateway in between does
    LoseAnswer("SendMessage")                               the work is done, the answer lost
    SlowAnswer("PutObject", 5.0)                            S3 takes its time

Faults of websockets::

    RejectUpgrade(503)  ExpireUrls()  ExpireSockets()  ExpireTokens()  Cut()  Freeze("down")
    RefuseSubscription()  IgnoreSubscription()

Faults of frames on their way to the client, by default of those that carry items::

    Delay(0.2, jitter=0.1)  Drop(probability=0.1)  Duplicate()  Reorder()  Truncate()  Corrupt()

And of the scanner: ``RejectAttachment()``. All of them take the fields of `Fault`, which say where
and how often they happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_json

from connect_chat.emulator.model import CONTROL_PLANE, PARTICIPANT_SERVICE
from connect_chat.emulator.refusal import STATUS
from connect_chat.errors import ConfigurationError

__all__ = [
    "KINDS",
    "Corrupt",
    "Cut",
    "Delay",
    "Drop",
    "Duplicate",
    "ExpireSockets",
    "ExpireTokens",
    "ExpireUrls",
    "Fail",
    "Fault",
    "FrameFault",
    "Freeze",
    "IgnoreSubscription",
    "LoseAnswer",
    "RefuseSubscription",
    "RejectAttachment",
    "RejectUpgrade",
    "Reorder",
    "RequestFault",
    "SlowAnswer",
    "Truncate",
    "describe",
    "parse_fault",
]

STORAGE_OPERATIONS = ("PutObject", "GetObject")
"""S3's names for the upload and the download of an attachment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Where, when and how often something goes wrong.

    Attributes:
        contact_id: In which chat; None for all.
        participant: Whose connection: a ParticipantId, or a role such as ``"CUSTOMER"``; None for
            everybody's.
        count: How often, 1 or more; None for as long as it is injected.
        probability: How likely it is each time that it could happen, more than 0 and at most 1.
        seed: Of the dice for ``probability`` and for times at random. The same faults on the same
            chat happen at the same places.
        after: Seconds from the injection until it begins.
        lasts: Seconds from then on after which it is over; None for until it is removed.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    contact_id: str | None = None
    participant: str | None = None
    count: int | None = None
    probability: float = 1.0
    seed: int = 0
    after: float = 0.0
    lasts: float | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ConfigurationError(f"count must be 1 or more; got {self.count}")
        if not 0 < self.probability <= 1:
            raise ConfigurationError(
                f"probability must be more than 0 and at most 1; got {self.probability}"
            )
        for name in ("after", "lasts", "seconds", "jitter", "within", "retry_after"):
            value = getattr(self, name, None)
            if value is not None and value < 0:
                raise ConfigurationError(f"{name} must be 0 or more; got {value}")
        self._check()

    def meets(self, what: str | None) -> bool:
        """Return whether it is about this operation of a request, or this topic of a frame."""
        return True

    def _check(self) -> None:
        """Check the fields of a kind."""


# --- Requests ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequestFault(Fault):
    """Something goes wrong with a request.

    Attributes:
        operation: The operation's name, S3's ``"PutObject"`` and ``"GetObject"`` among them; None
            for all of the participant service and the control plane.
    """

    operation: str | None = None

    def _check(self) -> None:
        known = (*PARTICIPANT_SERVICE, *CONTROL_PLANE, *STORAGE_OPERATIONS)
        if self.operation is not None and self.operation not in known:
            raise ConfigurationError(
                f"there is no operation {self.operation!r}; there are {', '.join(known)}"
            )

    def meets(self, what: str | None) -> bool:
        """Return whether it is about this operation."""
        if self.operation is None:
            return what not in STORAGE_OPERATIONS
        return self.operation == what


@dataclass(frozen=True, slots=True)
class Fail(RequestFault):
    """A request is answered with an error.

    Attributes:
        error: The service's name of the error, or the bare HTTP status, 400 to 599, of a gateway
            or of S3.
        after_work: Whether the operation does its work first.
        retry_after: What the answer's Retry-After says, in seconds; None for no such header.
    """

    error: str | int = 500
    after_work: bool = False
    retry_after: int | None = None

    def _check(self) -> None:
        RequestFault._check(self)
        operation = self.operation or ""
        known = PARTICIPANT_SERVICE.get(operation) or CONTROL_PLANE.get(operation)
        names = tuple(STATUS) if self.operation is None else known.errors if known else ()
        if isinstance(self.error, str) and self.error not in names:
            allowed = ", ".join(names) or "a status"
            raise ConfigurationError(
                f"{self.operation or 'the service'} answers with {allowed}; got {self.error!r}"
            )
        if isinstance(self.error, int) and not 400 <= self.error <= 599:
            raise ConfigurationError(f"a status of an error is 400 to 599; got {self.error}")


@dataclass(frozen=True, slots=True)
class LoseAnswer(RequestFault):
    """A request is not answered: its connection breaks.

    Attributes:
        after_work: Whether the operation does its work first.
    """

    after_work: bool = True


@dataclass(frozen=True, slots=True)
class SlowAnswer(RequestFault):
    """A request is answered late; its work is done at once.

    Attributes:
        seconds: By how much.
        jitter: Up to so many seconds more, at random.
    """

    seconds: float = 1.0
    jitter: float = 0.0


# --- Websockets ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RejectUpgrade(Fault):
    """A websocket does not open; its URL stays good.

    Attributes:
        status: The HTTP status of the answer, 400 to 599.
    """

    status: int = 403

    def _check(self) -> None:
        if not 400 <= self.status <= 599:
            raise ConfigurationError(f"a status of an error is 400 to 599; got {self.status}")


@dataclass(frozen=True, slots=True)
class ExpireUrls(Fault):
    """A websocket URL that is presented turns out to be too old."""


@dataclass(frozen=True, slots=True)
class ExpireSockets(Fault):
    """The websockets that are open when it begins expire: they are closed as at their end."""


@dataclass(frozen=True, slots=True)
class ExpireTokens(Fault):
    """The ConnectionTokens that participants were given before it begins are refused."""


@dataclass(frozen=True, slots=True)
class Cut(Fault):
    """The websockets that are open when it begins break.

    Attributes:
        code: The code of a closing handshake, 1000 to 4999; None for none: TCP is reset.
    """

    code: int | None = None

    def _check(self) -> None:
        if self.code is not None and not 1000 <= self.code <= 4999:
            raise ConfigurationError(f"a close code is 1000 to 4999; got {self.code}")


@dataclass(frozen=True, slots=True)
class Freeze(Fault):
    """The websockets that are open when it begins go silent: nothing arrives, nothing closes.

    When it ends, what was held up arrives; what was sent on a websocket that is gone by then, does
    not.

    Attributes:
        direction: ``"up"``, to the service; ``"down"``, to the client; or ``"both"``.
    """

    direction: Literal["up", "down", "both"] = "both"


@dataclass(frozen=True, slots=True)
class RefuseSubscription(Fault):
    """A subscription is answered with a status that is not success."""


@dataclass(frozen=True, slots=True)
class IgnoreSubscription(Fault):
    """A subscription is not answered, and does nothing."""


# --- Frames --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FrameFault(Fault):
    """Something happens to frames on their way to the client.

    Attributes:
        topic: The frames' topic, ``"aws/chat"``, ``"aws/heartbeat"``, ``"aws/ping"`` or
            ``"aws/subscribe"``; None for all.
    """

    topic: str | None = field(default="aws/chat", kw_only=True)

    def meets(self, what: str | None) -> bool:
        """Return whether it is about frames of this topic."""
        return self.topic in (None, what)


@dataclass(frozen=True, slots=True)
class Delay(FrameFault):
    """Frames arrive late, in their order.

    Attributes:
        seconds: By how much.
        jitter: Up to so many seconds more, at random.
    """

    seconds: float = 1.0
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class Drop(FrameFault):
    """Frames do not arrive."""


@dataclass(frozen=True, slots=True)
class Duplicate(FrameFault):
    """Frames arrive twice."""


@dataclass(frozen=True, slots=True)
class Reorder(FrameFault):
    """Frames arrive late, each on its own, so that they overtake each other.

    Attributes:
        within: The most seconds that one is late; how many, is at random.
    """

    within: float = 1.0


@dataclass(frozen=True, slots=True)
class Truncate(FrameFault):
    """Frames arrive with the first half of their text."""


@dataclass(frozen=True, slots=True)
class Corrupt(FrameFault):
    """Frames arrive with bytes in them that are not even UTF-8."""


# --- Attachments ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RejectAttachment(Fault):
    """The scanner rejects an attachment whose upload is completed."""


KINDS: Mapping[str, type[Fault]] = {
    "fail": Fail,
    "lose_answer": LoseAnswer,
    "slow_answer": SlowAnswer,
    "reject_upgrade": RejectUpgrade,
    "expire_urls": ExpireUrls,
    "expire_sockets": ExpireSockets,
    "expire_tokens": ExpireTokens,
    "cut": Cut,
    "freeze": Freeze,
    "refuse_subscription": RefuseSubscription,
    "ignore_subscription": IgnoreSubscription,
    "delay": Delay,
    "drop": Drop,
    "duplicate": Duplicate,
    "reorder": Reorder,
    "truncate": Truncate,
    "corrupt": Corrupt,
    "reject_attachment": RejectAttachment,
}
"""The kinds of fault, by what they are called in scenarios and in the admin API."""

STRIKING = (Cut, ExpireSockets, ExpireTokens, Freeze)
"""The kinds that happen to what is there when they begin, and to nothing that comes later."""

_NAMES = {kind: name for name, kind in KINDS.items()}


def describe(fault: Fault) -> dict[str, Any]:
    """Return a fault as `parse_fault` takes it, without the fields that are as by default."""
    changed = {
        known.name: getattr(fault, known.name)
        for known in fields(fault)
        if getattr(fault, known.name) != known.default
    }
    return {"kind": _NAMES[type(fault)], **changed}


def parse_fault(members: Mapping[str, Any]) -> Fault:
    """Return the fault that ``{"kind": "drop", "probability": 0.1}`` and the like describe.

    Raises:
        ConfigurationError: There is no such kind, or a field is unknown or out of its bounds.
    """
    given = dict(members)
    name = given.pop("kind", None)
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ConfigurationError(f"kind must be one of {', '.join(KINDS)}")
    try:
        return TypeAdapter(kind).validate_json(to_json(given))
    except ValidationError as error:
        problem = error.errors()[0]
        where = "".join(f"{part}: " for part in (name, *problem["loc"]))
        raise ConfigurationError(where + problem["msg"].removeprefix("Value error, ")) from None
