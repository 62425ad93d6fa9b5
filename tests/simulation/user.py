"""The application: it reads at its own pace, talks, takes snapshots and comes back from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connect_chat.engine.commands import Outgoing
from connect_chat.engine.session import SessionState
from connect_chat.errors import ChatEndedError, NotConnectedError
from connect_chat.items import Message

from .checks import ReaderLog, Violation
from .transcript import Said

if TYPE_CHECKING:
    from connect_chat.engine.outbox import CallResult

    from .process import Process
    from .world import World

__all__ = ["Send", "User"]

OVER = frozenset({SessionState.ENDED, SessionState.FAILED, SessionState.CLOSED})


@dataclass(slots=True, eq=False)
class Send:
    """One thing that we said.

    Attributes:
        process: Where.
        call: The engine's number for it.
        client_token: What tells repetitions of it from others.
        outcome: ``"pending"``, ``"sent"``, ``"failed"`` or ``"withdrawn"``.
        item_id: The Id that the engine reported.
    """

    process: Process
    call: int
    client_token: str
    outcome: str = "pending"
    item_id: str | None = None


class User:
    """Whoever uses the session.

    Attributes:
        handled: What was handled, in order, by all processes; the snapshot covers some of it.
        sends: All that we tried to say.
        snapshot: The last snapshot taken, as text.
        hurried: Whether everything is now read as soon as it comes.
    """

    def __init__(self, world: World) -> None:
        self.handled: list[Said] = []
        self.sends: list[Send] = []
        self.snapshot: str | None = None
        self.covered = 0
        self.hurried = False
        self.log: ReaderLog | None = None
        self._world = world
        self._rng = world.rng
        plan = world.plan
        # Whoever handles at once can as well take the snapshot at the last moment, much cheaper.
        self._late = plan.snapshot_every == 1 and plan.handling == 0.0
        self._every = 0 if self._late else plan.snapshot_every
        self._busy = False
        self._paused_until = 0.0
        self._others: list[ReaderLog] = []
        self._shadow: ReaderLog | None = None

    # Processes.

    def begin(self, process: Process) -> None:
        """Start using a new process."""
        plan = self._world.plan
        eager = plan.handling == 0.0 and "pause" not in plan.kinds and plan.options.buffer >= 1000
        self.log = process.ledger.watch(process.engine.reader, eager=eager)
        self._shadow = None
        if not eager:
            # A slow reader's order says little about the engine's; this one is always empty.
            self._shadow = process.ledger.watch(process.engine.open_reader(1 << 30), eager=True)
        self._others = []
        self._busy = False
        self.take_snapshot()

    def take_snapshot(self) -> None:
        """Keep a snapshot that covers what has been handled so far."""
        self.snapshot = self._world.process.engine.snapshot().dump()
        self.covered = len(self.handled)
        if self._world.tell:
            self._world.tell("**", "snapshot", self.covered, self.snapshot)

    def put_down(self) -> None:
        """Keep a snapshot if nothing that was read still waits to be handled."""
        if not self._busy:
            self.take_snapshot()

    def killed(self) -> None:
        """Keep the snapshot that was taken after the last item, if that is the habit."""
        if self._late:
            self.put_down()

    # Reading.

    def read(self, process: Process) -> bool:
        """Read what is there now, as far as we care to. True if anything was done."""
        did = False
        if self._shadow is not None:
            did = self._drain(process, self._shadow)
        for log in self._others:
            did |= self._drain(process, log)
        if self.log is None or self._busy:
            return did
        clock = process.clock
        if self._paused_until > clock.now:
            return did
        handling = 0.0 if self.hurried else self._world.plan.handling
        if handling == 0.0:
            did |= self._drain(process, self.log)
        else:
            item = self.log.reader.take(process.now)
            if item is not None:
                self._busy = True
                said = self._take(self.log, item)
                clock.after(handling * self._rng.random() * 2.0, self._handle, process, said, item)
                return True
        return did

    def pause(self, duration: float) -> None:
        """Read nothing for a while."""
        self._paused_until = self._world.clock.now + duration
        self._world.clock.after(duration, self._look)

    def hurry(self) -> None:
        """Read whatever comes from now on as soon as it does."""
        self.hurried = True
        self._paused_until = 0.0
        self._look()

    def open_reader(self, bound: int, duration: float) -> None:
        """Read with a further reader for a while."""
        process = self._world.process
        if process.engine.state in OVER:
            return
        log = process.ledger.watch(process.engine.open_reader(bound), eager=False)
        self._others.append(log)
        self._world.clock.after(duration, self._close_reader, process, log)

    def _close_reader(self, process: Process, log: ReaderLog) -> None:
        if not process.dead and log in self._others:
            self._others.remove(log)
            process.ledger.logs.remove(log)
            process.engine.close_reader(log.reader, process.now)
            process.settle()

    def _take(self, log: ReaderLog, item: Any) -> Said | None:
        if self._world.tell:
            self._world.tell("==", "reader", log.reader.id, item)
        return log.take(item)

    def _drain(self, process: Process, log: ReaderLog) -> bool:
        did = False
        while (item := log.reader.take(process.now)) is not None:
            did = True
            said = self._take(log, item)
            if log is self.log:
                self._note(said)
                self._answer(process, item)
        return did

    def _handle(self, process: Process, said: Said | None, item: Any) -> None:
        if process.dead:
            return
        self._busy = False
        self._note(said)
        self._answer(process, item)
        process.settle()

    def _note(self, said: Said | None) -> None:
        if said is not None:
            self.handled.append(said)
        every = self._every
        if every and len(self.handled) - self.covered >= every:
            self.take_snapshot()

    def _look(self) -> None:
        process = self._world.process
        if not process.dead:
            process.settle()

    # Talking.

    def _answer(self, process: Process, item: Any) -> None:
        if (
            isinstance(item, Message)
            and not item.from_me
            and item.participant_role != self._world.plan.traits.role
            and self._rng.random() < self._world.plan.replies
        ):
            for _ in range(1 if self._rng.random() < 0.8 else 3):
                self.say(process)

    def say(self, process: Process) -> None:
        """Send a message."""
        token = f"s3cr3t-{len(self.sends)}"
        send = self._send(
            process, Outgoing("SendMessage", f"s3cr3t own {token}", client_token=token)
        )
        if send is not None and self._rng.random() < self._world.plan.cancels:
            delay = self._rng.choice((0.0, 0.01, 1.0, 10.0))
            self._world.clock.after(delay, self._withdraw, send)

    def disconnect(self) -> None:
        """Leave the chat."""
        self._send(
            self._world.process, Outgoing("DisconnectParticipant", client_token="s3cr3t-leave")
        )
        self._look()

    def _send(self, process: Process, outgoing: Outgoing) -> Send | None:
        try:
            call = process.engine.send(outgoing, process.now)
        except ChatEndedError:
            if self._world.service.ended is None and not self._world.service.left:
                raise Violation("send", "refused as if the chat had ended") from None
            return None
        except NotConnectedError:
            if process.engine.state not in OVER:
                raise Violation("send", f"refused while {process.engine.state}") from None
            return None
        send = Send(process, call, outgoing.client_token)
        self.sends.append(send)
        return send

    def _withdraw(self, send: Send) -> None:
        if send.outcome == "pending" and not send.process.dead:
            send.outcome = "withdrawn"
            send.process.engine.withdraw(send.call)
            send.process.settle()

    def answered(self, process: Process, result: CallResult) -> None:
        """Note how a send ended."""
        for send in reversed(self.sends):
            if send.process is process and send.call == result.call:
                break
        else:
            raise Violation("send", "an outcome of a call that nobody made")
        if send.outcome in ("sent", "failed"):
            raise Violation("send", "two outcomes of one call")
        if send.outcome == "pending":
            send.outcome = "sent" if result.error is None else "failed"
            send.item_id = result.item_id
