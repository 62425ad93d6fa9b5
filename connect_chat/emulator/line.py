"""A websocket between the gateway and its connection: recorded, and with the faults of frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from connect_chat.emulator import frames
from connect_chat.emulator.clock import Clock
from connect_chat.emulator.connections import WebSocketConnection
from connect_chat.emulator.contact import Direction, Participant
from connect_chat.emulator.faults import (
    Corrupt,
    Delay,
    Drop,
    Duplicate,
    Fault,
    FrameFault,
    Reorder,
    Truncate,
)
from connect_chat.emulator.injection import Faults
from connect_chat.emulator.recording import Records

__all__ = ["Line"]

_MOMENT = 0.001


class Line:
    """What the service writes to, instead of to the connection itself.

    Args:
        participant: Whose websocket it is.
        connection: What carries the frames.
        clock: When they are carried.
        faults: What happens to them.
        records: What becomes of them.
    """

    def __init__(
        self,
        participant: Participant,
        connection: WebSocketConnection,
        *,
        clock: Clock,
        faults: Faults,
        records: Records,
    ) -> None:
        self._participant = participant
        self._connection = connection
        self._clock = clock
        self._faults = faults
        self._records = records
        # What waits behind a frame that is late, and when the last of it is due.
        self._late: deque[Callable[[], None]] = deque()
        self._due = 0.0
        # When the last of those that overtake each other is due.
        self._settled = 0.0
        self._gone = False

    @property
    def close_code(self) -> int | None:
        """The code of the closing handshake that the gateway is to begin, if it is."""
        return self._connection.close_code

    def write(self, frame: bytes) -> None:
        """Send an encoded frame."""
        if self._faults.of_frames or self._late:
            self._trouble(frame)
        else:
            self._send(frame)

    def close(self, code: int) -> None:
        """Begin the closing handshake, after what was written."""
        seconds = max(0.0, self._settled - self._clock.now())
        self._in_turn(seconds, partial(self._connection.close, code))

    def abort(self) -> None:
        """Drop the TCP connection."""
        self._connection.abort()

    def hold(self, direction: Direction) -> Callable[[], None]:
        """Let nothing through, and return what ends that."""
        return self._connection.hold(direction)

    def received(self, text: str) -> None:
        """Note that the client has sent a text."""
        self._records.add("frame_in", self._participant, body=text.encode())

    def closed(self, code: int | None) -> None:
        """Note that the websocket is gone, with the close code if it was said goodbye."""
        self._gone = True
        self._records.add("closed", self._participant, status=code)

    def _send(self, frame: bytes) -> None:
        if self._gone:
            return
        self._records.frame_out(self._participant, frame)
        self._connection.write(frame)

    def _trouble(self, frame: bytes) -> None:
        copies, seconds, overtaking = [frame], 0.0, None
        for injection in self._faults.take_all(
            FrameFault, whom=self._participant, of=frames.topic(frame)
        ):
            match injection.fault:
                case Drop():
                    return
                case Duplicate():
                    copies *= 2
                case Truncate() | Corrupt() as fault:
                    copies = [_damaged(copy, fault) for copy in copies]
                case Delay(seconds=least, jitter=jitter):
                    seconds += least + injection.dice.uniform(0, jitter)
                case Reorder(within=within):
                    overtaking = injection.dice.uniform(0, within)
        for copy in copies:
            send = partial(self._send, copy)
            if overtaking is None:
                self._in_turn(seconds, send)
            else:
                self._clock.after(seconds + overtaking, send)
                # A moment more, since of two timers of one time either may come first.
                due = self._clock.now() + seconds + overtaking + _MOMENT
                self._settled = max(self._settled, due)

    def _in_turn(self, seconds: float, happen: Callable[[], None]) -> None:
        """Do something in so many seconds, but not before what was to be done earlier."""
        now = self._clock.now()
        self._due = max(self._due, now + seconds) if self._late else now + seconds
        if self._due <= now and not self._late:
            happen()
            return
        self._late.append(happen)
        self._clock.after(self._due - now, self._next)

    def _next(self) -> None:
        self._late.popleft()()


def _damaged(frame: bytes, fault: Fault) -> bytes:
    data = frames.payload(frame)
    half = len(data) // 2
    # No text has the byte 0xFF in UTF-8.
    return frames.text(
        data[:half] if isinstance(fault, Truncate) else data[:half] + b"\xff" * 4 + data[half + 4 :]
    )
