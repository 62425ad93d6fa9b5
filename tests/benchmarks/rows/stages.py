"""Where the time of an item goes: its way through a session in memory, stage by stage."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence

from pydantic_core import from_json

from connect_chat import SessionOptions
from connect_chat.item_json import parse_item_json
from connect_chat.transport.framing import FrameCutter
from tests.benchmarks import script
from tests.benchmarks.reference import item_of
from tests.benchmarks.row import Missing, Row
from tests.benchmarks.virtual import VirtualChat

__all__ = ["measure"]

_ITEMS = 20_000
_AT_ONCE = 500
"""So many come together: fewer than a reader's buffer holds."""
_READ = 1 << 18
"""The bytes that a socket is read for at once."""
_REFERENCE = "from_json twice, in memory"
_NOTE = (
    "Without sockets, event loop, tasks and garbage collector: what is more in the rows of "
    "receive is theirs. The last two have the envelope and the item in them."
)


def measure(rounds: int) -> list[Row | Missing]:
    """Return a row for each stage, against parsing both layers of JSON and nothing else."""
    stream = b"".join(script.frames(0, 1, _ITEMS))
    texts = _cut(stream)
    contents = [from_json(text)["content"] for text in texts]
    measured: dict[str, Callable[[], object]] = {
        _REFERENCE: lambda: [item_of(text) for text in texts],
        "framing: texts out of the stream": lambda: _cut(stream),
        "envelope: from_json of a text": lambda: [from_json(text) for text in texts],
        "item: typed, from the JSON in it": lambda: [parse_item_json(one) for one in contents],
        "engine: text to reader, reorder_window=0": lambda: _receive(texts, 0),
        "waiting: text to reader, default options": lambda: _receive(texts, 0.1),
    }
    costs: dict[str, list[float]] = {what: [] for what in measured}
    gc.disable()
    for number in range(rounds + 1):
        for what, call in measured.items():
            cost = _cost(call)
            if number:
                costs[what].append(cost)
    reference = costs.pop(_REFERENCE)
    return [
        Row(
            f"stages.{what.partition(':')[0]}",
            f"CPU of an item: {what.partition(': ')[2]}",
            _REFERENCE,
            "µs",
            ours,
            reference,
            "cost",
            note=_NOTE,
        )
        for what, ours in costs.items()
    ]


def _cost(call: Callable[[], object]) -> float:
    """Return the microseconds of CPU of an item."""
    gc.collect()
    began = time.process_time()
    result = call()
    used = time.process_time() - began
    del result
    return used / _ITEMS * 1e6


def _cut(stream: bytes) -> list[bytes]:
    texts: list[bytes] = []
    cutter = FrameCutter()
    for start in range(0, len(stream), _READ):
        for _ in cutter.cut(stream[start : start + _READ], texts):
            raise RuntimeError("there is nothing but texts in it")
    return texts


def _receive(texts: Sequence[bytes], reorder_window: float) -> None:
    chat = VirtualChat(
        SessionOptions(reorder_window=reorder_window, relooks=(), audit_interval=3600)
    )
    for start in range(0, _ITEMS, _AT_ONCE):
        chat.burst(texts[start : start + _AT_ONCE])
    if chat.received != 1 + _ITEMS:
        raise RuntimeError(f"{chat.received} items of {1 + _ITEMS} were handed out")
