"""A real provider, and apps that use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from painchain.accounts import users
from painchain.core import config
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.counterparts.oidc import FakeProvider, provider
from tests.support.accounts import PASSWORD, audited_transaction
from tests.web.account.oidc.flow import MakeApp


@pytest.fixture(scope="session")
def shared_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProvider]:
    with provider(tmp_path_factory.mktemp("provider")) as fake_provider:
        yield fake_provider


@pytest.fixture
def fake_server(shared_provider: FakeProvider) -> FakeProvider:
    shared_provider.faults()
    return shared_provider


@pytest.fixture
def make_app(settings: config.Settings, fake_server: FakeProvider) -> Iterator[MakeApp]:
    """Return a function that starts a server with the provider, and an admin whose email address the provider has."""
    apps: list[Flask] = []

    def make(**more: str) -> Flask:
        app_settings = settings_for(settings.instance, settings.database_url, **fake_server.environment(**more))
        apps.append(app := create_app(app_settings))
        with audited_transaction(app) as trail:
            if not users.any_exist():
                users.add("alice", "admin", trail, email="alice@people.example", password=PASSWORD)
        return app

    yield make
    for app in apps:
        close(app)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()
