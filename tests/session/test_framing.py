"""Cutting a stream into frames, against the parser of the websockets library."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from connect_chat.transport.framing import MOST, FrameCutter

# Around the lengths at which a frame's head grows.
SIZES = (0, 1, 125, 126, 127, 300, 65_535, 65_536)


def spelled(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    """Return a frame as a server sends it."""
    return Frame(opcode, data, fin).serialize(mask=False)


def cut(stream: bytes, places: list[int]) -> list[tuple[bytes, bool]]:
    """Return what a stream gives that comes in parts, and whether each is a text."""
    cutter, found = FrameCutter(), []
    texts: list[bytes] = []
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    for begin, end in pairwise(edges):
        for frame in cutter.cut(stream[begin:end], texts):
            found += [(text, True) for text in texts] + [(frame, False)]
            texts.clear()
    return found + [(text, True) for text in texts]


texts = st.sampled_from(SIZES).map(lambda size: spelled(Opcode.TEXT, b"x" * size))
others = st.sampled_from(
    [
        spelled(Opcode.PING, b"ping"),
        spelled(Opcode.PONG, b""),
        spelled(Opcode.BINARY, b"\x81\x01x" * 50),
        spelled(Opcode.TEXT, b"first ", fin=False) + spelled(Opcode.CONT, b"second"),
    ]
)


@given(st.lists(texts | others, max_size=12), st.lists(st.integers(0, 1 << 20), max_size=8))
def test_it_finds_what_the_library_finds(frames: list[bytes], places: list[int]) -> None:
    """Whole texts are told apart, nothing is lost, and the rest is the library's as it came."""
    stream = b"".join(frames)
    library = Protocol(Side.CLIENT)
    library.receive_data(stream)
    expected = [event for event in library.events_received() if isinstance(event, Frame)]
    found = cut(stream, places)
    rest = Protocol(Side.CLIENT)
    got = []
    for data, is_text in found:
        if is_text:
            got.append(Frame(Opcode.TEXT, data))
            continue
        rest.receive_data(data)
        got += rest.events_received()
    assert [(one.opcode, bytes(one.data), one.fin) for one in got] == [
        (one.opcode, bytes(one.data), one.fin) for one in expected
    ]
    assert all(is_text for data, is_text in found if data in {b"x" * size for size in SIZES[1:]})


def test_a_frame_that_is_too_large_is_the_librarys_at_once() -> None:
    """It is refused by its head, and never gathered."""
    head = bytes([0x81, 127]) + (MOST + 1).to_bytes(8)
    ((data, is_text),) = cut(head + b"x" * 10, [])
    assert not is_text
    library = Protocol(Side.CLIENT)
    library.receive_data(data)
    assert library.state is State.CLOSING


def test_a_masked_frame_is_the_librarys() -> None:
    """No server may send one."""
    masked = Frame(Opcode.TEXT, b"text").serialize(mask=True)
    ((data, is_text),) = cut(masked + spelled(Opcode.TEXT, b"next"), [])
    assert not is_text
    library = Protocol(Side.CLIENT)
    library.receive_data(data)
    assert library.state is State.CLOSING
    assert library.parser_exc is not None
