"""JSON that someone edited in the database is named, on each page that needs it and by the check of the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Text, cast, select, text, update

from painchain.core import runtime
from painchain.core.sized_cache import SizedCache
from painchain.database import edited_json
from painchain.database.session import Base, db
from painchain.integrity import diagnosis, verification
from painchain.web.common.errors import EDITED_VALUES
from tests.conftest import add_connector
from tests.faults.conftest import LONG
from tests.support.html import soup, words

HTMX = {"HX-Request": "true"}
PAGES = (
    *("/", "/settings/integrations/2", "/settings/teams", "/settings/notifications/1", "/settings/audit-log"),
    *("/events/3", "/?q=team:Pay", "/news?after=0", "/api/connectors", "/api/teams", "/api/integrity"),
    *("/settings/integrations", "/settings/teams/1", "/report", "/api/notify-rules", "/api/changes", "/api/stats"),
)[: None if LONG else 11]
# What someone may write into it. PostgreSQL takes no value that is no JSON.
NO_JSON = "no json"
WRONG = (NO_JSON, "7", "[1]", "null", '"x"', '{"a": 1}') if LONG else (NO_JSON, "[1]")


def fill(client: FlaskClient) -> None:
    """Store a value in most columns with JSON."""
    number = add_connector(client, tags="pay")
    assert client.post(f"/api/connectors/{number}/enable").status_code == 200
    assert client.post("/api/teams", json={"name": "Pay", "tags": ["pay"]}).status_code == 201
    rule = {"name": "On call", "url": "json://127.0.0.1:9/", "kinds": ["connector_deleted"]}
    assert client.post("/api/notify-rules", json=rule).status_code == 201
    assert client.post("/api/checkpoints").status_code == 201


def read(app: Flask, column: Any) -> list[Any]:
    """Return the keys and the stored texts of a column."""
    with app.app_context():
        [key] = column.table.primary_key
        return [tuple(row) for row in db.session.execute(select(key, cast(column, Text)))]


def write(app: Flask, column: Any, texts: list[Any]) -> None:
    """Store texts as someone does who edits the database, and let no page be kept from before."""
    with app.app_context():
        [key] = column.table.primary_key
        for row, value in texts:
            db.session.execute(
                update(column.table).where(key == row).values({column: text(":value")}), {"value": value}
            )
        db.session.execute(text("UPDATE log_head SET revision = revision + 1"))
        db.session.commit()
    shared = runtime.of(app)
    shared.edited_event, shared.cache = None, SizedCache()


def refused_pages(client: FlaskClient, column: Any, pages: Sequence[str]) -> set[str]:
    """Open some pages. Each is shown, or names the value that it cannot read."""
    refused = set()
    for page in pages:
        answer = client.get(page, headers=HTMX if page.startswith("/news") else {})
        if answer.status_code not in (200, 204):
            where = f"in the table {column.table.name} ("
            if answer.is_json:
                message = answer.get_json()["message"]
            elif page.startswith("/news"):
                message = words(soup(answer).select_one("#toast"))
            else:
                main = soup(answer).select_one("main")
                assert main.select_one("a")["href"] == f"/help/{EDITED_VALUES}", page
                message = words(main.select_one("[role=alert]"))
            assert (answer.status_code, f"The {column.name}" in message, where in message) == (503, True, True), (
                f"{page}: {answer.status_code} {message}"
            )
            refused.add(page)
    return refused


def pages_to_open(wrong: str, is_sqlite: bool) -> Sequence[str]:
    """Return the pages to open with a wrong value.

    Python refuses a value, not the SQL of a page: what is no JSON is tried on each page, another value on some pages,
    and on PostgreSQL on one page and one address of the API.
    """
    if LONG or wrong == NO_JSON:
        return PAGES
    return PAGES[:6] if is_sqlite else PAGES[8:10]


@pytest.mark.usefixtures("fake_sources")
def test_a_value_that_someone_edited_is_named_wherever_it_is_needed(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "FURTHEST", 10)  # nothing was renumbered
    fill(client)
    assert {client.get(page).status_code for page in PAGES} <= {200, 204}
    columns = [column for table in Base.metadata.sorted_tables for column in edited_json.json_columns(table)]
    assert len(columns) >= 15
    with app.app_context():
        is_sqlite = db.engine.dialect.name == "sqlite"
    wrong_values = [each for each in WRONG if each != NO_JSON or is_sqlite]
    for column in columns:
        before = [row for row in read(app, column) if row[1] is not None]
        place, is_list = (column.table.name, column.name), (column.table.name, column.name) in edited_json.LISTS
        for wrong in wrong_values if before else ():
            write(app, column, [(key, wrong) for key, _ in before])
            try:
                refused = refused_pages(client, column, pages_to_open(wrong, is_sqlite))
                with app.app_context():
                    drift = " ".join(each.message for each in verification.completeness().drift)
                    is_sound = verification.verify_chain().broken is None
            except AssertionError as problem:
                raise AssertionError(f"{place} = {wrong}") from problem
            if column.table.name == "change_events":
                assert not is_sound, (place, wrong)
            elif is_list or wrong != '{"a": 1}':
                assert f"in the table {column.table.name} (" in drift, (place, wrong)
            assert refused or wrong != NO_JSON or column.name == "cursor", place
        write(app, column, before)
    assert {client.get(page).status_code for page in PAGES} <= {200, 204}
    document, _, anchor = EDITED_VALUES.partition("#")
    assert soup(client.get(f"/help/{document}")).find(id=anchor)
