"""Every exception that a docstring names exists."""

from __future__ import annotations

import ast
import builtins
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import painchain

PACKAGE = Path(painchain.__file__).parent
RAISES = re.compile(r":raises\s+([\w.]+)")


def sources() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if ":raises" in path.read_text(encoding="utf-8")]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def raised_names(path: Path) -> set[str]:
    """Return the exceptions that the docstrings of a module name."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, documented)]
    return {name for node in nodes for name in RAISES.findall(ast.get_docstring(node) or "")}


def resolve(name: str, module: str) -> Any:
    """Return what a name means in a module: one of its own names, a builtin, or a dotted path."""
    namespace = {**vars(builtins), **vars(importlib.import_module(module))}
    first, *rest = name.split(".")
    if first in namespace:
        value = namespace[first]
        for part in rest:
            value = getattr(value, part, None)
        return value
    try:
        return pkgutil.resolve_name(name) if rest else None
    except (ImportError, AttributeError):
        return None


def test_every_exception_named_in_a_docstring_exists() -> None:
    for path in sources():
        module = module_name(path)
        exceptions = {name: resolve(name, module) for name in raised_names(path)}
        unknown = [
            name
            for name, value in exceptions.items()
            if not (isinstance(value, type) and issubclass(value, BaseException))
        ]
        assert not unknown, f"{module} documents exceptions that it cannot name: {', '.join(sorted(unknown))}"
