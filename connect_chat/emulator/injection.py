"""Faults at work: which of them happen, and to whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from types import TracebackType
from typing import Self

from connect_chat.emulator.contact import Contact, Participant, Socket
from connect_chat.emulator.faults import (
    Cut,
    ExpireSockets,
    ExpireTokens,
    Fault,
    FrameFault,
    Freeze,
    describe,
)
from connect_chat.emulator.recording import Records, Whom
from connect_chat.emulator.service import GOING_AWAY, Service

__all__ = ["Faults", "Injection"]


class Injection:
    """A fault that was injected. As a context manager, it is removed at the end of the block.

    Attributes:
        id: Its number.
        fault: The fault.
        applied: How often it has happened.
        dice: What is at random is taken from here.
    """

    def __init__(
        self, number: int, fault: Fault, contact: Contact | None, end: Callable[[Injection], None]
    ) -> None:
        self.id = number
        self.fault = fault
        self.applied = 0
        self.dice = Random(fault.seed)  # noqa: S311 - to be repeated, not a secret
        self._contact = contact
        self._end = end

    def __repr__(self) -> str:
        return f"<Injection {self.id}: {self.fault}, applied {self.applied} times>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """End the fault; what is frozen thaws. Nothing happens if it is over."""
        self._end(self)

    @property
    def spent(self) -> bool:
        """Whether it has happened as often as it was to."""
        return self.applied == self.fault.count

    def hits(self, whom: Whom) -> bool:
        """Return whether it happens to somebody this time, which chance may decide, and count it.

        Args:
            whom: To whom it could happen.
        """
        if self.spent or not self._concerns(whom):
            return False
        if self.fault.probability < 1 and self.dice.random() >= self.fault.probability:
            return False
        self.applied += 1
        return True

    def _concerns(self, whom: Whom) -> bool:
        participant = whom if isinstance(whom, Participant) else None
        contact = whom if participant is None else participant.contact
        if self._contact not in (None, contact):
            return False
        wanted = self.fault.participant
        return wanted is None or (
            participant is not None and wanted in (participant.id, participant.role)
        )


class Faults:
    """The faults of an emulator.

    Attributes:
        of_frames: Whether there are any about frames.
    """

    def __init__(self, service: Service, records: Records) -> None:
        self._service = service
        self._records = records
        self._numbers = count(1)
        # With what ends each of them, and those that wait for something to happen to.
        self._injected: dict[Injection, list[Callable[[], object]]] = {}
        self._waiting: list[Injection] = []
        self.of_frames = False

    @property
    def injected(self) -> list[Injection]:
        """Those that are not over, in the order of their injection."""
        return list(self._injected)

    def inject(self, fault: Fault) -> Injection:
        """Let something go wrong.

        Raises:
            Refusal: ResourceNotFoundException if it is about a chat that does not exist.
        """
        contact = None if fault.contact_id is None else self._service.contact(fault.contact_id)
        injection = Injection(next(self._numbers), fault, contact, self._end)
        self._injected[injection] = []
        if fault.after:
            self._later(fault.after, self._begin, injection)
        else:
            self._begin(injection)
        return injection

    def take(self, *kinds: type[Fault], whom: Whom, of: str | None = None) -> Injection | None:
        """Return the fault that happens now: of those that would, the first injected one.

        Args:
            *kinds: Which kinds could happen.
            whom: To whom.
            of: The operation of a request, or a frame's topic.
        """
        return next(self.take_all(*kinds, whom=whom, of=of), None) if self._waiting else None

    def take_all(
        self, *kinds: type[Fault], whom: Whom, of: str | None = None
    ) -> Iterator[Injection]:
        """Yield all faults that happen now. See `take`."""
        for injection in list(self._waiting):
            fault = injection.fault
            if isinstance(fault, kinds) and fault.meets(of) and self._hits(injection, whom, of):
                if injection.spent:
                    self._end(injection)
                yield injection

    def _hits(self, injection: Injection, whom: Whom, of: str | None = None) -> bool:
        happens = injection.hits(whom)
        if happens:
            self._records.add("fault", whom, operation=of, body=describe(injection.fault))
        return happens

    def _later(
        self, seconds: float, happen: Callable[[Injection], None], injection: Injection
    ) -> None:
        self._injected[injection].append(self._service.clock.after(seconds, happen, injection))

    def _begin(self, injection: Injection) -> None:
        fault = injection.fault
        if fault.lasts is not None:
            self._later(fault.lasts, self._end, injection)
        match fault:
            case Cut() | ExpireSockets() | ExpireTokens():
                self._strike(injection)
                self._end(injection)
            case Freeze(direction=direction):
                for socket in self._sockets(injection):
                    self._injected[injection].append(socket.connection.hold(direction))
            case _:
                self._waiting.append(injection)
                self.of_frames = self.of_frames or isinstance(fault, FrameFault)

    def _strike(self, injection: Injection) -> None:
        """Do what is done at once."""
        match injection.fault:
            case Cut(code=None):
                for socket in self._sockets(injection):
                    self._service.drop_socket(socket)
            case Cut(code=int() as code):
                for socket in self._sockets(injection):
                    socket.connection.close(code)
            case ExpireSockets():
                for socket in self._sockets(injection):
                    socket.connection.close(GOING_AWAY)
            case ExpireTokens():
                for contact in self._service.chats():
                    for participant in contact.participants:
                        if self._hits(injection, participant):
                            self._service.tokens.expire_connection_tokens(participant)

    def _sockets(self, injection: Injection) -> list[Socket]:
        sockets = self._service.sockets()
        return [socket for socket in sockets if self._hits(injection, socket.participant)]

    def _end(self, injection: Injection) -> None:
        for undo in self._injected.pop(injection, ()):
            undo()
        if injection in self._waiting:
            self._waiting.remove(injection)
            self.of_frames = any(isinstance(kept.fault, FrameFault) for kept in self._waiting)
