"""The constraints of an API model: which values an operation takes.

A `Structure` describes an operation's input; `Structure.check` says what is wrong with one, in
the words of the service. Those quote the value, except for members that are marked sensitive;
here everything is taken for sensitive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Boolean", "Document", "Integer", "ListOf", "MapOf", "Shape", "String", "Structure"]


def _violated(path: str, constraint: str) -> str:
    return f"Value at '{path}' failed to satisfy constraint: Member must {constraint}"


def _outside(
    path: str, measure: int, least: int | None, most: int | None, what: str
) -> Iterator[str]:
    if least is not None and measure < least:
        yield _violated(path, f"have {what} greater than or equal to {least}")
    if most is not None and measure > most:
        yield _violated(path, f"have {what} less than or equal to {most}")


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object that the emulator does not look into."""

    def violations(self, value: object, path: str) -> Iterator[str]:
        """Yield what is wrong with ``value``, found at ``path``."""
        if not isinstance(value, Mapping):
            yield _violated(path, "be an object")


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false."""

    def violations(self, value: object, path: str) -> Iterator[str]:
        """Yield what is wrong with ``value``, found at ``path``."""
        if not isinstance(value, bool):
            yield _violated(path, "be a boolean")


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number from ``min`` to ``max``, both included."""

    min: int | None = None
    max: int | None = None

    def violations(self, value: object, path: str) -> Iterator[str]:
        """Yield what is wrong with ``value``, found at ``path``."""
        if not isinstance(value, int) or isinstance(value, bool):
            yield _violated(path, "be an integer")
        else:
            yield from _outside(path, value, self.min, self.max, "value")


@dataclass(frozen=True, slots=True)
class String:
    """A string of ``min`` to ``max`` characters, one of ``enum`` if that names any."""

    min: int | None = None
    max: int | None = None
    enum: tuple[str, ...] = ()

    def violations(self, value: object, path: str) -> Iterator[str]:
        """Yield what is wrong with ``value``, found at ``path``."""
        if not isinstance(value, str):
            yield _violated(path, "be a string")
            return
        yield from _outside(path, len(value), self.min, self.max, "length")
        if self.enum and value not in self.enum:
            yield _violated(path, f"satisfy enum value set: [{', '.join(self.enum)}]")


@dataclass(frozen=True, slots=True)
class ListOf:
    """``min`` to ``max`` values of one shape."""

    member: Shape
    min: int | None = None
    max: int | None = None

    def violations(self, value: object, path: str) -> Iterator[str]:
        """Yield what is wrong with ``value``, found at ``path``."""
        if not isinstance(value, list):
            yield _violated(path, "be a list")
            return
        yield from _outside(path, len(value), self.min, self.max, "length")
        for place, member in enumerate(value, 1):
            yield from self.member.violations(member, f"{path}.{place}.member")


@dataclass(frozen=True, slots=True)
class MapOf:
    """Values of one shape under keys of another."""

    key: String
    value: Shape

    def violations(self, value: object, path: str) -> Iterator[str]:
        """Yield what is wrong with ``value``, found at ``path``."""
        if not isinstance(value, Mapping):
            yield _violated(path, "be a map")
            return
        for key, member in value.items():
            yield from self.key.violations(key, f"{path}.key")
            yield from self.value.violations(member, f"{path}.value")


@dataclass(frozen=True, slots=True)
class Structure:
    """Named members, of which some are required. Others than the named are ignored.

    Attributes:
        members: Their shapes, by name.
        required: The names of those that may not be missing.
        union: Whether exactly one of them has to be there.
    """

    members: Mapping[str, Shape]
    required: frozenset[str] = field(default_factory=frozenset)
    union: bool = False

    def violations(self, value: object, path: str) -> Iterator[str]:
        """Yield what is wrong with ``value``, found at ``path``."""
        if not isinstance(value, Mapping):
            yield _violated(path, "be an object")
            return
        if self.union and sum(value.get(name) is not None for name in self.members) != 1:
            yield _violated(path, f"have exactly one of the members {', '.join(self.members)}")
        for name, shape in self.members.items():
            spelled = name[0].lower() + name[1:]
            inside = f"{path}.{spelled}" if path else spelled
            member = value.get(name)
            if member is not None:
                yield from shape.violations(member, inside)
            elif name in self.required:
                yield _violated(inside, "not be null")

    def check(self, members: Mapping[str, Any]) -> str | None:
        """Return what is wrong with an operation's input, or None if nothing is."""
        found = list(self.violations(members, ""))
        if not found:
            return None
        plural = "s" if len(found) > 1 else ""
        return f"{len(found)} validation error{plural} detected: {'; '.join(found)}"


Shape = Boolean | Document | Integer | ListOf | MapOf | String | Structure
