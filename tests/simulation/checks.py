"""What must hold: the order and the number of what readers get, and how often the service is asked.

`Ledger` notes what one process was told and judges every item that it hands out at once;
`Calls` judges the calls. What must have come by the end is judged in `world`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from connect_chat.items import ChatEnded, Item, Message, MessageUpdate, Receipt, UnknownItem

from .clock import Clock, to_millis
from .network import Leg
from .service import NEVER
from .transcript import Said

if TYPE_CHECKING:
    from .network import Socket
    from .process import Process

__all__ = ["Calls", "Ledger", "ReaderLog", "Violation", "size_of"]

A_MOMENT = 0.002
BEGINNING = -(1 << 62)
WINDOW = 60.0
MOST_CONNECTIONS_PER_WINDOW = 25
MOST_READS_PER_WINDOW = 120


class Violation(Exception):
    """Something that must hold did not."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


@dataclass(slots=True)
class Arrival:
    """How an item came in whole.

    Attributes:
        step: The number of the input that was its first frame, 0 for none yet.
        frame: When that was.
        page: When it first came in a page of the transcript, for whichever reader.
        served: When the service had made that page.
        shared: Whether it came for all readers, not in a page for one that catches up.
    """

    step: int = 0
    frame: float = NEVER
    page: float = NEVER
    served: float = NEVER
    shared: bool = False


class Ledger:
    """What one process was told, in order.

    Attributes:
        step: Counts what the process was told.
        base: What earlier processes had handled when the snapshot was taken.
        arrivals: How an item first came in whole.
        unknown_at: When an item of an unknown kind first came in. Without an Id, later ones count
            as copies of it.
        knows_me: Whether the engine knew our participant before the last input.
        logs: One for each reader.
    """

    def __init__(self, process: Process, base: frozenset[Said]) -> None:
        self.process = process
        self.step = 0
        self.base = base
        self.base_ids = frozenset(said.id for said in base)
        self.base_newest = max((said.key[0] for said in base), default=BEGINNING)
        self.arrivals: dict[Said, Arrival] = {}
        self.unknown_at = NEVER
        self.knows_me = False
        self.logs: list[ReaderLog] = []
        self._pages: list[float] = []
        self._damaged: set[Said] = set()
        # When a link became the only one that is live, and when the last live one was lost.
        self._gaps: list[float] = []
        self._losses: list[float] = []
        self._live: set[Socket] = set()
        self._ever_live: list[Socket] = []
        self._replied: set[str] = set()

    def watch(self, reader: Any, *, eager: bool) -> ReaderLog:
        """Note what a reader hands out from now on."""
        log = ReaderLog(self, reader, eager=eager)
        self.logs.append(log)
        return log

    def arrived(self, said: Said, damaged: bool) -> None:
        """Note that a frame came in."""
        self.step += 1
        if damaged:
            self._damaged.add(said)
            return
        arrival = self.arrivals.setdefault(said, Arrival())
        arrival.shared = True
        if arrival.step == 0:
            arrival.step, arrival.frame = self.step, self.process.clock.now

    def page(self, found: list[Said], served: float, *, shared: bool) -> None:
        """Note that a page of the transcript, as it was at ``served``, came in."""
        self.step += 1
        now = self.process.clock.now
        self._pages.append(now)
        for said in found:
            arrival = self.arrivals.setdefault(said, Arrival())
            arrival.shared |= shared
            if arrival.page == NEVER:
                arrival.page, arrival.served = now, served

    def subscribed(self, socket: Socket) -> None:
        """Note that a link became live."""
        if socket.subscribed_at is None:
            socket.subscribed_at = now = self.process.clock.now
            self._live = {one for one in self._live if not one.gone and not self._silent(one, now)}
            if not self._live:
                self._gaps.append(now)
            self._live.add(socket)
            self._ever_live.append(socket)

    def lost(self) -> None:
        """Note that a socket is gone."""
        self.step += 1
        before = bool(self._live)
        self._live = {one for one in self._live if not one.gone}
        if before and not self._live:
            self._losses.append(self.process.clock.now)

    def noticed_silence(self) -> None:
        """Note that the engine has found the only live link silent."""
        self._losses.append(self.process.clock.now)

    def replied(self, said: Said) -> None:
        """Note that our message was confirmed."""
        self.step += 1
        self._replied.add(said.id)

    def may_be_taken_for_anothers(self, said: Said) -> bool:
        """Whether the process cannot know that a message is ours."""
        return not self.knows_me and said.id not in self._replied

    def check_wait(self, said: Said) -> None:
        """Judge how long an item waited for others.

        Raises:
            Violation: Too long, unless pages of the transcript kept coming in.
        """
        arrival = self.arrivals.get(said)
        if arrival is None or not arrival.step or said.mine:
            return
        options, now = self.process.world.plan.options, self.process.clock.now
        longest = options.merge_wait + options.echo_wait + options.reorder_window + 1.0
        since = max(arrival.frame, self.process.stalled_until)
        moments = [since, *self._pages[bisect_right(self._pages, since) :], now]
        if any(later - earlier > longest for earlier, later in pairwise(moments)):
            raise Violation("held", f"the item of {said.accepted:.3f} came at {arrival.frame:.3f}")

    def may_be_late(
        self, said: Said, first: Said, handed: float, step: int, ran_out: float
    ) -> str | None:
        """Judge an item that came after a later one; return why it must not have, or None.

        Args:
            said: The item.
            first: The first later item that was handed out.
            handed: When that was.
            step: After how many inputs.
            ran_out: When the bound on waiting last ran out before that.
        """
        options = self.process.world.plan.options
        arrival = self.arrivals[said]
        if self._shown_before(said, first, handed):
            return None
        if said.accepted >= handed or said.lagged <= handed or said in self._damaged:
            return None
        came = min(arrival.frame, self.process.clock.now)
        since = self._first_came_after(said)
        out_of_window = came > since + options.reorder_window - A_MOMENT
        gate = not self.process.world.plan.knows_me
        if 0 < arrival.step <= step or (gate and said.mine and arrival.page <= handed):
            # In its order already, the later one may have waited to be told from our own echo; and
            # so may it, if it is the echo of a message under way.
            return None if gate and (out_of_window or said.mine) else "it had come in before"
        if abs(handed - self.process.stalled_until) < A_MOMENT:
            # It took what had come in while it did nothing, and could not know the rest.
            return None
        gap = self._first(self._gaps, said.accepted)
        if gap is None or gap > handed:
            # No gap that it lies in was over by then.
            if said.muted or self._lost_before_a_rotation(said, handed):
                return None
            loss = max((at for at in self._losses if at <= handed), default=handed)
            if handed >= loss + options.merge_wait - A_MOMENT or ran_out >= loss:
                return None
        elif handed >= gap + options.merge_wait - A_MOMENT or ran_out >= gap:
            return None
        elif any(gap <= loss + options.merge_wait <= handed for loss in self._losses):
            # What waited since the loss let everything go that came in after it, too.
            return None
        if out_of_window:
            # Not pushed yet, it could be expected from whatever was live.
            sockets = said.pushes if said.pushed <= handed else self._ever_live
            if any(self._in_flight(one, handed) for one in sockets):
                return None
        return "the transcript had it and could be read"

    def _shown_before(self, said: Said, first: Said, handed: float) -> bool:
        """Whether the later item came, or went out, with a page made before the item was said.

        A page shows all that there was up to its newest item, so that what waited goes out with it.
        A streamed message that is whole only after that has an earlier place all the same.
        """
        arrival = self.arrivals[first]
        if arrival.page <= handed and arrival.served <= said.accepted:
            return True
        return any(
            one.page == handed and one.served <= said.accepted and other.key[0] >= first.key[0]
            for other, one in self.arrivals.items()
        )

    def _first_came_after(self, said: Said) -> float:
        """Return when the first item came in that is later than one which was overtaken."""
        return min(
            min(one.frame, one.page)
            for other, one in self.arrivals.items()
            if other.key[0] > said.key[0]
        )

    def _lost_before_a_rotation(self, said: Said, at: float) -> bool:
        """Whether an item was lost on a path that was replaced before its silence was noticed.

        That is a doubt then, for which nothing is held.
        """
        paths = [one for one in self._ever_live if one in said.pushes]
        return bool(paths) and all(
            one.down is Leg.LOST and one.gone_at < at and not self._silent(one, one.gone_at)
            for one in paths
        )

    def _in_flight(self, socket: Socket, at: float) -> bool:
        """Whether an item could still be expected to come from a socket."""
        if socket.process is not self.process or self._silent(socket, at):
            return False
        if socket.subscribed_at is None or socket.subscribed_at > at:
            return False
        if socket.gone_at <= self.process.stalled_until <= at:
            # It was gone before the process, which did nothing, could take what it had sent.
            return True
        return at <= socket.gone_at or any(
            other is not socket and other.gone_at > socket.gone_at for other in self._ever_live
        )

    def _silent(self, socket: Socket, at: float) -> bool:
        since, until = socket.silent
        return since + self.process.world.plan.options.silence_timeout + 1.0 < at < until

    @staticmethod
    def _first(times: list[float], since: float) -> float | None:
        index = bisect_right(times, since)
        return times[index] if index < len(times) else None


class ReaderLog:
    """What one reader has handed out.

    Attributes:
        eager: Whether the reader is emptied after every input, so that its order is the engine's.
        since: When it was opened.
        got: The items that it handed out, once each, in order, and when.
        incomplete: The Ids of streamed messages of which it handed out what there was.
        finished: Whether it handed out the chat's end.
        finished_at: When it did.
    """

    def __init__(self, ledger: Ledger, reader: Any, *, eager: bool) -> None:
        self.reader = reader
        self.eager = eager
        self.since = ledger.process.clock.now
        self.got: dict[Said, float] = {}
        self.incomplete: set[str] = set()
        self.finished = False
        self.finished_at = NEVER
        self.late = 0
        self._ledger = ledger
        self._newest = BEGINNING
        self._records: list[tuple[int, float, int, Said]] = []
        self._extras: set[str] = set()
        self._newest_partial = BEGINNING
        self._partial: dict[str, str] = {}
        self._unknown: list[float] = []

    def take(self, item: Item) -> Said | None:
        """Judge an item that the reader handed out; return what it is, if it has to be handled.

        Raises:
            Violation: It must not have.
        """
        if self.finished:
            raise Violation("after the end", "an item came after ChatEnded")
        if isinstance(item, ChatEnded):
            self.finished = True
            self.finished_at = self._ledger.process.clock.now
            return None
        world = self._ledger.process.world
        if item.related_contact_id is not None:
            raise Violation("past contact", "an item of a past contact was delivered")
        if isinstance(item, MessageUpdate) or (isinstance(item, Message) and item.incomplete):
            self._check_partial(item)
            return None
        if isinstance(item, UnknownItem) and item.id is None:
            self._unknown.append(self._ledger.process.clock.now)
            return None
        said = world.service.by_id.get(item.id or "")
        if said is None:
            raise Violation("invented", "an item that the service never had")
        if (not said.demanded and item.id in self._extras) or said in self.got:
            raise Violation("twice", f"an item said at {said.accepted:.3f}")
        if said in self._ledger.base and said.visible != NEVER:
            raise Violation("again", f"an item said at {said.accepted:.3f}, handled before")
        self._check_mine(item, said)
        if not said.demanded:
            self._extras.add(said.id)
        self._check_order(item, said)
        self.got[said] = self._ledger.process.clock.now
        return said

    def _check_partial(self, item: MessageUpdate | Message) -> None:
        """Judge what there is of a streamed message whose end has not come."""
        whole = self._ledger.process.world.service.by_id.get(item.id or "")
        if whole is not None and whole in self.got:
            raise Violation("pieces", "a piece of a streamed message came after the whole")
        before = self._partial.get(item.id or "", "")
        if not item.text.startswith(before) or (isinstance(item, MessageUpdate) and not item.piece):
            raise Violation("pieces", "a streamed message did not grow")
        if isinstance(item, Message):
            if item.id in self.incomplete:
                raise Violation("twice", "what there was of a streamed message")
            self.incomplete.add(item.id or "")
        self._partial[item.id or ""] = item.text
        if item.absolute_time is not None:
            self._newest_partial = max(self._newest_partial, to_millis(item.absolute_time))

    def _check_mine(self, item: Item, said: Said) -> None:
        plan = self._ledger.process.world.plan
        if item.from_me and not said.mine:
            raise Violation("not ours", "somebody else's item was taken for ours")
        if plan.own or not said.mine or not (self.eager or plan.knows_me):
            # What waited in a slow reader's buffer was judged before we were known.
            return
        if isinstance(item, Message | Receipt) and not self._ledger.may_be_taken_for_anothers(said):
            raise Violation("own echo", f"our own item of {said.accepted:.3f} was delivered")

    def _check_order(self, item: Item, said: Said) -> None:
        ledger = self._ledger
        stamp = said.key[0]
        if item.absolute_time is None or to_millis(item.absolute_time) != stamp:
            raise Violation("changed", "an item's AbsoluteTime is not the one it had")
        clock = ledger.process.clock
        if self.eager:
            ledger.check_wait(said)
        if stamp >= self._newest:
            if item.late and stamp >= max(self._newest_partial, ledger.base_newest):
                raise Violation("order", "an item is called late and is not")
            if stamp > self._newest:
                self._newest = stamp
                self._records.append((stamp, clock.now, ledger.step, said))
            return
        self.late += 1
        if not item.late:
            raise Violation("order", f"the item of {said.accepted:.3f} is late and not marked so")
        if not self.eager or said.visible == NEVER:
            return
        later = bisect_right(self._records, stamp, key=_stamp_of)
        _, handed, step, first = self._records[later]
        if said not in ledger.arrivals:
            raise Violation("invented", "an item was delivered before it came")
        why = ledger.may_be_late(said, first, handed, step, self._ran_out(handed))
        if why is not None:
            raise Violation(
                "late",
                f"the item of {said.accepted:.3f} came after that of {first.accepted:.3f}, "
                f"handed out at {handed:.3f}, though {why}",
            )

    def _ran_out(self, until: float) -> float:
        """Return when an item last had waited as long as items may."""
        ledger = self._ledger
        wait = ledger.process.world.plan.options.merge_wait
        handed = [(at, ledger.arrivals[one].frame) for one, at in self.got.items()]
        handed += [(at, ledger.unknown_at) for at in self._unknown]
        waited = (at for at, came in handed if came <= at - wait + A_MOMENT)
        # Our own wait like others, and are not handed out.
        ours = (one.frame + wait for said, one in ledger.arrivals.items() if said.mine)
        return max((at for at in (*waited, *ours) if at <= until), default=-NEVER)


def _stamp_of(record: tuple[int, float, int, Said]) -> int:
    return record[0]


class Calls:
    """How often the service is asked.

    Attributes:
        connections: CreateParticipantConnection, in all.
        reads: GetTranscript, first pages only.
        pages: GetTranscript, in all.
        most_connections: The most connections asked for within `WINDOW` seconds.
        most_reads: The same for reads.
    """

    def __init__(self, clock: Clock, *, polling: bool) -> None:
        self.connections = 0
        self.reads = 0
        self.pages = 0
        self.most_connections = 0
        self.most_reads = 0
        self._clock = clock
        # A poll a second, and each time a look for every reader that it leaves behind.
        self._most_reads = MOST_READS_PER_WINDOW * (3 if polling else 1)
        self._connections: deque[float] = deque()
        self._reads: deque[float] = deque()

    def restarted(self) -> None:
        """Note that a new process begins, which knows nothing of the pauses of the one before."""
        self._connections.clear()

    def connection(self) -> None:
        """Note a CreateParticipantConnection."""
        self.connections += 1
        recent = self._recent(self._connections)
        self.most_connections = max(self.most_connections, recent)
        if recent > MOST_CONNECTIONS_PER_WINDOW:
            raise Violation("call storm", f"{recent} connections asked for in {WINDOW:g} s")

    def page(self, *, first: bool) -> None:
        """Note a GetTranscript."""
        self.pages += 1
        if not first:
            return
        self.reads += 1
        recent = self._recent(self._reads)
        self.most_reads = max(self.most_reads, recent)
        if recent > self._most_reads:
            raise Violation("call storm", f"{recent} transcript reads in {WINDOW:g} s")

    def _recent(self, times: deque[float]) -> int:
        now = self._clock.now
        times.append(now)
        while times[0] < now - WINDOW:
            times.popleft()
        return len(times)


def size_of(root: object) -> int:
    """Return how many elements all containers hold that an engine object leads to.

    Items, commands and other values count as one each, however much is in them.
    """
    seen: set[int] = set()
    todo = [root]
    size = 0
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, dict):
            size += len(one)
            todo.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset | deque):
            size += len(one)
            todo.extend(one)
        elif type(one).__module__.startswith("connect_chat.engine"):
            slots = [getattr(one, name, None) for name in getattr(type(one), "__slots__", ())]
            todo.extend(slots)
            todo.extend(getattr(one, "__dict__", {}).values())
    return size
