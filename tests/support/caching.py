"""Reuse compiled routes, templates and statements, and PostgreSQL connections, in later apps of the same test run.

A server compiles these once; tests create thousands of apps, and compiling would take most of their time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool
from werkzeug.routing import Rule

from tests.support.postgresql import COPY

STATEMENTS = 5000  # compiled statements that are cached for each kind of database


class Templates(BytecodeCache):
    """Cache compiled templates."""

    def __init__(self) -> None:
        self.codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Load the code of a template if an earlier app compiled it."""
        bucket.code = self.codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store the code of a template."""
        assert bucket.code is not None
        self.codes[bucket.key, bucket.checksum] = bucket.code


class Routes:
    """Cache compiled routes."""

    ATTRIBUTES = ("_parts", "_trace", "_converters", "arguments")

    def __init__(self) -> None:
        self.compile = Rule.compile
        self.cached: dict[tuple[str, ...], dict[str, Any]] = {}

    def of(self, rule: Rule) -> None:
        """Compile a rule, or reuse the result of an earlier app."""
        key = (rule.rule, repr(rule.defaults), repr(rule.subdomain), repr(rule.merge_slashes))
        if key not in self.cached:
            self.compile(rule)
            attributes = {name: getattr(rule, name) for name in self.ATTRIBUTES}
            self.cached[key] = attributes | {
                name: getattr(rule, name).__func__ for name in ("_build", "_build_unknown")
            }
            return
        for name, value in self.cached[key].items():
            setattr(rule, name, value if name in self.ATTRIBUTES else value.__get__(rule, None))


class Databases:
    """Cache compiled statements of each kind of database, and connections to the copy of the PostgreSQL template."""

    def __init__(self) -> None:
        self.make_engine = SQLAlchemy._make_engine
        self.firsts: dict[str, Engine] = {}
        self.copy: str | None = None
        self.pools: dict[int, QueuePool] = {}

    def engine(self, db: SQLAlchemy, bind_key: str | None, options: dict[str, Any], app: Flask) -> Engine:
        """Make an engine that reuses the compiled statements of earlier engines."""
        engine = self.make_engine(db, bind_key, {**options, "query_cache_size": STATEMENTS}, app)
        first = self.firsts.get(engine.dialect.name)
        if first is None or "default_isolation_level" not in vars(first.dialect):  # no connection was ever opened
            self.firsts[engine.dialect.name] = engine
            return engine
        engine._compiled_cache = first._compiled_cache
        if engine.dialect.name == "postgresql" and str(engine.url.database).startswith(COPY):
            self.reuse(engine)
        engine.dialect = engine.pool._dialect = first.dialect
        return engine

    def reuse(self, engine: Engine) -> None:
        """Give an engine the idle connections of earlier engines."""
        if self.copy != engine.url.database:
            self.drop()
        self.copy = engine.url.database
        pool = self.pools.setdefault(engine.pool.size(), engine.pool)
        if not pool.checkedout():
            engine.pool = pool

    def release(self, engine: Engine) -> None:
        """Close the connections of an engine, unless the next engine reuses them."""
        engine.dispose(close=engine.pool not in self.pools.values())

    def drop(self) -> None:
        """Close all cached connections."""
        for pool in self.pools.values():
            pool.dispose()
        self.pools.clear()


DATABASES = Databases()


@contextmanager
def reuse_compiled_code() -> Iterator[None]:
    """Reuse compiled code and connections in every app that is created meanwhile."""
    routes = Routes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Flask.jinja_options, "bytecode_cache", Templates())
        patch.setattr(Rule, "compile", lambda rule: routes.of(rule))
        patch.setattr(SQLAlchemy, "_make_engine", lambda *arguments: DATABASES.engine(*arguments))
        yield
    DATABASES.drop()
