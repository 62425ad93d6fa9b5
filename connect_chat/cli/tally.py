"""What was said, compared with what was delivered, and whether that is good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connect_chat.items import Item

__all__ = ["Report", "Tally", "compare"]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many items went which way.

    Attributes:
        said: Items that were to be delivered.
        delivered: Those of them that were.
        missing: Those that were not.
        repeated: Deliveries beyond the one of each item that was to be delivered.
        out_of_order: Items delivered after one that was said later.
    """

    said: int
    delivered: int
    missing: int
    repeated: int
    out_of_order: int


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a chat whose connection was rotated and cut.

    Attributes:
        tally: What became of its items.
        rotations: How often its connection was rotated.
        reconnections: How often it was lost and replaced.
    """

    tally: Tally
    rotations: int
    reconnections: int

    @property
    def good(self) -> bool:
        """Whether each item came once, in order, although the connection was rotated and cut."""
        tally = self.tally
        flaws = tally.missing + tally.repeated + tally.out_of_order
        return not flaws and self.rotations > 0 and self.reconnections > 0

    def __str__(self) -> str:
        tally = self.tally
        return (
            f"{tally.said} items said, {tally.delivered} delivered, {tally.missing} missing, "
            f"{tally.repeated} repeated, {tally.out_of_order} out of order; "
            f"rotations: {self.rotations}, reconnections: {self.reconnections}"
        )


def compare(said: Sequence[str], delivered: Iterable[Item]) -> Tally:
    """Compare what was to be delivered with what was.

    Args:
        said: The Ids of the items that were to be delivered, in their order in the transcript.
        delivered: Everything that was delivered, in that order. Kinds that a transcript does not
            keep, such as typing, are not counted.
    """
    place = {item_id: index for index, item_id in enumerate(said)}
    seen: set[int] = set()
    furthest = -1
    repeated = out_of_order = 0
    for item in delivered:
        if not item.in_transcript:
            continue
        index = place.get(item.id or "")
        if index is None or index in seen:
            repeated += 1
            continue
        seen.add(index)
        out_of_order += index < furthest
        furthest = max(furthest, index)
    return Tally(len(place), len(seen), len(place) - len(seen), repeated, out_of_order)
