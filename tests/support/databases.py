"""Cases of a test on both databases: all on SQLite, and on PostgreSQL one of each kind."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import pytest

from tests.conftest import WITH_POSTGRES


def on_databases(cases: Sequence[tuple[Any, ...]], on_postgresql: Container[int]) -> list[Any]:
    """Return each case with a database before its values; on PostgreSQL, the numbered cases run in `make test`."""
    chosen: list[Any] = [("sqlite", *case) for case in cases]
    for number, case in enumerate(cases):
        marks = [] if number in on_postgresql else [pytest.mark.thorough]
        chosen.append(pytest.param("postgresql", *case, marks=[WITH_POSTGRES, *marks]))
    return chosen
