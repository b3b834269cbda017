"""The baseline of the measurements: a bare Flask app with a single INSERT and with static pages.

`python bare.py PORT THREADS FOLDER` serves it; FOLDER holds the database and the templates of the pages.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import threading
from pathlib import Path

import waitress
from flask import Flask, jsonify, render_template, request

COLUMNS = (
    *("event_id", "source", "event_type", "connector_id", "connector_name", "connector_type", "title", "description"),
    *("metadata", "author", "status", "url", "tags", "request_id", "timestamp", "recorded_at"),
)
ROW = (
    *("painchain-config_changed-1767225600.000000", "painchain", "ConfigChanged", 2, "Work GitHub", "github"),
    "[Config Changed] Work GitHub - poll_interval",
)
REST = ('{"action":"config_change","field":"poll_interval"}', "system", "changed", None, '["system","audit"]')
REQUEST_ID = "0123456789abcdef0123456789abcdef"


def create_app(folder: Path) -> Flask:
    """Return the app. Each thread has its own connection; one lock avoids SQLite's slow busy waiting."""
    app = Flask(__name__, template_folder=str(folder))
    here, one_writer = threading.local(), threading.Lock()
    statement = f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    connect(folder).execute(f"CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, {', '.join(COLUMNS)})")

    @app.post("/insert")
    def insert():
        if not hasattr(here, "connection"):
            here.connection = connect(folder)
        now = 1767225600000000
        row = (*ROW, request.get_data(as_text=True), *REST, REQUEST_ID, now, now)
        with one_writer, here.connection:
            number = here.connection.execute(statement, row).lastrowid
        return jsonify(id=number), 201

    @app.get("/page/<name>")
    def page(name: str):
        return render_template(name)

    @app.get("/nothing")
    def nothing():
        return "", 204

    return app


def connect(folder: Path) -> sqlite3.Connection:
    """Open the database with the durability of PainChain's."""
    connection = sqlite3.connect(folder / "bare.db", timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


if __name__ == "__main__":
    port, threads, folder = sys.argv[1:]
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(create_app(Path(folder)), host="127.0.0.1", port=int(port), threads=int(threads), ident=None)
