"""Participants who are silent for long: idle, returned, and disconnected at last.

The published API sets the timers (UpdateParticipantRoleConfig); the Administrator Guide says how
they run: for human participants only, while both an agent and the customer are in the chat, the
idle timer first and the auto-disconnect timer after it. Messages, files and typing count as being
there, receipts don't, since clients send them by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connect_chat.emulator.contact import Contact, Participant

__all__ = ["HUMAN_ROLES", "Idleness"]

HUMAN_ROLES = ("CUSTOMER", "AGENT")
"""The roles that timers are for."""

_IDLE = "IDLE"
_DISCONNECT = "DISCONNECT_NONCUSTOMER"


class Idleness:
    """The timers of one chat.

    Args:
        contact: The chat.
        leave: Lets a participant leave.
    """

    def __init__(self, contact: Contact, leave: Callable[[Participant], None]) -> None:
        self._contact = contact
        self._leave = leave
        self._seconds: dict[tuple[str, str], float] = {}
        self._idle: set[Participant] = set()
        self._cancel: dict[Participant, Callable[[], None]] = {}
        self._unwatch = contact.watch(self._see)

    def set(self, role: str, timer: str, seconds: float | None) -> None:
        """Set a timer of a role, or delete it, and start all of them anew.

        Args:
            role: ``"CUSTOMER"`` or ``"AGENT"``.
            timer: ``"IDLE"`` or ``"DISCONNECT_NONCUSTOMER"``, the service's names.
            seconds: How long, or None to delete the timer.
        """
        if seconds is None:
            self._seconds.pop((role, timer), None)
        else:
            self._seconds[role, timer] = seconds
        self._start_all()

    def stop(self) -> None:
        """Call everything off."""
        self._unwatch()
        self._stop_all()

    def _stop_all(self) -> None:
        for cancel in self._cancel.values():
            cancel()
        self._cancel.clear()

    def _start_all(self) -> None:
        self._stop_all()
        present = self._contact.present(*HUMAN_ROLES)
        self._idle.intersection_update(present)
        if {participant.role for participant in present} == set(HUMAN_ROLES):
            for participant in present:
                self._start(participant)

    def _start(self, participant: Participant) -> None:
        idle = self._seconds.get((participant.role, _IDLE))
        if idle is not None and participant not in self._idle:
            self._after(idle, self._fall_idle, participant)
        else:
            self._await_disconnection(participant)

    def _await_disconnection(self, participant: Participant) -> None:
        seconds = self._seconds.get((participant.role, _DISCONNECT))
        if seconds is not None:
            self._after(seconds, self._disconnect, participant)

    def _after(
        self, seconds: float, happen: Callable[[Participant], None], participant: Participant
    ) -> None:
        self._cancel[participant] = self._contact.clock.after(seconds, happen, participant)

    def _fall_idle(self, participant: Participant) -> None:
        self._idle.add(participant)
        self._contact.post_event("participant.idle", sender=participant.signature, keep=False)
        self._await_disconnection(participant)

    def _disconnect(self, participant: Participant) -> None:
        self._contact.post_event(
            "participant.autodisconnection", sender=participant.signature, keep=False
        )
        self._leave(participant)

    def _see(self, item: Mapping[str, Any]) -> None:
        """Notice who says something, who joins and who leaves."""
        kind = str(item["ContentType"]).rpartition("event.")[2]
        if kind in ("participant.joined", "participant.left"):
            self._start_all()
            return
        if item["Type"] == "EVENT" and kind != "typing":
            return
        for participant in list(self._cancel):
            if participant.id == item.get("ParticipantId"):
                self._hear(participant)

    def _hear(self, participant: Participant) -> None:
        self._cancel.pop(participant)()
        returned = participant in self._idle
        self._idle.discard(participant)
        self._start(participant)
        if returned:
            self._contact.post_event(
                "participant.returned", sender=participant.signature, keep=False
            )
