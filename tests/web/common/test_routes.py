"""Every writing route has a recipe and is audited."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from painchain.startup import create_app
from tests.conftest import add_connector, close, settings_for, use_fake_sources
from tests.web.common.recipe_steps import patch, recorded
from tests.web.common.recipes import PREPARATIONS, RECIPES, WITHOUT_EVENT
from tests.web.common.route_addresses import MUTATING, Route

pytestmark = pytest.mark.usefixtures("fake_sources", "webhook_support")

CLUSTER = 2  # the number of a connector; the first one is the PainChain connector


def writing_routes(app: Flask) -> set[Route]:
    """Return every route with a method that writes."""
    return {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods & MUTATING}


def test_every_writing_route_has_a_recipe(app):
    assert writing_routes(app) == set(RECIPES)
    assert set(WITHOUT_EVENT) <= set(RECIPES)


def test_a_new_route_without_a_recipe_is_detected(app):
    app.add_url_rule("/api/tea", methods=["POST"], view_func=lambda: "brewed")
    assert writing_routes(app) - set(RECIPES) == {("POST", "/api/tea")}


@pytest.fixture(scope="module")
def prepared_instance(started_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The instance folder of a server with a connector, a team and a view, for copies."""
    folder = tmp_path_factory.mktemp("prepared") / "instance"
    shutil.copytree(started_instance, folder)
    with pytest.MonkeyPatch.context() as patches:
        use_fake_sources(patches)
        app = create_app(settings_for(folder))
        client = app.test_client()
        assert add_connector(client, "kubernetes", "Cluster") == CLUSTER
        assert patch(client, CLUSTER, cluster_name="blue").status_code == 200
        assert client.post("/api/teams", json={"name": "Payments", "tags": ["a"]}).status_code == 201
        assert client.post("/api/views", json={"name": "Ours", "filter": "tag=a&range=7d"}).status_code == 201
        close(app)
    return folder


@pytest.fixture
def prepared_app(prepared_instance: Path, tmp_path: Path) -> Iterator[Flask]:
    """The app of a server with a connector, a team and a view."""
    shutil.copytree(prepared_instance, tmp_path / "instance")
    app = create_app(settings_for(tmp_path / "instance"))
    yield app
    close(app)


@pytest.mark.parametrize("route", RECIPES, ids=" ".join)
def test_every_change_is_audited(prepared_app, route):
    app, client, number = prepared_app, prepared_app.test_client(), CLUSTER
    kinds, recipe = RECIPES[route]
    PREPARATIONS.get(route, lambda client, number: None)(client, number)
    before = recorded(app)[-1]["id"]
    response = recipe(client, number)
    assert response.status_code < 400, response.text
    assert response.request.method == route[0]
    written = recorded(app, before)
    assert written or route in WITHOUT_EVENT, "a change without an event"
    assert [event["event_type"] for event in written] == kinds
    assert len({event["request_id"] for event in written}) == min(1, len(kinds))
    assert all(event["author"] for event in written)
    assert all("cause" in str(event["description"]) for event in written if event["author"] == "system")
