"""One seed again, with everything told that the engine heard, wanted and handed out."""

from __future__ import annotations

from typing import Any

from connect_chat.engine.commands import ReadTranscript
from connect_chat.items import Item

from .checks import Violation
from .plan import Scale
from .transcript import Said
from .world import prepare

__all__ = ["replay"]


def replay(seed: int, scale: Scale, *, since: float = 0.0) -> int:
    """Run a seed and tell what happens from second ``since`` on; return 1 if it violates."""
    world = prepare(seed, scale)
    print(world.plan)

    def tell(sign: str, *facts: Any) -> None:
        if world.clock.now >= since:
            told = " ".join(map(_words, facts))
            print(f"{world.clock.now:12.4f} {sign} {told}")

    world.tell = tell
    try:
        world.run()
    except Violation as violation:
        print(f"{world.clock.now:12.4f} !! {violation}")
        return 1
    print(f"{world.clock.now:12.4f} nothing was violated")
    return 0


def _words(fact: Any) -> str:
    match fact:
        case Said():
            piece = " (a piece)" if fact.piece else ""
            return f"{fact.id[:4]}@{fact.key[0] / 1000:.3f} said at {fact.accepted:.3f}{piece}"
        case Item():
            return (
                f"{type(fact).__name__} {(fact.id or '')[:4]} {fact.absolute_time}"
                f"{' LATE' if fact.late else ''}"
            )
        case ReadTranscript():
            return f"{fact} {dict(fact.query)}"
        case [Item(), *_]:
            return f"{len(fact)} items: " + " ".join(
                f"{(item.id or '')[:4]}@{item.absolute_time:%H:%M:%S.%f}"[:-3] for item in fact
            )
        case str() if "heartbeat" in fact or "ping" in fact:
            return fact[:32]
    return str(fact) if not isinstance(fact, Exception) else type(fact).__name__
