"""A database connection that breaks at any point of a request gives the usual error, or the response if it is done."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import text

from painchain.database.session import db
from tests.conftest import WITH_POSTGRES
from tests.support.html import soup, texts, words

pytestmark = [WITH_POSTGRES, pytest.mark.parametrize("database", ["postgresql"], indirect=True)]
HTMX = {"HX-Request": "true"}


def lose_connection() -> None:
    """Begin a transaction of the session, and let the server end its connection."""
    number = db.session.scalar(text("SELECT pg_backend_pid()"))
    with db.engine.connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:number)"), {"number": number})


def serve(app: Flask, view: Callable[[], str]) -> FlaskClient:
    """Let the app answer with this view, in pages and in the API."""
    for address in ("/lost", "/api/lost"):
        app.add_url_rule(address, address, view_func=view)
    return app.test_client()


def test_a_connection_lost_at_the_end_of_a_request_does_not_change_the_response(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    def view() -> str:
        lose_connection()
        return "done"

    client = serve(app, view)
    for address in ("/lost", "/api/lost"):
        response = client.get(address)
        assert (response.status_code, response.text) == (200, "done")
    logged = [(record.name, record.levelname) for record in caplog.records if record.levelname != "INFO"]
    assert logged == [("painchain.factory", "WARNING")] * 2
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
def test_a_bug_in_a_request_that_has_lost_its_connection_has_the_usual_error(
    app: Flask, headers: dict[str, str]
) -> None:
    def view() -> str:
        lose_connection()
        raise RuntimeError

    client = serve(app, view)
    response = client.get("/lost", headers=headers)
    assert response.status_code == 500
    assert "This is a bug in PainChain" in words(soup(response).select_one("main, .toast"))
    response = client.get("/api/lost")
    assert response.status_code == 500
    assert response.get_json()["message"].startswith("This is a bug in PainChain")
    assert client.get("/").status_code == 200


def test_a_connection_lost_after_the_view_gives_the_error_of_the_database(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    @app.after_request
    def read_once_more(response: Response) -> Response:
        if response.get_data() == b"done":
            lose_connection()
            db.session.execute(text("SELECT 1"))
        return response

    client = serve(app, lambda: "done")
    response = client.get("/lost")
    assert (response.status_code, texts(soup(response), "h1")) == (503, ["Database unavailable"])
    response = client.get("/api/lost")
    assert response.status_code == 503
    assert response.get_json()["message"].startswith("The database cannot be read: the database server does not answer")
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert ["Database error" in record.getMessage() for record in errors] == [True, True]
    assert "painchain.security" not in {record.name for record in caplog.records}
