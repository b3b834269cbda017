"""Sessions that are as old as a test needs them."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask

from painchain.database.session import db

HTMX = {"HX-Request": "true"}


def age_sessions(app: Flask, **span: int) -> None:
    """Make every session older by a time span."""
    moved = timedelta(**span) // timedelta(microseconds=1)
    with app.app_context():
        statement = "UPDATE sign_ins SET seen = seen - :moved, began = began - :moved"
        db.session.execute(db.text(statement), {"moved": moved})
        db.session.commit()
