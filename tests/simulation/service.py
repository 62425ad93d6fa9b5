"""The service: who says what, the connections it hands out, and what it pushes to whom.

Assumed: an item is pushed, a little after the service took it, to the sockets that are subscribed
then or that were when it was taken; AbsoluteTimes of items taken at about the same time may
disagree with the order in which they were taken. A socket whose process is gone counts among the
five until the service notices, within a minute: longer, and a participant whose path broke five
times could not come back at all. From the end of a chat on, CreateParticipantConnection is
refused, and either every other call as well or (`Traits.reads_after_end`) all but GetTranscript.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from connect_chat.items import EVENT_PREFIX

from .clock import Clock, to_text
from .transcript import Said, Transcript, refused

if TYPE_CHECKING:
    from connect_chat.engine.commands import Outgoing

    from .network import Socket

__all__ = ["ME", "NEVER", "Granted", "Service", "Traits", "Upgrade"]

ME = "me-5d2f"
URL_LIFETIME = 100.0
MOST_SOCKETS = 5
NEVER = float("inf")


@dataclass(slots=True)
class Traits:
    """What differs from one simulated service to another; times in seconds.

    Attributes:
        connection_lifetime: From the grant until the socket is closed.
        token_lifetime: Of a ConnectionToken.
        lag: The most that the transcript lags behind the websocket.
        fan_out: The usual time from taking an item to pushing it, at most.
        stamp_error: How far an AbsoluteTime may be behind the order of taking.
        role: Our role in the chat.
        early_lookup: Whether the sockets that get an item are looked up when it is taken rather
            than when it is pushed.
        reads_after_end: Whether the transcript can be read after the chat's end.
        says_ended: Whether the end of the chat is pushed as an item.
        idle_timeout: A socket that sends nothing for so long is dropped.
        disconnect_flow: How long the flow goes on talking after our DisconnectParticipant.
        refuses_who_left: Whether CreateParticipantConnection is refused once we have left.
        past: Items of past contacts.
        forgets_ids: Whether GetTranscript never accepts a start position by Id.
        forgets_times: Whether it accepts none by AbsoluteTime either.
    """

    connection_lifetime: float = 3600.0
    token_lifetime: float = 86_400.0
    lag: float = 0.0
    fan_out: float = 0.03
    stamp_error: float = 0.0
    role: str = "CUSTOMER"
    early_lookup: bool = False
    reads_after_end: bool = False
    says_ended: bool = True
    idle_timeout: float = 60.0
    disconnect_flow: float = 0.0
    refuses_who_left: bool = False
    past: int = 0
    forgets_ids: bool = False
    forgets_times: bool = False


class Granted(NamedTuple):
    """The answer to CreateParticipantConnection, times by the simulation's clock."""

    url: str | None
    expiry: float
    token: str
    token_expiry: float
    at: float


class Upgrade(Exception):
    """A websocket was refused."""


class Service:
    """One contact of one Connect instance.

    Attributes:
        transcript: What it keeps.
        said: Everything that was said, in the order of taking.
        by_id: The same, but for pieces of streamed messages.
        mine: What our participant said through SendMessage, by ClientToken.
        ended: When the chat ended, or None.
        sockets: The websockets that it believes to be open.
        deaf: When no socket was subscribed, as pairs (from, to).
        fan_out: The most that a push may take now; a fault raises it.
        doubling: How likely a push is repeated now; a fault raises it.
        deep_delay: How much later than the first a repeated push may come.
    """

    def __init__(self, clock: Clock, rng: Random, traits: Traits) -> None:
        self.transcript = Transcript()
        self.transcript.forgets_ids = traits.forgets_ids
        self.transcript.forgets_times = traits.forgets_times
        self.said: list[Said] = []
        self.by_id: dict[str, Said] = {}
        self.mine: dict[str, Said | None] = {}
        self.ended: float | None = None
        self.left = False
        self.sockets: list[Socket] = []
        self.subscribed: list[Socket] = []
        self.deaf: list[tuple[float, float]] = []
        self.fan_out = traits.fan_out
        self.doubling = 0.0
        self.doubling_delay = 1.0
        self.refusing_subscriptions = 0.0
        self.ignoring_subscriptions = 0.0
        self.traits = traits
        self.acknowledged = False
        self._clock = clock
        self._rng = rng
        self._urls: dict[str, tuple[float, float]] = {}
        self._tokens: dict[str, float] = {}
        self._deaf_since: float | None = None
        self._count = 0
        self._people = {ME: traits.role, "agent-1": "AGENT", "agent-2": "AGENT"}
        if traits.role != "CUSTOMER":
            self._people["customer"] = "CUSTOMER"
        for number in range(traits.past):
            raw = self._raw(-10_000_000 + number, "agent-1", "MESSAGE", "text/plain", "past s3cr3t")
            raw["RelatedContactId"] = "contact-0"
            del raw["ContactId"]
            said = Said((-10_000_000 + number, 0), raw["Id"], raw, "", -1.0, -1.0, demanded=False)
            self.transcript.add_past(said)

    # Talking.

    def say(
        self,
        who: str,
        kind: str = "MESSAGE",
        content_type: str = "text/plain",
        *,
        kept: bool = True,
        text: str | None = None,
    ) -> Said:
        """Take an item of a participant or (``""``) of the system, and push it."""
        now = self._clock.now
        error = self._rng.random() * self.traits.stamp_error if who != ME else 0.0
        millis = int((now - error) * 1000)
        content = text if text is not None else f"s3cr3t number {self._count}"
        raw = self._raw(millis, who, kind, content_type, content)
        return self._take(raw, millis, who, kept)

    def stream(self, pieces: int, duration: float, *, whole: bool = True) -> None:
        """Begin a message of the flow's that is pushed in pieces; only the whole is kept.

        Args:
            pieces: How many.
            duration: Seconds until the last of them.
            whole: Whether it is ever completed.
        """
        millis = int(self._clock.now * 1000)
        raw = self._raw(millis, "", "MESSAGE", "text/plain", "")
        for number in range(1, pieces + 1):
            part = raw | {
                "Content": f"s3cr3t piece {number}",
                "MessageMetadata": {"ChunkNumber": number, "MessageCompleted": False},
            }
            self._clock.after(duration * number / pieces, self._take, part, millis, "", False, True)
        if not whole:
            return
        last = raw | {
            "Content": "s3cr3t whole",
            "MessageMetadata": {"MessageCompleted": True},
        }
        self._clock.after(duration + 0.001, self._take, last, millis, "", True)

    def receipt(self, recipient: str) -> Said:
        """Push the receipt of a message by a participant; it is not kept."""
        raw = self._raw(int(self._clock.now * 1000), recipient, "MESSAGEMETADATA", "", "")
        del raw["Content"], raw["ParticipantId"], raw["ParticipantRole"]
        raw["ContentType"] = EVENT_PREFIX + "message.metadata"
        raw["MessageMetadata"] = {
            "MessageId": "m",
            "Receipts": [
                {"DeliveredTimestamp": raw["AbsoluteTime"], "RecipientParticipantId": recipient}
            ],
        }
        return self._take(raw, int(self._clock.now * 1000), recipient, False)

    def end(self) -> None:
        """End the chat."""
        if self.ended is not None:
            return
        if self.traits.says_ended:
            self.say("", "EVENT", EVENT_PREFIX + "chat.ended").demanded = False
        self.ended = self._clock.now
        self._note_deafness()
        # Sockets outlive the chat a little, so that the last items get out.
        self._clock.after(2.0 + self.fan_out, self._close_all)

    # The operations.

    def create_connection(self, websocket: bool) -> Granted:
        """Answer CreateParticipantConnection."""
        if self.ended is not None or (self.left and self.traits.refuses_who_left):
            raise refused("AccessDeniedException", 403, "CreateParticipantConnection")
        now = self._clock.now
        token = f"s3cr3t-token-{self._rng.getrandbits(64):x}"
        self._tokens[token] = token_expiry = now + self.traits.token_lifetime
        expiry = now + self.traits.connection_lifetime
        url = f"wss://s3cr3t/{self._rng.getrandbits(64):x}" if websocket else None
        if url is not None:
            self._urls[url] = (now, expiry)
        return Granted(url, expiry, token, token_expiry, now)

    def revoke_tokens(self) -> None:
        """Let every ConnectionToken expire at once."""
        self._tokens.clear()

    def get_transcript(self, token: str, query: Mapping[str, Any]) -> tuple[list[Said], str | None]:
        """Answer GetTranscript."""
        self._check(token, "GetTranscript", readable=self.traits.reads_after_end)
        now = self._clock.now
        for said in self.transcript.unseen(now):
            said.lagged = min(said.lagged, now)
        return self.transcript.page(query, now)

    def is_readable(self, token: str | None) -> bool:
        """Whether GetTranscript is answered to who has that token."""
        valid = token is not None and self._tokens.get(token, 0.0) > self._clock.now
        return valid and (self.ended is None or self.traits.reads_after_end)

    def call(self, token: str, outgoing: Outgoing) -> Said | None:
        """Answer SendMessage or DisconnectParticipant; None for the latter."""
        self._check(token, outgoing.operation, readable=False)
        key = outgoing.client_token
        if key in self.mine:
            return self.mine[key]
        if outgoing.operation == "DisconnectParticipant":
            self.mine[key] = None
            self._disconnect()
            return None
        if self.left:
            raise refused("AccessDeniedException", 403, outgoing.operation)
        said = self.say(ME, text=outgoing.content)
        self.mine[key] = said
        return said

    def _check(self, token: str, operation: str, *, readable: bool) -> None:
        expired = self._tokens.get(token, 0.0) <= self._clock.now
        if expired or (self.ended is not None and not readable):
            raise refused("AccessDeniedException", 403, operation)

    def _disconnect(self) -> None:
        if self.left:
            return
        self.left = True
        flow = self.traits.disconnect_flow
        for at in (0.3, 0.6):
            self._clock.after(flow * at, self._say_goodbye)
        self._clock.after(flow, self.end)

    def _say_goodbye(self) -> None:
        if self.ended is None:
            self.say("")

    # The websockets.

    def upgrade(self, url: str, socket: Socket) -> float:
        """Accept a websocket; return when it will be closed.

        Raises:
            Upgrade: The URL is used, too old or unknown, or there are too many websockets.
        """
        issued, expiry = self._urls.pop(url, (-NEVER, 0.0))
        if self._clock.now - issued > URL_LIFETIME or self.ended is not None:
            raise Upgrade
        if len(self.sockets) >= MOST_SOCKETS:
            raise Upgrade
        self.sockets.append(socket)
        return expiry

    def subscribe(self, socket: Socket) -> str | None:
        """Answer a subscription: ``"success"``, ``"failure"`` or nothing."""
        now = self._clock.now
        if now < self.ignoring_subscriptions:
            return None
        if now < self.refusing_subscriptions:
            return "failure"
        if socket in self.sockets and socket not in self.subscribed:
            self.subscribed.append(socket)
            self._note_deafness()
            if not self.acknowledged:
                self.acknowledged = True
                self.say(ME, "EVENT", EVENT_PREFIX + "participant.joined").demanded = False
        return "success"

    def drop(self, socket: Socket) -> None:
        """Forget a websocket that is gone."""
        if socket in self.sockets:
            self.sockets.remove(socket)
        if socket in self.subscribed:
            self.subscribed.remove(socket)
            self._note_deafness()

    def _close_all(self) -> None:
        for socket in list(self.sockets):
            socket.close_by_service(1000)

    def _note_deafness(self) -> None:
        deaf = self.acknowledged and not self.subscribed and self.ended is None
        if deaf and self._deaf_since is None:
            self._deaf_since = self._clock.now
        elif not deaf and self._deaf_since is not None:
            self.deaf.append((self._deaf_since, self._clock.now))
            self._deaf_since = None

    # Pushing.

    def _raw(
        self, millis: int, who: str, kind: str, content_type: str, content: str
    ) -> dict[str, Any]:
        self._count += 1
        return {
            "AbsoluteTime": to_text(millis),
            "Content": content,
            "ContentType": content_type,
            "Id": f"{self._rng.getrandbits(64):016x}",
            "Type": kind,
            "ParticipantId": who,
            "DisplayName": "s3cr3t",
            "ParticipantRole": self._people[who] if who else "SYSTEM",
            "ContactId": "contact-1",
            "InitialContactId": "contact-1",
        }

    def _take(
        self, raw: dict[str, Any], millis: int, who: str, kept: bool, piece: bool = False
    ) -> Said:
        now = self._clock.now
        rng = self._rng
        lag = self.traits.lag
        if lag:
            # Most items are there at once, some later, few as late as it gets.
            lag *= rng.random() ** 4 if rng.random() < 0.5 else 0.0
        said = Said(
            key=(millis, rng.getrandbits(32)),
            id=raw["Id"],
            raw=raw,
            frame=_frame(raw),
            accepted=now,
            visible=now + lag if kept else NEVER,
            mine=who == ME,
            demanded=kept,
            piece=piece,
        )
        if self.ended is not None:
            return said
        self.said.append(said)
        if not piece:
            self.by_id[said.id] = said
        if kept:
            self.transcript.add(said)
        to = tuple(self.subscribed) if self.traits.early_lookup else None
        self._clock.after(rng.random() * self.fan_out, self._push, said, to)
        if self.doubling and rng.random() < self.doubling:
            self._clock.after(rng.random() * self.doubling_delay, self._push, said, to)
        return said

    def _push(self, said: Said, to: tuple[Socket, ...] | None) -> None:
        said.pushed = min(said.pushed, self._clock.now)
        for socket in self.subscribed if to is None else to:
            socket.push(said)


def _frame(raw: Mapping[str, Any]) -> str:
    content = json.dumps(raw)
    return json.dumps({"content": content, "contentType": "application/json", "topic": "aws/chat"})
