"""``painchain user`` manages accounts on the server, even if nobody can sign in."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from painchain.core import server_address
from painchain.database.session import db
from tests.support.accounts import PASSWORD, add_person, sign_in
from tests.support.html import fill, form_of


def test_the_first_account_is_an_admin_and_its_link_sets_the_password(app, client, run):
    refused = run("user", "add", "alice", "--role", "viewer")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "The first account must be an admin" in refused.stderr
    added = run("user", "add", "alice", "--link", "https://painchain.example/")
    assert added.exit_code == 0, added.stderr
    assert "Added alice as admin" in added.stdout
    address = urlsplit(added.stdout.split()[-1])
    assert (address.scheme, address.netloc) == ("https", "painchain.example")
    form = fill(form_of(client.get(address.path), "#link"), password=PASSWORD, again=PASSWORD)
    assert client.post(address.path, data=form).status_code == 303
    assert client.get("/settings/people").status_code == 200


def test_a_reset_link_replaces_the_password_which_works_until_then(app, client, run):
    add_person(app)
    reset = run("user", "reset", "Alice")
    address = urlsplit(reset.stdout.split()[-1])
    assert address.netloc == "127.0.0.1:8000"
    assert sign_in(client).status_code == 303
    form = form_of(app.test_client().get(address.path), "#link")
    assert "csrf_token" in form
    with app.app_context():
        recorded = db.session.execute(text("SELECT author, title, words FROM change_events ORDER BY id DESC LIMIT 2"))
        link_event = list(recorded)[1]
    assert link_event.author == "system"
    assert address.path.rpartition("/")[2] not in str(tuple(link_event))


@pytest.mark.parametrize(
    ("stored", "public", "printed"),
    [
        ("http://127.0.0.1:8123", "", "127.0.0.1:8123"),
        ("http://[::1]:8123", "", "[::1]:8123"),
        ("http://127.0.0.1:8123", "http://localhost:9000", "localhost:9000"),
        ("", "", "127.0.0.1:8000"),
        ("nonsense", "", "127.0.0.1:8000"),
        ("http://127.0.0.1:port", "", "127.0.0.1:8000"),
    ],
)
def test_a_link_starts_with_the_public_address_or_that_of_the_running_server(
    app, settings, run, monkeypatch, stored, public, printed
):
    add_person(app)
    (settings.instance / server_address.FILE).write_text(stored)
    monkeypatch.setenv("PAINCHAIN_PUBLIC_URL", public)
    assert urlsplit(run("user", "reset", "alice").stdout.split()[-1]).netloc == printed


@pytest.mark.both_databases
def test_accounts_are_listed_changed_disabled_enabled_and_removed(app, client, run):
    assert "nobody has to sign in" in run("user", "list").stderr
    add_person(app)
    assert run("user", "add", "bob", "--email", "bob@example.org").exit_code == 0
    listed = run("user", "list").stdout.splitlines()
    assert listed == ["alice  admin", "bob    viewer  bob@example.org  no password yet"]
    assert run("user", "role", "bob", "editor").stdout == "bob now has the role editor.\n"
    assert run("user", "disable", "bob").stdout == "bob is now disabled.\n"
    assert run("user", "disable", "bob").stdout == "bob is already disabled.\n"
    assert "Enable the account first" in run("user", "reset", "bob").stderr
    assert run("user", "enable", "bob").stdout == "bob is now enabled.\n"
    assert run("user", "remove", "bob", input="n\n").exit_code == 1
    assert run("user", "remove", "bob", "--yes").stdout == "Removed bob.\n"
    assert run("user", "list").stdout == "alice  admin\n"
    with app.app_context():
        recorded = db.session.execute(text("SELECT event_type FROM change_events ORDER BY id")).scalars().all()
    assert recorded[-6:] == [
        *("PersonAdded", "PasswordLinkMade", "PersonChanged", "PersonDisabled", "PersonEnabled", "PersonRemoved")
    ]


@pytest.mark.parametrize("command", [("disable",), ("remove", "--yes"), ("role", "viewer")])
def test_the_last_admin_cannot_be_removed(app, run, command):
    add_person(app)
    name, *more = command
    refused = run("user", name, "alice", *more)
    assert refused.exit_code == 1
    assert "“alice” is the last admin who can sign in" in refused.stderr


def test_an_unknown_name_and_an_invalid_value_are_reported(app, run):
    add_person(app)
    assert "No account named “nobody”" in run("user", "reset", "nobody").stderr
    refused = run("user", "add", "alice")
    assert (refused.exit_code, "named “alice” already exists" in refused.stderr) == (1, True)


def test_signing_out_one_or_all_accounts_is_audited(app, run):
    browsers = {}
    for name in ("alice", "bob"):
        add_person(app, name)
        browsers[name] = [app.test_client(), app.test_client()]
        for browser in browsers[name]:
            sign_in(browser, name)

    def signed_in():
        return [
            name
            for name, clients in browsers.items()
            for client in clients
            if client.get("/account").status_code == 200
        ]

    assert run("user", "sign-out").exit_code == run("user", "sign-out", "bob", "--all").exit_code == 2
    assert run("user", "sign-out", "nobody").exit_code == 1
    assert signed_in() == ["alice", "alice", "bob", "bob"]
    assert run("user", "sign-out", "bob", "--reason", "laptop stolen").stdout == "Ended 2 sessions.\n"
    assert signed_in() == ["alice", "alice"]
    assert run("user", "sign-out", "--all").stdout == "Ended 2 sessions.\n"
    assert signed_in() == []
    with app.app_context():
        recorded = db.session.execute(text("SELECT author, title FROM change_events WHERE event_type = 'SignedOut'"))
        assert sorted(tuple(event) for event in recorded) == [
            ("system", f"[Signed Out] {name}") for name in ("alice", "alice", "bob", "bob")
        ]
    assert run("user", "sign-out", "--all").stdout == "Ended 0 sessions.\n"
