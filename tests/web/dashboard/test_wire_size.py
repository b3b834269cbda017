"""How many bytes a browser receives for the dashboard of a day, compressed."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask
from flask.testing import FlaskClient

from painchain.database.session import db
from painchain.maintenance import demo_data
from tests.support.html import soup

DASHBOARD_BYTES = 25_000
COLD_BYTES = 60_000


def size(client: FlaskClient, address: str) -> int:
    """Return the bytes of a response to a browser that accepts Brotli."""
    response = client.get(address, headers={"Accept-Encoding": "br"}, buffered=True)
    assert response.status_code == 200, address
    return len(response.data)


def test_the_dashboard_of_a_day_is_small_alone_and_with_all_static_files(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        demo_data.fill(2_000, 14, 1, datetime.now(UTC), lambda number: None)
        db.session.commit()
    page = soup(client.get("/"))
    assert len(page.select("#feed article")) > 20
    files = {str(element["src"]) for element in page.select("script[src]")}
    files |= {str(element["href"]).partition("#")[0] for element in page.select("link[href], use")}
    assert len(files) >= 6
    dashboard = size(client, "/")
    assert dashboard <= DASHBOARD_BYTES
    assert dashboard + sum(size(client, file) for file in files) <= COLD_BYTES
