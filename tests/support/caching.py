"""What tests keep from one app to the next: whatever was compiled, and connections to PostgreSQL.

A server compiles its routes, templates and statements once and lives on; tests make thousands of apps.
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

STATEMENTS = 5000  # compiled ones that are kept for each kind of database


class Templates(BytecodeCache):
    """Compiled templates."""

    def __init__(self) -> None:
        self.codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Return the code of a template that was compiled before."""
        bucket.code = self.codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store the code of a template."""
        assert bucket.code is not None
        self.codes[bucket.key, bucket.checksum] = bucket.code


class Routes:
    """Compiled routes."""

    MADE = ("_parts", "_trace", "_converters", "arguments")

    def __init__(self) -> None:
        self.compile = Rule.compile
        self.kept: dict[tuple[str, ...], dict[str, Any]] = {}

    def of(self, rule: Rule) -> None:
        """Compile a rule, or reuse the result of an earlier app."""
        key = (rule.rule, repr(rule.defaults), repr(rule.subdomain), repr(rule.merge_slashes))
        if key not in self.kept:
            self.compile(rule)
            made = {name: getattr(rule, name) for name in self.MADE}
            self.kept[key] = made | {name: getattr(rule, name).__func__ for name in ("_build", "_build_unknown")}
            return
        for name, value in self.kept[key].items():
            setattr(rule, name, value if name in self.MADE else value.__get__(rule, None))


class Databases:
    """Compiled statements of each kind of database, and the connections to PostgreSQL's copy of the template."""

    def __init__(self) -> None:
        self.make_engine = SQLAlchemy._make_engine
        self.firsts: dict[str, Engine] = {}
        self.copy: str | None = None
        self.pools: dict[int, QueuePool] = {}

    def engine(self, db: SQLAlchemy, bind_key: str | None, options: dict[str, Any], app: Flask) -> Engine:
        """Make an engine that reuses the compiled statements of earlier engines."""
        engine = self.make_engine(db, bind_key, {**options, "query_cache_size": STATEMENTS}, app)
        first = self.firsts.get(engine.dialect.name)
        if first is None or "default_isolation_level" not in vars(first.dialect):  # it has never connected
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

    def let_go(self, engine: Engine) -> None:
        """Close its connections, unless they are for the next engine."""
        engine.dispose(close=engine.pool not in self.pools.values())

    def drop(self) -> None:
        """Close all connections that were kept."""
        for pool in self.pools.values():
            pool.dispose()
        self.pools.clear()


DATABASES = Databases()


@contextmanager
def kept() -> Iterator[None]:
    """Keep it."""
    routes = Routes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Flask.jinja_options, "bytecode_cache", Templates())
        patch.setattr(Rule, "compile", lambda rule: routes.of(rule))
        patch.setattr(SQLAlchemy, "_make_engine", lambda *given: DATABASES.engine(*given))
        yield
    DATABASES.drop()
