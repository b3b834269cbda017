"""Add accounts as the command line does, and sign in as a person does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.accounts import password_links, users
from painchain.audit import external_events
from painchain.audit.external_events import LogBody
from painchain.audit.trail import Trail
from painchain.core.validation import read
from painchain.database.models import Person
from painchain.database.session import db
from painchain.eventlog.writer import new_request_id, writing
from tests.support.html import fill, form_of

PASSWORD = "correct horse battery staple"


@contextmanager
def audited_transaction(app: Flask) -> Iterator[Trail]:
    """Open an audited transaction in the database of an app; the author is `system`."""
    now = datetime.now(UTC)
    with app.app_context(), writing() as event_log:
        yield Trail(event_log, "system", new_request_id(now), now)


def add_person(app: Flask, name: str = "alice", role: str = "admin", password: str = PASSWORD) -> int:
    """Add an account and return its number."""
    with audited_transaction(app) as trail:
        return int(users.add(name, role, trail, password=password).id)


def report_as(app: Flask, author: str, **body: Any) -> str:
    """Record a reported event, sent by `author`, and return its id."""
    with audited_transaction(app) as trail:
        trail.author = author
        return external_events.record(read(LogBody, json.dumps(body).encode()), trail) or ""


def make_link(app: Flask, number: int | None = None) -> str:
    """Return the address of a one-time link: for an account, or without a number, for the first account."""
    with audited_transaction(app) as trail:
        person = users.get(number) if number else None
        return f"/link/{password_links.make_link(person, trail.now, trail)}"


def sign_in(
    client: FlaskClient, name: str = "alice", password: str = PASSWORD, start: str = "/sign-in"
) -> TestResponse:
    """Fill in the sign-in page and send it."""
    form = fill(form_of(client.get(start), "#sign-in"), name=name, password=password)
    return client.post("/sign-in", data=form)


def sign_out(client: FlaskClient) -> TestResponse:
    """Press "Sign out" in the header of a short page."""
    return client.post("/sign-out", data=form_of(client.get("/account"), ".who"))


def link_identity(app: Flask, person_id: int) -> int:
    """Link an account to an identity at a provider, as a sign-in there does, and return its ID."""
    with app.app_context():
        person = db.session.get_one(Person, person_id)
        person.issuer, person.subject = "https://id.example", str(person_id)
        db.session.commit()
    return person_id
