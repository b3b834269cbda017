"""No secret leaks: secrets are planted through every input, and searched in every output."""

from __future__ import annotations

import base64
import io
import json
import logging
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy.engine import make_url

from painchain.configuration import connector_store, secrets
from painchain.core import config as core_config
from painchain.core import key_file
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.counterparts import run_fake_server
from tests.support.accounts import add_person, sign_in
from tests.support.canaries import CANARY, FAULT, LIST, Watch, canary
from tests.support.canary_inputs import (
    fake_answers,
    plant_as_people,
    plant_in_addresses,
    plant_in_bulk_actions,
    plant_in_checkpoints,
    plant_in_deliveries,
    plant_in_faults,
    plant_in_forms,
    plant_in_reports,
    plant_through_the_api,
    plant_with_fake_servers,
    plant_with_the_provider,
)
from tests.support.canary_outputs import commands, database, files, pages, restores, verifier
from tests.support.command_line import Run


def test_no_secret_is_readable_anywhere(
    settings: core_config.Settings, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, log = Watch(), io.StringIO()
    handler = logging.StreamHandler(log)
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.DEBUG)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    keys = key_file.read_keys(key_file.key_source(settings))
    assert keys
    watch.issued((settings.instance / "secret.key").read_text().strip())
    watch.secrets |= {
        keys.roots[0],
        *(keys.derive(purpose) for purpose in ("sessions", "stored secrets", "chain of events")),
    }
    url = settings.database_url
    if not url.startswith("sqlite"):
        url = make_url(url).set(password=canary()).render_as_string(hide_password=False)
    with run_fake_server(fake_answers) as fake_server:
        app_settings = settings_for(
            settings.instance,
            url,
            oidc_issuer=fake_server.url,
            oidc_client_id="painchain",
            oidc_client_secret=canary(),
            public_url="http://localhost",
            metrics_token=canary() * 2,
        )
        app = create_app(app_settings)
        try:
            add_person(app)
            client = app.test_client()
            assert sign_in(client).status_code == 303
            for plant in (
                *(plant_in_forms, plant_in_addresses, plant_in_bulk_actions, plant_through_the_api, plant_in_reports),
            ):
                watch.answers(*plant(client))
            watch.answers(
                *plant_as_people(app, watch, client), *plant_with_fake_servers(app, watch, client, fake_server)
            )
            watch.answers(*plant_in_deliveries(watch, client), *plant_with_the_provider(app, watch))
            watch.answers(*plant_in_faults(app, watch, client))
            watch.look("the log", log.getvalue())
            watch.secrets.remove(FAULT.encode())  # the trigger itself is stored in the database
            watch.answers(*plant_in_checkpoints(app, watch, client, fake_server))
            metrics = app.test_client().get(
                "/metrics", headers={"Authorization": f"Bearer {app_settings.metrics_token}"}
            )
            assert metrics.status_code == 200
            watch.answers(metrics)
            with app.app_context():  # the planted secrets were really stored
                stored = [secrets.decrypted_secrets(row) for row in connector_store.list_all() if row.secrets]
            assert len(stored) > 10
            assert all(
                secret.startswith(CANARY)
                for values in stored
                for secret in values.values()
                if secret != "made-up-token"
            )
            assert any(CANARY in str(request.headers) + str(request.body) for request in fake_server.requests)
            monkeypatch.setenv("PAINCHAIN_DATABASE_URL", url)
            commands(watch, run, tmp_path, app_settings.checkpoint_file)
            verifier(watch, tmp_path, settings.instance / "secret.key", app_settings.checkpoint_file)
            pages(watch, app, client)
            rotated = run("rotate-key", "--reason", f"https://me:{canary()}@git.example")
            assert rotated.exit_code == 0, rotated.output
            watch.issued(next(iter((settings.instance / "secret.key").read_text().split())))
            watch.look("painchain rotate-key", rotated.output, rotated.stderr)
            restores(watch, run, tmp_path)
            database(watch, app)
            files(watch, tmp_path)
        finally:
            close(app)
            logging.root.removeHandler(handler)
    watch.look("the log", log.getvalue())
    assert "GET /" in log.getvalue()
    assert watch.outputs >= {f"POST {LIST}/bulk {status}" for status in (200, 303, 400, 409, 422)}
    files_read = {"backup", "backup, unpacked", "checkpoints.ndjson", "csv", "ndjson", "ocsf"}
    assert watch.outputs >= {"GET /metrics 200", "GET /api/integrity 200", "GET /settings/audit-log 200", *files_read}
    assert not watch.found, "\n".join(sorted(set(watch.found)))


def test_the_search_finds_a_secret_in_every_encoding() -> None:
    secret = canary()
    for encoded in (
        *(secret, quote(secret), quote(secret, safe=""), secret.encode().hex(), json.dumps({"a": secret})),
        *(base64.b64encode(b"user:"[:n] + secret.encode()).decode() for n in range(6)),
        *(base64.urlsafe_b64encode(b"user:"[:n] + secret.encode()).decode() for n in range(6)),
    ):
        watch = Watch()
        watch.look("here", f"before {encoded} after")
        assert watch.found, encoded
    nothing = Watch()
    nothing.look("here", "c4nary", "8d1f", base64.b64encode(b"something else"))
    assert nothing.found == []
