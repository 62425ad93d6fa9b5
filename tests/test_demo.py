"""``connect-chat demo``: what it shows, and whether its exit status can be believed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from connect_chat import Item, parse_item
from connect_chat.cli.tally import Report, Tally, compare
from connect_chat.items import EVENT_PREFIX

# In the background of a shell SIGINT is ignored, and Python would leave it at that.
CODE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["connect-chat", "demo"]
from connect_chat.cli import main
main()
"""
DEMO = [sys.executable, "-c", CODE]


def messages(ids: str) -> list[Item]:
    return [parse_item({"Type": "MESSAGE", "Id": item_id}) for item_id in ids]


@pytest.mark.parametrize(
    ("delivered", "tally"),
    [
        ("abcd", Tally(said=4, delivered=4, missing=0, repeated=0, out_of_order=0)),
        ("", Tally(said=4, delivered=0, missing=4, repeated=0, out_of_order=0)),
        ("abd", Tally(said=4, delivered=3, missing=1, repeated=0, out_of_order=0)),
        ("abbcda", Tally(said=4, delivered=4, missing=0, repeated=2, out_of_order=0)),
        ("acbd", Tally(said=4, delivered=4, missing=0, repeated=0, out_of_order=1)),
        ("dabc", Tally(said=4, delivered=4, missing=0, repeated=0, out_of_order=3)),
        ("abcdx", Tally(said=4, delivered=4, missing=0, repeated=1, out_of_order=0)),
    ],
)
def test_said_is_compared_with_delivered(delivered: str, tally: Tally) -> None:
    """Each way to go wrong counts, also an item that was not to be delivered at all."""
    assert compare("abcd", messages(delivered)) == tally


def test_what_the_transcript_does_not_keep_is_not_counted() -> None:
    """Typing comes and goes."""
    typing = parse_item({"Type": "EVENT", "ContentType": EVENT_PREFIX + "typing", "Id": "t"})
    assert compare("a", [typing, *messages("a")]) == compare("a", messages("a"))


@pytest.mark.parametrize(
    ("delivered", "rotations", "reconnections", "good"),
    [
        ("abc", 1, 1, True),
        ("abc", 2, 3, True),
        ("ac", 1, 1, False),
        ("abbc", 1, 1, False),
        ("bac", 1, 1, False),
        ("abc", 0, 1, False),
        ("abc", 1, 0, False),
    ],
)
def test_what_counts_as_good(
    delivered: str, rotations: int, reconnections: int, good: bool
) -> None:
    """Nothing missing, repeated or out of order, and both troubles really happened."""
    report = Report(compare("abc", messages(delivered)), rotations, reconnections)
    assert report.good is good


def test_a_chat_is_held_through_a_rotation_and_a_lost_connection() -> None:
    """Both happen, all is told in order and in plain text, and the exit status is 0."""
    # Nobody reaches an emulator on this machine through a proxy.
    environment = os.environ | {
        "http_proxy": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    done = subprocess.run(
        DEMO, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    told = [
        "connected and subscribed",
        "System    Welcome!",
        "Ana       Hello",
        "Jane joined",
        "Jane is typing ...",
        "Jane      Good morning",
        "rotated",
        "connection lost",
        "reconnected",
        "3 items read from the transcript",
        "Jane      12:40 at your door.",
        "Jane      12:41 nobody answered the bell.",
        "Jane      12:43 handed to your neighbour",
        "Jane      [file receipt.txt, text/plain]",
        "Jane left",
        "the chat has ended",
    ]
    places = [done.stdout.index(line) for line in told]
    assert places == sorted(places)
    assert re.fullmatch(
        r"(\d+) items said, \1 delivered, 0 missing, 0 repeated, 0 out of order; "
        r"rotations: [1-9], reconnections: [1-9]",
        done.stdout.splitlines()[-1],
    )
    assert not re.search(r"wss?://|[?&]\w+=|[\w-]{40,}", done.stdout), "a secret was printed"


def test_ctrl_c_ends_it_quietly() -> None:
    """Its status is 130, and it says nothing more."""
    with subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert any("connected" in line for line in process.stdout)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, errors) == (130, "")


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """As in ``connect-chat demo | head``: nothing is left to do, and nothing to complain of."""
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr is not None
            assert process.stderr.read() == b""
            assert process.wait(timeout=10) == 130
        finally:
            process.kill()
