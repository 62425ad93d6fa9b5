"""Scenarios: what they do in a chat, how they are read, and those that come with the package."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connect_chat import (
    AttachmentMessage,
    ChatEnded,
    ChatEndedError,
    ChatSession,
    InteractiveMessage,
    Item,
    Message,
    ParticipantIdle,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantReturned,
    TransferSucceeded,
    Typing,
)
from connect_chat.cli.app import app
from connect_chat.emulator import Emulator, StartedChat, faults
from connect_chat.emulator import scenarios as s
from connect_chat.emulator.scenarios import Scenario, ScenarioError, load, parse, ready
from connect_chat.errors import ConfigurationError

pytestmark = pytest.mark.connect_time("virtual")


async def played(
    emulator: Emulator,
    chat: ChatSession,
    contact_id: str,
    *steps: s.Step,
    answers: Iterable[str] = (),
) -> list[Item]:
    """Play steps and then an end; answer, and return what the customer gets."""
    replies = iter(answers)
    got: list[Item] = []

    async def listen() -> None:
        async for item in chat:
            got.append(item)
            if isinstance(item, Message | InteractiveMessage) and str(item.content).endswith("?"):
                reply = next(replies, None)
                if reply is not None:
                    with suppress(ChatEndedError):
                        await chat.send(reply)

    listening = asyncio.create_task(listen())
    await emulator.play(contact_id, Scenario(*steps, s.End()))
    await listening
    return got


def texts(items: Iterable[Item]) -> list[str]:
    messages = [item for item in items if isinstance(item, Message)]
    return [item.text for item in messages if not isinstance(item, InteractiveMessage)]


Play = Callable[..., Any]


@pytest.fixture
def play(connect_emulator: Emulator, chat_session: ChatSession, started_chat: StartedChat) -> Play:
    """Play steps in the chat."""

    def play(*steps: s.Step, answers: Iterable[str] = ()) -> Any:
        contact_id = started_chat.contact_id
        return played(connect_emulator, chat_session, contact_id, *steps, answers=answers)

    return play


async def test_a_flow_and_people_speak(play: Play) -> None:
    """In their own names and roles, with typing in between."""
    items = await play(
        s.Say("Welcome"),
        s.Join("Jane"),
        s.Type("Jane"),
        s.Say("**Hello**", by="Jane", content_type="text/markdown"),
        s.Leave("Jane"),
    )
    said = [item for item in items if isinstance(item, Message)]
    assert [(m.text, m.participant_role, m.display_name) for m in said] == [
        ("Welcome", "SYSTEM", "SYSTEM_MESSAGE"),
        ("**Hello**", "AGENT", "Jane"),
    ]
    assert said[1].content_type == "text/markdown"
    others = [type(item) for item in items if not isinstance(item, Message)]
    assert others == [ParticipantJoined, ParticipantJoined, Typing, ParticipantLeft, ChatEnded]


async def test_waiting_takes_virtual_time_only(play: Play) -> None:
    """A wait of an hour is an hour later by everybody's clock."""
    before = asyncio.get_running_loop().time()
    items = await play(s.Say("now"), s.Wait(3600), s.Say("then"))
    first, second = (item.absolute_time for item in items if isinstance(item, Message))
    assert (second - first).total_seconds() == pytest.approx(3600, abs=0.1)
    assert asyncio.get_running_loop().time() - before == pytest.approx(3600, abs=5)


async def test_waiting_for_the_customer(connect_emulator: Emulator, connect_client: Any) -> None:
    """Nothing is said before the customer has connected; at once if they have."""
    chat = await connect_emulator.start_chat()
    steps = (s.AwaitCustomer(), s.Say("There you are"))
    playing = asyncio.create_task(connect_emulator.play(chat.contact_id, Scenario(*steps)))
    await asyncio.sleep(100)
    assert connect_emulator.transcript(chat.contact_id) == []
    async with ChatSession(chat.participant_token, client=connect_client) as session:
        await playing
        assert (await session.wait_for(Message, 5)).text == "There you are"
        await connect_emulator.play(chat.contact_id, Scenario(*steps))


@pytest.mark.parametrize(
    ("answer", "reply"),
    [("Yes please", "Fine"), ("nope", "Pity"), ("maybe", "So: maybe"), (None, "Hello?")],
)
async def test_what_is_answered_decides(play: Play, answer: str | None, reply: str) -> None:
    """The first match, in capitals or not; otherwise; or nothing in time."""
    items = await play(
        s.Ask(
            "Shall we?",
            (s.Answer("yes|sure", (s.Say("Fine"),)), s.Answer("^no", (s.Say("Pity"),))),
            (s.Say("So: {answer}"),),
            timeout=60,
            silence=(s.Say("Hello?"),),
        ),
        answers=[] if answer is None else [answer],
    )
    assert texts(items) == ["Shall we?", reply]


async def test_what_was_said_before_a_question_is_no_answer(
    connect_emulator: Emulator, chat_session: ChatSession, started_chat: StartedChat
) -> None:
    """Ask listens from the question on; Listen takes what has not been taken yet."""
    scenario = Scenario(
        s.Wait(10),
        s.Listen(otherwise=(s.Say("1: {answer}"),)),
        s.Wait(10),
        s.Ask("?", otherwise=(s.Say("2: {answer}"),)),
    )
    playing = asyncio.create_task(connect_emulator.play(started_chat.contact_id, scenario))
    await asyncio.sleep(1)
    await chat_session.send("early")
    await asyncio.sleep(12)
    await chat_session.send("too early")
    await asyncio.sleep(12)
    await chat_session.send("in time")
    await playing
    assert [(await chat_session.wait_for(Message, 5)).text for _ in range(3)] == [
        "1: early",
        "?",
        "2: in time",
    ]


async def test_an_answer_that_is_repeated_may_be_long(play: Play) -> None:
    """It is cut at what a message may have."""
    items = await play(s.Ask("?", otherwise=(s.Say("You said: {answer}"),)), answers=["x" * 1024])
    assert texts(items)[1] == ("You said: " + "x" * 1024)[:1024]


async def test_templates_streams_and_files(play: Play) -> None:
    """An interactive message, an answer piece by piece from flow and agent, and a file."""
    template = {
        "templateType": "ListPicker",
        "version": "1.0",
        "data": {"content": {"title": "What?", "elements": [{"title": "This"}]}},
    }
    before = asyncio.get_running_loop().time()
    items = await play(
        s.Interactive(template),
        s.Listen(timeout=1),
        s.Stream(("One ", "two."), interval=5),
        s.Join("Bot", role="CUSTOM_BOT"),
        s.Stream(("Three ", "four."), interval=5, by="Bot"),
        s.SendFile("a.txt", "content", by="Bot"),
    )
    [picker] = [item for item in items if isinstance(item, InteractiveMessage)]
    assert "ListPicker" in str(picker.content)
    assert texts(items) == ["One two.", "Three four."]
    [file] = [item for item in items if isinstance(item, AttachmentMessage)]
    assert file.attachments[0].attachment_name == "a.txt"
    assert asyncio.get_running_loop().time() - before > 10


async def test_people_come_and_go(play: Play) -> None:
    """A transfer, somebody idle and back."""
    items = await play(
        s.Join("Jane"),
        s.Transfer("John", by="Jane"),
        s.Say("I am John", by="John"),
        s.Idle("customer"),
        s.Return("customer"),
        s.Idle("John"),
    )
    kinds = [type(item) for item in items]
    assert kinds.count(TransferSucceeded) == 1
    assert kinds.count(ParticipantIdle) == 2
    assert kinds.count(ParticipantReturned) == 1
    assert texts(items) == ["I am John"]


async def test_things_go_wrong_in_this_chat_only(
    play: Play, connect_emulator: Emulator, started_chat: StartedChat
) -> None:
    """An injected fault is about the scenario's chat."""
    other = await connect_emulator.start_chat()
    items = await play(s.Inject(faults.Cut()), s.Say("still here"), s.Wait(10))
    assert texts(items) == ["still here"]
    assert {record.contact_id for record in connect_emulator.records("fault")} == {
        started_chat.contact_id
    }
    assert other.contact_id != started_chat.contact_id


async def test_steps_are_repeated(play: Play) -> None:
    """So many times, or until the chat ends."""
    bye = s.Answer("bye", (s.End(),))
    items = await play(
        s.Repeat((s.Say("hip"),), times=3),
        s.Repeat((s.Ask("more?", (bye,)),)),
        answers=["yes", "yes", "bye"],
    )
    assert texts(items) == ["hip"] * 3 + ["more?"] * 3


async def test_a_scenario_is_played_in_every_chat() -> None:
    """That is started, whoever starts it; it ends with the emulator."""
    async with Emulator(scenario=Scenario(s.Say("Welcome"), s.Wait(1e6))) as emulator:
        chats = [await emulator.start_chat() for _ in range(3)]
        await asyncio.sleep(1)
        for chat in chats:
            [item] = emulator.transcript(chat.contact_id)
            assert item["Content"] == "Welcome"


async def test_a_scenario_ends_with_the_chat(
    connect_emulator: Emulator, started_chat: StartedChat
) -> None:
    """Nothing is said any more, and nothing raised; in a chat that is over it does not begin."""
    scenario = Scenario(s.Wait(10), s.Say("too late"))
    playing = asyncio.create_task(connect_emulator.play(started_chat.contact_id, scenario))
    await asyncio.sleep(1)
    connect_emulator.end_chat(started_chat.contact_id)
    await playing
    await connect_emulator.play(started_chat.contact_id, scenario)
    assert len(connect_emulator.transcript(started_chat.contact_id)) == 1  # that it has ended


async def test_playing_may_be_cancelled(
    connect_emulator: Emulator, started_chat: StartedChat
) -> None:
    """Then the scenario stops."""
    scenario = Scenario(s.Wait(10), s.Say("too late"))
    playing = asyncio.create_task(connect_emulator.play(started_chat.contact_id, scenario))
    await asyncio.sleep(1)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    await asyncio.sleep(20)
    assert connect_emulator.transcript(started_chat.contact_id) == []


async def test_who_is_not_there_cannot_act(
    connect_emulator: Emulator, started_chat: StartedChat, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names who is; in a scenario of all chats it is logged."""
    scenario = Scenario(s.Join("Jane"), s.Say("Hello", by="John"))
    with pytest.raises(ConfigurationError, match="'John' is not in the chat, but Jane is"):
        await connect_emulator.play(started_chat.contact_id, scenario)
    connect_emulator.start_playing(started_chat.contact_id, scenario)
    await asyncio.sleep(1)
    assert "A scenario has stopped: 'John' is not in the chat" in caplog.text


# --- Reading -------------------------------------------------------------------------------------

EVERYTHING = """
name: everything
about: One of each.
steps:
  - await_customer
  - say: Hello
  - say: {text: Hello, by: Jane, content_type: text/markdown}
  - type: Jane
  - wait: 0.5
  - listen
  - listen:
      timeout: 3
      silence:
        - say: Nothing?
  - ask:
      text: Yes?
      by: Jane
      answers:
        - match: "yes"
          steps:
            - end
      otherwise:
        - end
  - interactive: {template: {templateType: Panel, version: "1.0", data: {}}}
  - stream: [One, two]
  - stream: {pieces: [One], interval: 0, by: Jane}
  - send_file: {name: a.txt, text: Hello, by: Jane}
  - join: Jane
  - join: {name: Sue, role: SUPERVISOR}
  - transfer: {to: John, by: Jane}
  - idle: customer
  - return: John
  - inject: {kind: drop, probability: 0.5}
  - repeat:
      times: 2
      steps:
        - say: Again
  - leave: John
  - end
"""


def test_every_step_can_be_written_down() -> None:
    """What is read is what one would write in Python."""
    assert parse(EVERYTHING) == Scenario(
        s.AwaitCustomer(),
        s.Say("Hello"),
        s.Say("Hello", by="Jane", content_type="text/markdown"),
        s.Type("Jane"),
        s.Wait(0.5),
        s.Listen(),
        s.Listen(timeout=3, silence=(s.Say("Nothing?"),)),
        s.Ask("Yes?", (s.Answer("yes", (s.End(),)),), (s.End(),), by="Jane"),
        s.Interactive({"templateType": "Panel", "version": "1.0", "data": {}}),
        s.Stream(("One", "two")),
        s.Stream(("One",), interval=0, by="Jane"),
        s.SendFile("a.txt", "Hello", by="Jane"),
        s.Join("Jane"),
        s.Join("Sue", role="SUPERVISOR"),
        s.Transfer("John", by="Jane"),
        s.Idle("customer"),
        s.Return("John"),
        s.Inject(faults.Drop(probability=0.5)),
        s.Repeat((s.Say("Again"),), times=2),
        s.Leave("John"),
        s.End(),
        name="everything",
        about="One of each.",
    )


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("", "", "there is nothing in it; begin with 'steps:'"),
        ("a: [", ":1:5", "this is not YAML: expected the node content, but found '<stream end>'"),
        ("- say: x", ":1:1", "a scenario consists of names and values"),
        ("about: x", ":1:1", "a scenario needs 'steps'"),
        ("step: []", ":1:1", "a scenario has no 'step'; did you mean 'steps'?"),
        ("steps: 3", ":1:8", "steps are a list; begin each of them with '- '"),
        ("steps:\n  - sya: x", ":2:5", "there is no step 'sya'; did you mean 'say'?"),
        ("steps:\n  - xyzzy", ":2:5", "there is no step 'xyzzy'; there are say, type, wait"),
        ("steps:\n  - [x]: 3", ":2:5", "there is no step"),
        ("steps:\n  - say: x\n    wait: 3", ":2:5", "a step is one word, or one word with what"),
        (
            "steps:\n  - say: 42",
            ":2:10",
            "'text': Input should be a valid string; put it in quotes",
        ),
        ("steps:\n  - say: {txt: x}", ":2:11", "'say' has no 'txt'; did you mean 'text'?"),
        ("steps:\n  - say: {by: flow}", ":2:5", "'say' needs 'text'; it takes text, by, content_t"),
        ("steps:\n  - say: {text: a, text: b}", ":2:20", "'text' is there twice; remove one"),
        ("steps:\n  - wait", ":2:5", "'wait' needs 'seconds'"),
        ("steps:\n  - wait: -1", ":2:5", "'wait': seconds must be 0 or more; got -1"),
        ("steps:\n  - wait: soon", ":2:11", "'seconds': Input should be a valid number"),
        ("steps:\n  - end: now", ":2:10", "'end' takes nothing; write '- end'"),
        (
            "steps:\n  - say: {text: x, by: Jane}",
            ":2:24",
            "nobody called 'Jane' joins (there is nobody); add '- join: Jane' before this",
        ),
        (
            "steps:\n  - ask:\n      text: x\n      answers:\n        - {match: '(', steps: []}",
            ":5:11",
            "'answer': match must be a regular expression: missing )",
        ),
        ("steps:\n  - listen:\n      answers: yes", ":3:16", "answers are a list; begin each with"),
        ("steps:\n  - inject: cut", ":2:13", "a fault has a kind; write '{kind: cut}'"),
        ("steps:\n  - inject: {kind: ct}", ":2:13", "this is no fault: kind must be one of fail"),
        (
            "steps:\n  - repeat:\n      - say: x",
            ":2:5",
            "'repeat': steps that are repeated without end must wait for something: say how many",
        ),
        ("steps:\n  - join: {name: x, role: BOSS}", ":2:27", "'role': Input should be 'AGENT', "),
        (
            "steps:\n  - interactive: {template: {date: 2020-01-01}}",
            ":2:5",
            "'interactive': template must be JSON: Object of type date",
        ),
        ("steps: &a\n  - repeat: {steps: *a, times: 2}", ":1:1", "it contains itself"),
    ],
)
def test_errors_name_place_and_remedy(text: str, place: str, problem: str) -> None:
    """File, line and column, what is wrong, and what to do."""
    with pytest.raises(ScenarioError) as caught:
        parse(text, source="mine.yaml")
    assert str(caught.value).startswith(f"mine.yaml{place}: {problem}")


def test_a_scenario_may_be_a_file(tmp_path: Path) -> None:
    """It is called as the file is, unless it says otherwise."""
    path = tmp_path / "mine.yaml"
    path.write_text("steps:\n  - say: Grüß Gott\n", encoding="utf-8")
    assert load(path) == load(str(path)) == Scenario(s.Say("Grüß Gott"), name="mine")


def test_a_name_that_is_unknown_is_an_error_with_a_suggestion() -> None:
    """Of what there is."""
    with pytest.raises(ScenarioError, match="no scenario 'suport'; did you mean 'support'"):
        load("suport")


@pytest.mark.parametrize(
    "make",
    [
        lambda: s.Wait(-1),
        lambda: s.Listen(timeout=-1),
        lambda: s.Ask("?", timeout=-1),
        lambda: s.Stream(("a",), interval=-1),
        lambda: s.Repeat((s.Say("x"),)),
        lambda: s.Repeat((s.Repeat((s.Wait(0),), times=3),)),
    ],
)
def test_steps_are_checked_in_python_too(make: Callable[[], object]) -> None:
    """What could never work cannot be made."""
    with pytest.raises(ConfigurationError):
        make()


def test_endless_steps_may_wait_in_any_way() -> None:
    """For somebody, for time, for pieces, or inside of others."""
    for step in (
        s.Listen(),
        s.Ask("?"),
        s.Wait(1),
        s.Stream(("a", "b")),
        s.Repeat((s.Wait(1),), times=1),
    ):
        assert s.Repeat((step,)).times is None


# --- Those that come with the package ------------------------------------------------------------


def test_there_are_a_dozen_and_each_says_what_it_shows() -> None:
    """In a sentence."""
    there = ready()
    assert len(there) >= 12
    assert all(about.endswith(".") for about in there.values())


@pytest.mark.parametrize("name", ready())
async def test_each_can_be_played_by_a_customer_who_answers(
    name: str, connect_emulator: Emulator, chat_session: ChatSession, started_chat: StartedChat
) -> None:
    """Whatever it asks is answered; nothing is lost, whatever it does to the network."""
    answers = iter(["my order 4711", "yes", "5", "bye", *["thanks"] * 10])
    got: list[Item] = []

    async def listen() -> None:
        async for item in chat_session:
            got.append(item)
            if isinstance(item, Message | InteractiveMessage):
                with suppress(ChatEndedError):
                    await chat_session.send(next(answers, "bye"))

    listening = asyncio.create_task(listen())
    async with asyncio.timeout(1000):
        await connect_emulator.play(started_chat.contact_id, load(name))
    connect_emulator.end_chat(started_chat.contact_id)
    await listening
    transcript = connect_emulator.transcript(started_chat.contact_id)
    kept = [
        item["Id"]
        for item in transcript
        if item.get("ParticipantRole") != "CUSTOMER" and item["Type"] != "EVENT"
    ]
    places = [kept.index(item.id) for item in got if item.id in kept]
    assert sorted(places) == list(range(len(kept)))
    in_time = [kept.index(item.id) for item in got if item.id in kept and not item.late]
    assert in_time == sorted(in_time)
    assert kept


async def test_silence_is_noticed(
    connect_emulator: Emulator, chat_session: ChatSession, started_chat: StartedChat
) -> None:
    """A customer who never answers is told to be idle, and let go."""
    await connect_emulator.play(started_chat.contact_id, load("idle"))
    items = [item async for item in chat_session]
    assert ParticipantIdle in [type(item) for item in items]
    assert texts(items)[-1].startswith("Then I close the chat.")


# --- On the command line -------------------------------------------------------------------------


def test_the_command_line_lists_them() -> None:
    """Each with what it shows."""
    done = CliRunner().invoke(app, ["emulator", "--list-scenarios"])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.output.splitlines()] == list(ready())


def test_the_command_line_says_what_is_wrong_with_one(tmp_path: Path) -> None:
    """Before it serves anything."""
    path = tmp_path / "mine.yaml"
    path.write_text("steps:\n  - sya: x\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["emulator", "--port", "0", "--scenario", str(path)])
    assert done.exit_code == 2
    assert "did you mean 'say'?" in re.sub(r"[\s│]+", " ", done.output)
