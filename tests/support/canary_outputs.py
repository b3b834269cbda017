"""Search for planted secrets in every output."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import LargeBinary, text

from painchain import verify_export
from painchain.connectors import ADDABLE
from painchain.database.session import Base, db
from tests.support.canaries import HTMX, Watch, canary
from tests.support.command_line import Run


def pages(watch: Watch, app: Flask, client: FlaskClient) -> None:
    """Request every readable address, as a page and as a fragment."""
    ids = {name: [1, 2, 3] for name in ("person_id", "token_id", "rule_id", "team_id", "view_id")}
    connectors = [connector["id"] for connector in client.get("/api/connectors").get_json()]
    events = client.get("/api/changes?limit=500").get_json()
    # The API returns every event completely; one page of each type, author and field is enough.
    some = list(
        {
            (event["event_type"], event["author"], event["metadata"].get("field")): event["id"] for event in events
        }.values()
    )
    with app.app_context():
        watched = db.session.scalar(text("SELECT count(*) FROM change_events"))
    assert len(events) == min(watched, 500)
    for rule in (rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"):
        values: list[dict[str, Any]] = [{}]
        for name in rule.arguments:
            choices: list[Any] = ids.get(name) or {
                "connector_id": connectors,
                "event_id": [event["event_id"] for event in events[:3]],
                "name": ["system", "alice", "bob", "ci"],
                "key": list(ADDABLE),
                "what": ["replace", "remove"],
                "secret": ["x" * 43],
                "document": ["README.md", "admin/configuration.md"],
            }.get(name, [])
            if name == "number":
                choices = connectors if "integrations" in rule.rule else some
            if rule.rule.endswith("/around"):  # its page has many rows, each of which another page has too
                choices = some[::10]
            values = [{**arguments, name: value} for arguments in values for value in choices]
        assert values or "GET" not in rule.methods, f"the test has no values for {rule}"
        for position, arguments in enumerate(values if "GET" in (rule.methods or ()) else ()):
            with app.test_request_context():
                address = app.url_for(rule.endpoint, **arguments)
            watch.answers(client.get(address), *([client.get(address, headers=HTMX)] if position < 8 else []))
    for address in ("/?range=all", "/feed?range=all", "/timeline?range=all", "/report?range=all", "/news?after=0"):
        watch.answers(client.get(address), client.get(address, headers=HTMX))
    for kind in ("csv", "ndjson", "ocsf"):
        exported = client.post("/api/export", json={"format": kind})
        assert exported.status_code == 200, exported.text
        watch.answers(exported)


def database(watch: Watch, app: Flask) -> None:
    """Search every column of every table as text."""
    with app.app_context(), db.engine.connect() as connection:
        for table in Base.metadata.tables.values():
            for column in table.columns:
                plain = text(f'SELECT "{column.name}" FROM {table.name}')  # as it is stored
                values = [value for value in connection.scalars(plain) if value is not None]
                binary = isinstance(column.type, LargeBinary)
                content = b"\n".join(map(bytes, values)) if binary else "\n".join(map(str, values))
                watch.look(f"{table.name}.{column.name}", content)


def files(watch: Watch, folder: Path) -> None:
    """Search every file except the key file: database and journal, checkpoints, backups."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "secret.key":
            data = path.read_bytes()
            watch.look(path.name, data)
            if data[:2] == b"\x1f\x8b":
                watch.look(f"{path.name}, unpacked", gzip.decompress(data))


def commands(watch: Watch, run: Run, folder: Path, checkpoint_file: Path) -> None:
    """Plant secrets on the command line, and search the output of each command."""
    leaky = f"https://me:{canary()}@git.example/?token={canary()}"
    about = ["log", "--event-type", "config_changed", "--connector-name", leaky, "--reason", leaky]
    command_lines = [
        [*about, "--field", "token", "--old-value", canary(), "--new-value", canary()],
        [*about, "--field", "base_url", "--new-value", leaky],
        [
            *about,
            "--event-type",
            "connector_updated",
            "--connector-type",
            "github",
            "--changes",
            json.dumps({"api_key": {"new": canary()}}),
        ],
        ["events", "--limit", "10000"],
        ["events", "--limit", "10000", "--json"],
        ["checkpoint", "--reason", leaky],
        *(["export", "--format", kind, "--output", str(folder / kind)] for kind in ("csv", "ndjson", "ocsf")),
        ["backup", str(folder / "backup")],
        *(
            ["verify", *more]
            for more in ([], ["--json"], ["--checkpoint", str(checkpoint_file)], ["--checkpoint", str(folder)])
        ),
        *(["user", "list"], ["prune", "--dry-run"]),
    ]
    for arguments in command_lines:
        done = run(*arguments)
        assert done.exit_code in (0, 1) or str(folder) in arguments, done.output
        watch.look(f"painchain {' '.join(arguments[:2])}", done.output, done.stderr)
    # Error messages do not repeat invalid settings.
    bad = folder / "bad"
    for variable, value in (
        ("PAINCHAIN_DATABASE_URL", f"mysql://me:{canary()}@db.example/x"),
        ("PAINCHAIN_DATABASE_URL", f"postgresql+psycopg://me:{quote(canary(), safe='')}@127.0.0.1:9/x"),
        ("PAINCHAIN_DATABASE_URL", f"postgresql+psycopg://me@127.0.0.1:9/x?password={quote(canary(), safe='')}"),
        ("PAINCHAIN_DATABASE_URL", f"postgresql+psycopg://me@127.0.0.1:9/x?nonsense={quote(canary(), safe='')}"),
        ("PAINCHAIN_SECRET_KEY", canary()),
        ("PAINCHAIN_SECRET_KEY_FILE", canary()),
        ("PAINCHAIN_SECRET_KEY_FILE", str(bad)),
        ("PAINCHAIN_METRICS_TOKEN", f"{canary()} {canary()}"),
        ("PAINCHAIN_METRICS_TOKEN_FILE", canary()),
        ("PAINCHAIN_METRICS_TOKEN_FILE", str(bad)),
        ("PAINCHAIN_OIDC_CLIENT_SECRET_FILE", canary()),
        ("PAINCHAIN_CHECKPOINT_URL", f"https://me:{canary()}@keep.example/"),
        ("PAINCHAIN_CHECKPOINT_URL", f"http://keep.example/?token={canary()}"),
        ("PAINCHAIN_PUBLIC_URL", f"https://me:{canary()}@painchain.example/"),
        ("PAINCHAIN_OIDC_ISSUER", f"https://me:{canary()}@id.example/"),
    ):
        bad.write_text(f"{canary()} {canary()}")
        done = run("events", env={"PAINCHAIN_SECRET_KEY_FILE": "", variable: value})
        assert done.exit_code in (1, 2), f"{variable} {done.output}"
        watch.look(f"painchain with a bad {variable}", done.output, done.stderr)
    bad.unlink()


def verifier(watch: Watch, folder: Path, key: Path, checkpoint_file: Path) -> None:
    """Search the output of the verifier of exports, for a valid export and for other files."""
    bad = folder / "bad"
    bad.write_text(canary())
    for arguments, code in (
        (("ndjson", key, checkpoint_file), 0),
        (("csv", key, checkpoint_file), 1),
        (("ndjson", bad, checkpoint_file), 2),
        (("ndjson", key, bad), 2),
        ((bad, key, checkpoint_file), 1),
    ):
        export, used, checkpoints = (str(folder / name) for name in arguments)
        command = [sys.executable, verify_export.__file__, export, "--key", used, "--checkpoint", checkpoints]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done
        watch.look("the verifier of exports", done.stdout, done.stderr)
    bad.unlink()


def restores(watch: Watch, run: Run, folder: Path) -> None:
    """Search the output of a restore, of a backup and of other files."""
    leaky = f"https://me:{canary()}@git.example/?token={canary()}"
    (folder / "bad").write_bytes(gzip.compress(json.dumps({"format": 1, "rows": {}, leaky: canary()}).encode()))
    for name, code in (("bad", 1), ("csv", 1), ("backup", 0)):
        done = run("restore", str(folder / name), "--replace", "--yes", "--reason", leaky)
        assert done.exit_code == code, done.output
        watch.look(f"painchain restore {name}", done.output, done.stderr)
    (folder / "bad").unlink()
