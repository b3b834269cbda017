"""Further values of a matrix: `make test-all` tests each, `make test` only the ones that are not marked."""

from __future__ import annotations

from typing import Any

import pytest

_chosen = {"thorough": False}


def choose(thorough: bool) -> None:
    """Say whether the further cases are run: `conftest.py` does before tests are imported."""
    _chosen["thorough"] = thorough


def examples(number: int) -> int:
    """Return how many random examples a test tries: `number` in `make test-all`, and a third of it in `make test`."""
    return number if _chosen["thorough"] else -(-number // 3)


def further(*values: Any, ids: list[str] | None = None) -> list[Any]:
    """Return parameters that are marked `thorough`.

    Mark only what no other test of `make test` would miss: values that take the same way through the code as others.
    """
    members = [value if isinstance(value, tuple) else (value,) for value in values]
    return [
        pytest.param(*each, marks=pytest.mark.thorough, id=ids[number] if ids else None)
        for number, each in enumerate(members)
    ]
