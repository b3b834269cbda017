"""Change the database behind PainChain's back."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import Connection

from painchain.database.session import db


def change(app: Flask, statement: str) -> None:
    """Run a statement, as an attacker with write access to the database would."""
    with app.app_context():
        db.session.execute(text(statement))
        db.session.commit()


def edit_database(app: Flask, statements: str) -> None:
    """Run statements as an attacker would, without foreign-key checks."""
    with app.app_context(), db.engine.begin() as connection:
        _disable_foreign_keys(connection)
        for statement in statements.split(";"):
            connection.execute(text(statement))
    with app.app_context():
        db.engine.dispose()


def _disable_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL session_replication_role = replica"))
