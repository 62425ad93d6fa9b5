"""A chat and its connection, told to a person as it happens."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from connect_chat import (
    AttachmentMessage,
    ChatEnded,
    Item,
    Message,
    ParticipantJoined,
    ParticipantLeft,
    SessionState,
    Trace,
    Typing,
)

__all__ = ["Narrator"]

_STYLE = {"CUSTOMER": "green", "AGENT": "cyan", "SYSTEM": "magenta"}
_NAME_WIDTH = 8


class Narrator:
    """Prints a line for everything that happens, and counts what happens to the connection.

    The lines are plain ASCII, except for what people say, and coloured on a terminal only.

    Attributes:
        rotations: How often a new connection took over from one that was live.
        reconnections: How often a lost connection was replaced.
    """

    def __init__(self, console: Console) -> None:
        self.rotations = 0
        self.reconnections = 0
        self._console = console
        self._lost_at = datetime.now(UTC)
        self._catching_up = False

    def item(self, item: Item) -> None:
        """Print an item that a session has delivered."""
        role = item.participant_role or "SYSTEM"
        name = "System" if role == "SYSTEM" else item.display_name or role.capitalize()
        match item:
            case Message(text=text):
                self.message(item.absolute_time, name, role, text)
            case AttachmentMessage():
                for file in item.attachments:
                    what = f"[file {file.attachment_name}, {file.content_type}]"
                    self.message(item.absolute_time, name, role, what)
            case Typing():
                self._note(item.absolute_time, f"{name} is typing ...")
            case ParticipantJoined():
                self._note(item.absolute_time, f"{name} joined")
            case ParticipantLeft():
                self._note(item.absolute_time, f"{name} left")
            case ChatEnded():
                self._note(item.absolute_time, "the chat has ended")

    def message(self, time: datetime | None, name: str, role: str, text: str) -> None:
        """Print what somebody said."""
        style = _STYLE.get(role, "")
        self._line(time, Text(name.ljust(_NAME_WIDTH), f"bold {style}"), Text(text))

    def trace(self, trace: Trace) -> None:
        """Print what happened to the connection, if it is worth a line; for ``on_trace``."""
        now = datetime.now(UTC)
        match trace.event, trace.facts:
            case "state", {"from": SessionState.CONNECTING, "to": SessionState.CONNECTED}:
                self._catching_up = True
                self._connection(now, "connected and subscribed")
            case "link.live", {"rotation": True}:
                self.rotations += 1
                self._connection(now, "rotated: the new connection was live before the old closed")
            case "state", {"from": SessionState.CONNECTED, "to": SessionState.RECONNECTING}:
                self._lost_at = now
                self._connection(now, "connection lost", style="bold red")
            case "state", {"from": SessionState.RECONNECTING, "to": SessionState.CONNECTED}:
                self.reconnections += 1
                self._catching_up = True
                milliseconds = (now - self._lost_at).total_seconds() * 1000
                self._connection(now, f"reconnected after {milliseconds:.0f} ms")
            case "recovery.found", {"items": int() as items} if self._catching_up:
                # Later looks find what the socket is just bringing, too: nothing to tell.
                self._catching_up = False
                what = "1 item" if items == 1 else f"{items} items"
                self._connection(now, f"{what} read from the transcript")

    def _note(self, time: datetime | None, text: str) -> None:
        self._line(time, Text(" " * _NAME_WIDTH), Text(text, "dim"))

    def _connection(self, time: datetime, text: str, *, style: str = "yellow") -> None:
        self._line(time, Text("--".ljust(_NAME_WIDTH), style), Text(text, style))

    def _line(self, time: datetime | None, who: Text, what: Text) -> None:
        clock = f"{time.astimezone():%H:%M:%S.%f}"[:-3] if time else ""
        line = Text.assemble((clock.ljust(12), "dim"), "  ", who, "  ", what)
        self._console.print(line, soft_wrap=True)
