"""No regular expression takes quadratic time on a hostile text."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

import pytest

import painchain
from painchain import connectors
from painchain.connectors.github import connection_test
from painchain.indexes import search_query

# Patterns whose input is limited, with the limit in characters.
BOUNDED = {
    "painchain.indexes.search_query._RANGE": search_query.MAX_TEXT,
    "painchain.indexes.search_query._RAW": search_query.MAX_TEXT,
    "painchain.indexes.search_query._VALUE": search_query.MAX_TEXT,
    "painchain.connectors.github.connection_test._LAST": connection_test.MAX_LINK,
}
PUMPS = (
    *("a", "A", "0", "a1", " ", "\n", "\t", "_", "-", ".", "/", "<", "<a>", "<>;", '"', 'a"', "'", "=", ",", ":", "::"),
    *("://", "a://", "?token=", "?", "token", "api_", "error", "error ", "error=", "&page=1", "page=1>;", ".."),
    *("2026-01-01", "2026-01-01..", '; rel="', "; rel=", "a@", "@", "&after=1", "é", "\u0301", "%", "a:", "“", "+1"),
)
LONG = 16_000


def patterns() -> Iterator[tuple[str, str, Callable[[str], Any]]]:
    """Yield the name of every pattern in the code, each method that its module calls, and a function that calls it."""
    for module in pkgutil.walk_packages(painchain.__path__, "painchain."):
        if module.name.startswith(("painchain.migrations.versions.", "painchain.migrations.env")):  # run by Alembic
            continue
        loaded = importlib.import_module(module.name)
        source = Path(str(loaded.__file__)).read_text(encoding="utf-8")
        for name, value in vars(loaded).items():
            if isinstance(value, re.Pattern) and f"{name} = re.compile(" in source:
                for method in set(re.findall(rf"\b{name}\.(\w+)\(", source)):
                    yield f"{module.name}.{name}", method, using(value, method)
    for kind in connectors.TYPES.values():
        for field in kind.all_fields:
            if field.item:
                yield f"{kind.key}.{field.key}", "fullmatch", re.compile(field.item).fullmatch


def using(pattern: re.Pattern[str], method: str) -> Callable[[str], Any]:
    """Return a function that runs a method of a pattern over a whole text."""
    if method == "finditer":
        return lambda text: sum(1 for _ in pattern.finditer(text))
    if method == "sub":
        return lambda text: pattern.sub("", text)
    method_of_pattern: Callable[[str], Any] = getattr(pattern, method)
    return method_of_pattern


@cache
def hostile(size: int) -> list[tuple[str, str]]:
    """Return the parts and the text of hostile inputs of about this size, which can fail at every position."""
    return list(hostile_of(size))


def hostile_of(size: int) -> Iterator[tuple[str, str]]:
    """Yield those inputs."""
    for pump in PUMPS:
        for head, tail in (
            ("", ""),
            ("<a", "\0!"),
            ("https://a/", "\0!"),
            ("2026-01-01", "\0"),
            ("a:", ""),
            ("-a", "!"),
        ):
            yield f"{head}|{pump}|{tail}", head + pump * (size // len(pump)) + tail


def seconds(search: Callable[[str], Any], text: str) -> float:
    begin = process_time()
    search(text)
    return process_time() - begin


@pytest.mark.parametrize(("name", "search"), [pytest.param(n, a, id=f"{n}.{m}") for n, m, a in sorted(patterns())])
def test_no_pattern_takes_quadratic_time(name: str, search: Callable[[str], Any]) -> None:
    assert_not_quadratic(name, search)


def assert_not_quadratic(name: str, search: Callable[[str], Any], size: int = LONG) -> None:
    """Compare the times for texts of `size` characters and of a sixteenth of it."""
    for (parts, short), (_, long) in zip(hostile(size // 16), hostile(size), strict=True):
        if (took := seconds(search, long[: BOUNDED.get(name, size)])) > 0.05:
            before = min(seconds(search, short) for _ in range(3))
            again = min(took, seconds(search, long[: BOUNDED.get(name, size)]))
            assert again < max(0.05, 5 * before * 16), parts


def test_every_pattern_in_the_code_is_measured() -> None:
    compiled = sum(
        file.read_text(encoding="utf-8").count("= re.compile(") for file in Path(painchain.__path__[0]).rglob("*.py")
    )
    named = {name for name, _, _ in patterns() if name.startswith("painchain.")}
    assert len(named) == compiled
    assert set(BOUNDED) <= named


def test_a_quadratic_pattern_is_detected() -> None:
    with pytest.raises(AssertionError):
        assert_not_quadratic("x", re.compile("<([^>]*)>").search, 8_000)
