"""Bring the database to the present schema (Alembic through Flask-Migrate)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from painchain.database.session import db

CHAINED = "0012"  # from there on the log says which key it is written with

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
# The newest migration: a database that is there already starts without loading Alembic. A test holds this.
NEWEST = "0031"


class NewerDatabase(Exception):
    """The database was brought up to date by a newer version of PainChain."""


def upgrade(record_chain_begun: Callable[[Connection], None] = lambda connection: None) -> None:
    """Apply the migrations that the database does not have yet; none, if it has them all.

    If they chain the events, `record_chain_begun` records that in the same transaction.

    :raises NewerDatabase: when it has one that this version does not know.
    """
    revision = _revision()
    if revision == NEWEST:
        return
    if revision and not any((FOLDER / "versions").glob(f"{revision}_*.py")):
        raise NewerDatabase(f"The database is of a newer version of PainChain ({revision}); start that one.")
    from flask import current_app
    from flask_migrate import Migrate
    from flask_migrate import upgrade as apply

    if revision:
        log.info("Bringing the database up to date (%s to %s). A million events take about a minute.", revision, NEWEST)
    extension = Migrate(current_app, db, directory=str(FOLDER), render_as_batch=True)

    def pass_on(config: Any) -> Any:
        config.attributes["record_chain_begun"] = record_chain_begun
        return config

    extension.configure(pass_on)
    db.session.remove()
    apply(directory=str(FOLDER))


def is_current() -> bool:
    """Return whether the database has every migration."""
    return _revision() == NEWEST


def is_new() -> bool:
    """Return whether the database has no PainChain tables yet."""
    return _revision() is None


def is_unchained() -> bool:
    """Return whether the database is from a version without a hash chain."""
    return is_before_chain(_revision())


def is_before_chain(revision: str | None) -> bool:
    """Return whether a database of this revision has events without a hash chain. A new database has no revision."""
    return (revision or CHAINED) < CHAINED


def _revision() -> str | None:
    with db.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
