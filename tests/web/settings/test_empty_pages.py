"""Settings pages without entries say how to begin, with a link that the reader may use."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.accounts import add_person, sign_in
from tests.support.html import soup, texts

# The page, the link, and where it leads
BEGINNINGS = [
    ("people", "Add the first account", "/settings/people/new"),
    ("tokens", "Add the first account", "/settings/people/new"),
    ("notifications", "Add the first rule", "/settings/notifications/new"),
    ("views", "Filter the timeline", "/"),
    ("teams", "Add the first team", "/settings/teams/new"),
    ("integrations", "GitHub", "/settings/integrations/new/github"),
]


def links(client: FlaskClient, page: str) -> dict[str, str]:
    """Return the links of the empty state of a page, by their text."""
    found = soup(client.get(f"/settings/{page}")).select(".nothing a")
    return {" ".join(link.get_text().split()): str(link["href"]) for link in found}


@pytest.mark.parametrize(("page", "words", "address"), BEGINNINGS)
def test_an_empty_page_leads_to_the_first_entry(client: FlaskClient, page: str, words: str, address: str) -> None:
    assert links(client, page)[words] == address
    assert client.get(address).status_code == 200


def test_with_accounts_the_next_step_is_a_token(app: Flask, client: FlaskClient) -> None:
    add_person(app, "ann", "admin")
    sign_in(client, "ann")
    assert links(client, "tokens") == {"Create the first token": "/settings/tokens/new"}


def test_a_viewer_is_not_sent_to_pages_of_editors(app: Flask, client: FlaskClient) -> None:
    add_person(app, "ann", "admin")
    add_person(app, "vi", "viewer")
    sign_in(client, "vi")
    for page in ("integrations", "teams", "views"):
        for address in links(client, page).values():
            assert client.get(address).status_code == 200
    page = soup(client.get("/settings/integrations"))
    assert texts(page, ".nothing h2") == ["No sources yet"]
    assert not page.select(".nothing a")
