"""The simulation's checks can fail: it notices every one of a set of deliberate defects."""

from __future__ import annotations

import pytest

from .mutations import MUTATIONS, Mutation, hunt


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[one.name for one in MUTATIONS])
def test_a_defect_is_caught(mutation: Mutation) -> None:
    """A few seeds violate something with the defect, and nothing without it."""
    assert hunt(mutation, range(40)) is not None
