"""Reuse compiled routes, templates and statements, and PostgreSQL connections, in later apps of the same test run.

A server compiles these once; tests create thousands of apps, and compiling would take most of their time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from types import CodeType
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from jinja2 import BytecodeCache, Environment, FileSystemLoader
from jinja2.bccache import Bucket
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool
from werkzeug.routing import Map, RuleFactory
from werkzeug.routing.matcher import StateMachineMatcher

from painchain.web import installation
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


class Sources:
    """Cache the sources of templates."""

    def __init__(self) -> None:
        self.read = FileSystemLoader.get_source
        self.sources: dict[tuple[str, ...], Any] = {}

    def of(self, loader: FileSystemLoader, environment: Environment, template: str) -> Any:
        """Return the source of a template."""
        key = (*loader.searchpath, template)
        if key not in self.sources:
            self.sources[key] = self.read(loader, environment, template)
        return self.sources[key]


class Routes(Map):
    """Routes that apps share until one of them adds a route."""

    def add(self, rulefactory: RuleFactory) -> None:
        """Add a rule to this app only."""
        self._rules_by_endpoint = {endpoint: [*rules] for endpoint, rules in self._rules_by_endpoint.items()}
        self._matcher = StateMachineMatcher(self.merge_slashes)
        for rule in self._rules:
            self._matcher.add(rule)
        super().add(rulefactory)


# The attributes of an app to which each blueprint adds its own hooks, by its name.
HOOKS = (
    *("error_handler_spec", "before_request_funcs", "after_request_funcs", "teardown_request_funcs"),
    *("url_default_functions", "url_value_preprocessors", "template_context_processors"),
)


class Blueprints:
    """Cache the routes, views and hooks of all blueprints."""

    def __init__(self) -> None:
        self.register = installation._register_blueprints
        self.routes: Routes | None = None
        self.added: dict[str, dict[str, Any]] = {}

    def of(self, app: Flask) -> None:
        """Register the blueprints in an app, with the routes of the first app."""
        by_name = {name: getattr(app, name) for name in ("view_functions", "blueprints", *HOOKS)}
        by_name |= {"filters": app.jinja_env.filters, "tests": app.jinja_env.tests}
        if self.routes is None:
            before = {name: set(values) for name, values in by_name.items()}
            for_all = [len(getattr(app, name)[None]) for name in HOOKS]
            self.register(app)
            assert for_all == [len(getattr(app, name)[None]) for name in HOOKS], "only hooks by name are cached"
            self.routes = Routes()
            app.url_map.update()
            vars(self.routes).update(vars(app.url_map))
            self.added = {
                name: {key: value for key, value in values.items() if key not in before[name]}
                for name, values in by_name.items()
            }
        else:
            for name, values in by_name.items():
                values.update(self.added[name])
        app.url_map = copy(self.routes)


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
    blueprints, sources = Blueprints(), Sources()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Flask.jinja_options, "bytecode_cache", Templates())
        patch.setattr(FileSystemLoader, "get_source", lambda *arguments: sources.of(*arguments))
        patch.setattr(installation, "_register_blueprints", lambda app: blueprints.of(app))
        patch.setattr(SQLAlchemy, "_make_engine", lambda *arguments: DATABASES.engine(*arguments))
        yield
    DATABASES.drop()
