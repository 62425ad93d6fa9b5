"""Reads scenarios from YAML, strictly: what is not understood is named, with a remedy."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from connect_chat.emulator.faults import Fault, parse_fault
from connect_chat.emulator.scenarios import steps
from connect_chat.emulator.scenarios.steps import CUSTOMER, FLOW, Answer, Scenario, Step
from connect_chat.errors import ConfigurationError, MissingExtraError

try:
    import yaml
except ModuleNotFoundError as error:
    raise MissingExtraError("Reading scenarios", "emulator") from error

__all__ = ["ScenarioError", "load", "load_ready", "parse", "ready"]

T = TypeVar("T")

_STEPS: Mapping[str, type[Step]] = {
    "say": steps.Say,
    "type": steps.Type,
    "wait": steps.Wait,
    "await_customer": steps.AwaitCustomer,
    "listen": steps.Listen,
    "ask": steps.Ask,
    "interactive": steps.Interactive,
    "stream": steps.Stream,
    "send_file": steps.SendFile,
    "join": steps.Join,
    "leave": steps.Leave,
    "transfer": steps.Transfer,
    "idle": steps.Idle,
    "return": steps.Return,
    "inject": steps.Inject,
    "repeat": steps.Repeat,
    "end": steps.End,
}
_OF_STEPS = ("steps", "otherwise", "silence")
_JOINING = {"join": "name", "transfer": "to"}
_EVERYBODY = {"idle", "return"}


class ScenarioError(ConfigurationError):
    """A scenario is not understood. The message begins with ``file:line:column``."""


def ready() -> dict[str, str]:
    """Return the scenarios that come with the package: what they show, by name."""
    return {name: load_ready(name).about for name in sorted(_ready())}


def load(name: str | os.PathLike[str]) -> Scenario:
    """Return a scenario.

    Args:
        name: A file of YAML; or the name of one that comes with the package, see `ready`.

    Raises:
        ScenarioError: It is not understood, or there is neither file nor scenario of that name.
        OSError: The file cannot be read.
    """
    path = Path(name)
    if path.exists() and str(name) not in _ready():
        return parse(path.read_text(encoding="utf-8"), source=os.fspath(path))
    return load_ready(os.fspath(name))


def load_ready(name: str) -> Scenario:
    """Return a scenario that comes with the package; as `load`, but reads no file."""
    known = _ready()
    if name not in known:
        raise ScenarioError(f"there is no scenario {name!r}; {_meant(name, known)}")
    return parse(known[name], source=f"{name}.yaml")


def parse(text: str, *, source: str = "scenario.yaml") -> Scenario:
    """Return the scenario that a text in YAML describes.

    Args:
        text: The text.
        source: Where it is from, for errors. Without its suffix it is the scenario's name unless
            the text says another one.

    Raises:
        ScenarioError: It is not understood.
    """
    return _Reader(source).read(text)


def _ready() -> dict[str, str]:
    directory = files("connect_chat.emulator.scenarios") / "ready"
    return {
        file.name.removesuffix(".yaml"): file.read_text(encoding="utf-8")
        for file in directory.iterdir()
        if file.name.endswith(".yaml")
    }


class _Reader:
    """Reads one text.

    YAML's own nodes are walked, since only they know their places.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._joining: set[str] = set()
        self._acting: list[tuple[str, yaml.Node]] = []

    def read(self, text: str) -> Scenario:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._fail(mark, f"this is not YAML: {error.problem}", "check indents and quotes")
        if root is None:
            self._fail(None, "there is nothing in it", "begin with 'steps:'")
        members = self._members(root, ("name", "about", "steps"), "a scenario")
        if "steps" not in members:
            self._fail(root.start_mark, "a scenario needs 'steps'", "add a list of them")
        named = {
            field: self._value(members[field], str, field)
            for field in ("name", "about")
            if field in members
        }
        named.setdefault("name", Path(self._source).stem)
        try:
            read = self._steps(members["steps"])
        except RecursionError:
            self._fail(root.start_mark, "it contains itself", "remove the alias that does this")
        for name, node in self._acting:
            if name not in self._joining:
                known = ", ".join(sorted(self._joining)) or "nobody"
                self._fail(
                    node.start_mark,
                    f"nobody called {name!r} joins (there is {known})",
                    f"add '- join: {name}' before this",
                )
        return Scenario(*read, **named)

    def _steps(self, node: yaml.Node) -> tuple[Step, ...]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node.start_mark, "steps are a list", "begin each of them with '- '")
        return tuple(map(self._step, node.value))

    def _step(self, node: yaml.Node) -> Step:
        if isinstance(node, yaml.ScalarNode):
            return self._object(self._kind(node), node.value, None, node)
        if not isinstance(node, yaml.MappingNode) or len(node.value) != 1:
            self._fail(
                node.start_mark,
                "a step is one word, or one word with what it takes",
                "write '- say: Hello', with '- ' before each step",
            )
        [(key, value)] = node.value
        return self._object(self._kind(key), key.value, value, key)

    def _kind(self, key: yaml.Node) -> Callable[..., Step]:
        name = _word(key)
        if name not in _STEPS:
            self._fail(key.start_mark, f"there is no step {name!r}", _meant(name, _STEPS))
        return _STEPS[name]

    def _object(
        self, kind: Callable[..., T], name: str, node: yaml.Node | None, key: yaml.Node
    ) -> T:
        """Return a step or an answer.

        Args:
            kind: Its class.
            name: What it is called.
            node: What it takes; None for nothing.
            key: Where it is called so.
        """
        known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
        hints = get_type_hints(kind)
        given: dict[str, yaml.Node] = {}
        if isinstance(node, yaml.MappingNode) and name != "inject":
            given = self._members(node, known, repr(name))
        elif node is not None and not _is_nothing(node):
            if not known:
                self._fail(node.start_mark, f"{name!r} takes nothing", f"write '- {name}'")
            given = {next(iter(known)): node}
        for field in known.values():
            if _required(field) and field.name not in given:
                self._fail(
                    key.start_mark, f"{name!r} needs {field.name!r}", f"it takes {_listed(known)}"
                )
        values = {field: self._field(field, given[field], hints[field], name) for field in given}
        try:
            return kind(**values)
        except ConfigurationError as error:
            self._fail(key.start_mark, f"{name!r}: {error}")

    def _field(self, field: str, node: yaml.Node, hint: Any, name: str) -> Any:
        if field in _OF_STEPS:
            return self._steps(node)
        if field == "answers":
            return tuple(
                self._object(Answer, "answer", answer, answer) for answer in self._list(node)
            )
        if field == "fault":
            return self._fault(node)
        value = self._value(node, hint, field)
        if field == _JOINING.get(name):
            self._joining.add(value)
        elif field == "by" and value != FLOW and not (value == CUSTOMER and name in _EVERYBODY):
            self._acting.append((value, node))
        return value

    def _list(self, node: yaml.Node) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node.start_mark, "answers are a list", "begin each with '- match: '")
        items: list[yaml.Node] = node.value
        return items

    def _fault(self, node: yaml.Node) -> Fault:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node.start_mark, "a fault has a kind", "write '{kind: cut}' or the like")
        try:
            return parse_fault(_plain(node))
        except ConfigurationError as error:
            self._fail(node.start_mark, f"this is no fault: {error}")

    def _value(self, node: yaml.Node, hint: Any, field: str) -> Any:
        adapter = TypeAdapter(hint, config=ConfigDict(strict=True))
        try:
            value = _plain(node)
            # A sequence is a list in YAML, and numbers need no point.
            return adapter.validate_python(tuple(value) if isinstance(value, list) else value)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            remedy = "put it in quotes" if hint is str else None
            self._fail(node.start_mark, f"{field!r}: {problem}", remedy)

    def _members(
        self, node: yaml.Node, known: Mapping[str, Any] | tuple[str, ...], what: str
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node.start_mark, f"{what} consists of names and values", "write 'name: …'")
        members: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = _word(key)
            if name not in known:
                self._fail(key.start_mark, f"{what} has no {name!r}", _meant(name, known))
            if name in members:
                self._fail(key.start_mark, f"{name!r} is there twice", "remove one of them")
            members[name] = value
        return members

    def _fail(self, mark: yaml.Mark | None, problem: str, remedy: str | None = None) -> NoReturn:
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        advice = f"; {remedy}" if remedy else ""
        raise ScenarioError(f"{self._source}{place}: {problem}{advice}") from None


def _plain(node: yaml.Node) -> Any:
    """Return a node as Python's values."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()


def _word(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "[…]"


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _listed(known: Mapping[str, Any] | tuple[str, ...]) -> str:
    return ", ".join(known) or "nothing"


def _meant(word: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """Return the remedy for a word that is not known."""
    close = get_close_matches(word, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"there are {_listed(known)}"
