"""Modules are small and in packages, and follow import rules that import-linter (`make lint`) cannot express."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "painchain"
TESTS = ROOT / "tests"
LONGEST_MODULE = 350


def files(folder: Path) -> list[Path]:
    """Return the modules below a folder, without the migration scripts."""
    module_paths = [path for path in sorted(folder.rglob("*.py")) if path.parent.name != "versions"]
    assert module_paths
    return module_paths


@cache
def imported(path: Path) -> set[str]:
    """Return every name that a file imports; ``from flask import request`` gives flask.request."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: use absolute imports"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_few_modules_are_outside_packages():
    assert len(list(PACKAGE.glob("*.py"))) <= 6
    assert len(list((PACKAGE / "web").glob("*.py"))) <= 8


def test_no_module_exceeds_the_line_limit():
    packages = [PACKAGE, *(path.parent for path in TESTS.glob("*/__init__.py"))]
    module_paths = [*TESTS.glob("*.py"), *(path for package in packages for path in files(package))]
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path in module_paths}
    assert [str(path) for path, lines in lengths.items() if lines > LONGEST_MODULE] == []


def test_only_the_web_package_uses_the_request():
    for path in files(PACKAGE):
        if path.relative_to(PACKAGE).parts[0] in ("web", "factory.py"):
            continue
        names = imported(path)
        assert names & {"flask.request", "flask.g", "flask.session", "flask.render_template"} == set(), path
        assert {name.split(".")[0] for name in names} & {"wtforms", "flask_wtf"} == set(), path


def test_pages_and_api_write_only_through_audited_packages():
    for path in files(PACKAGE / "web"):
        assert {"sqlalchemy.insert", "sqlalchemy.delete"} & imported(path) == set(), path


def test_templates_run_no_query():
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert [word for word in ("db.session", ".execute(", "select(", ".query") if word in text] == [], path.name


def test_each_package_has_a_docstring():
    for path in PACKAGE.rglob("__init__.py"):
        assert path.parent.name == "versions" or ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
