"""The examples in docstrings are right."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import painchain

ROOT = Path(painchain.__path__[0])


def test_every_example_in_a_docstring_gives_what_it_shows() -> None:
    files = [path for path in ROOT.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")]
    examples = 0
    for path in files:
        module = importlib.import_module(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))
        result = doctest.testmod(module)
        assert result.failed == 0, path
        examples += result.attempted
    assert examples > 100
