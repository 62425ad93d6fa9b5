"""From the numbers of several rounds to one, and how far they lie apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Spread", "percentile", "spread"]


@dataclass(frozen=True)
class Spread:
    """Some numbers in short.

    Attributes:
        median: The middle one, or the mean of the two in the middle.
        low: The least.
        high: The greatest.
    """

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the ends of some numbers, at least one."""
    return Spread(percentile(values, 50), min(values), max(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile, between two numbers in proportion to how far it is from each."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below, above = math.floor(place), math.ceil(place)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
