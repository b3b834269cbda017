"""Every writing route has a recipe and is audited."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.startup import create_app
from tests.conftest import add_connector, close, settings_for, use_fake_sources
from tests.web.common.conftest import add_webhook_support
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


COOKIES = ("painchain", "painchain_session", "painchain_known")


@dataclass(frozen=True)
class Prepared:
    """An instance folder, for copies, and the cookies of a browser that uses its server."""

    folder: Path
    cookies: dict[str, str]


Prepare = Callable[[Callable[[FlaskClient, int], object]], Prepared]


def prepare_all(client: FlaskClient, number: int) -> None:
    """Add a connector, a team and a view."""
    assert add_connector(client, "kubernetes", "Cluster") == number
    assert patch(client, number, cluster_name="blue").status_code == 200
    assert client.post("/api/teams", json={"name": "Payments", "tags": ["a"]}).status_code == 201
    assert client.post("/api/views", json={"name": "Ours", "filter": "tag=a&range=7d"}).status_code == 201


@pytest.fixture(scope="module")
def prepare(started_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepare:
    """Return a function that prepares an instance, or returns the one that it prepared in the same way before."""

    @cache
    def prepared(preparation: Callable[[FlaskClient, int], object]) -> Prepared:
        folder = tmp_path_factory.mktemp("prepared") / "instance"
        begin = started_instance if preparation is prepare_all else prepared(prepare_all).folder
        shutil.copytree(begin, folder)
        with pytest.MonkeyPatch.context() as patches:
            use_fake_sources(patches)
            add_webhook_support(patches)
            app = create_app(settings_for(folder))
            client = app.test_client()
            preparation(client, CLUSTER)
            cookies = {name: cookie.value for name in COOKIES if (cookie := client.get_cookie(name))}
            close(app)
        return Prepared(folder, cookies)

    return prepared


@pytest.mark.parametrize("route", RECIPES, ids=" ".join)
def test_every_change_is_audited(prepare, tmp_path, route):
    prepared = prepare(PREPARATIONS.get(route, prepare_all))
    shutil.copytree(prepared.folder, tmp_path / "instance")
    app = create_app(settings_for(tmp_path / "instance"))
    client = app.test_client()
    for name, value in prepared.cookies.items():
        client.set_cookie(name, value)
    kinds, recipe = RECIPES[route]
    before = recorded(app)[-1]["id"]
    response = recipe(client, CLUSTER)
    assert response.status_code < 400, response.text
    assert response.request.method == route[0]
    written = recorded(app, before)
    assert written or route in WITHOUT_EVENT, "a change without an event"
    assert [event["event_type"] for event in written] == kinds
    assert len({event["request_id"] for event in written}) == min(1, len(kinds))
    assert all(event["author"] for event in written)
    assert all("cause" in str(event["description"]) for event in written if event["author"] == "system")
    close(app)
