"""Every page has an example, and is well-formed, accessible and safe."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.startup import create_app
from tests.conftest import close, settings_for, use_fake_sources
from tests.support.html import run_together, soup, words
from tests.web.common.conftest import add_webhook_support
from tests.web.common.page_examples import PAGES, create_examples
from tests.web.common.route_addresses import HTMX

pytestmark = pytest.mark.usefixtures("fake_sources", "webhook_support")


def test_every_page_has_an_example_address_in_this_test(app):
    looking = {rule.rule for rule in app.url_map.iter_rules() if "GET" in rule.methods}
    html = {
        rule for rule in looking if not rule.startswith(("/api/", "/static/", "/health", "/metrics", "/openapi.json"))
    }
    assert html == set(PAGES)


def get_all(client: FlaskClient, addresses: dict[str, int]) -> list[tuple[str, TestResponse]]:
    """Return the response of every address to a plain browser and to htmx."""
    return [(address, client.get(address, headers=headers)) for address in addresses for headers in ({}, HTMX)]


@dataclass(frozen=True)
class Site:
    """The responses of one server, shared by all tests of the pages, because they do not depend on the database."""

    client: FlaskClient
    addresses: dict[str, int]
    answers: list[tuple[str, TestResponse]]
    pages: list[tuple[str, BeautifulSoup]]

    def whole_pages(self) -> list[tuple[str, BeautifulSoup]]:
        """Return the pages for plain browsers, without fragments and redirects."""
        plain = zip(self.answers[::2], self.pages[::2], strict=True)
        return [page for (_, answer), page in plain if answer.status_code not in (302, 303) and "<html" in answer.text]


@pytest.fixture(scope="module")
def site(started_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The responses of a server with objects and events of every kind."""
    instance = tmp_path_factory.mktemp("site") / "instance"
    shutil.copytree(started_instance, instance)
    with pytest.MonkeyPatch.context() as patch:
        use_fake_sources(patch)
        add_webhook_support(patch)
        app = create_app(settings_for(instance))
        client = app.test_client()
        addresses = create_examples(client)
        responses = get_all(client, addresses)
        yield Site(client, addresses, responses, [(address, soup(response)) for address, response in responses])
        close(app)


@pytest.mark.both_databases
def test_every_page_responds_to_a_plain_browser_and_to_htmx(client):
    addresses = create_examples(client)
    for address, response in get_all(client, addresses):
        if addresses[address] == 200:
            assert response.status_code in (200, 204, 302, 303), address
        else:
            assert response.status_code == addresses[address], address


def test_every_response_has_the_security_headers(site):
    for address, response in site.answers:
        headers = response.headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'", address
        assert policy["object-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'", address
        assert not [words for words in policy.values() if "unsafe" in words or "http" in words], address
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] in ("same-origin", "no-referrer")
        assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        assert "HX-Request" in {name.strip() for name in headers["Vary"].split(",")}
        assert headers["Cache-Control"] == "no-store"


def test_api_responses_and_static_files_have_security_headers(client):
    page = soup(client.get("/"))
    for address in ("/api/changes", "/health", "/openapi.json", "/api/nowhere", page.select_one("script")["src"]):
        headers = client.get(str(address), buffered=True).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_no_page_has_inline_scripts_or_styles(site):
    for address, page in site.pages:
        assert not page.select("script:not([src]), style, [style], iframe, object, embed, base"), address
        for element in page.find_all():
            assert not [name for name in element.attrs if name.startswith(("on", "hx-on"))], (address, element)
            assert not str(element.get("href", "")).startswith("javascript:"), address


def test_pages_load_only_static_files_and_pictures_of_documents(site):
    loaded, pictures = set(), set()
    for address, page in site.pages:
        for element in page.select("script[src], link[href], use"):
            loaded.add(urlsplit(str(element.get("src") or element["href"])))
        pictures |= {urljoin(address, str(picture["src"])) for picture in page.select("img[src]")}
    assert all(picture.startswith("/help/") for picture in pictures)
    for picture in pictures:
        with site.client.get(picture) as response:
            assert (response.status_code, response.headers["Cache-Control"]) == (200, "public, max-age=3600")
    assert {address.path.rpartition(".")[2] for address in loaded} == {"js", "css", "svg"}
    for address in loaded:
        assert (address.scheme, address.netloc) == ("", "")
        assert address.path.startswith("/static/")
        response = site.client.get(address._replace(fragment="").geturl(), buffered=True)
        assert response.status_code == 200
        assert response.headers["Cache-Control"].endswith("max-age=31536000")


def test_no_words_of_a_page_are_glued_together(site):
    """Without the style sheet, too, words are apart: this is what a screen reader, a copy and a search get."""
    assert {address: glued for address, page in site.pages if (glued := run_together(page))} == {}


def test_ids_are_unique_on_every_page_and_in_every_fragment(site):
    for address, page in site.pages:
        ids = Counter(str(element["id"]) for element in page.select("[id]"))
        assert [name for name, count in ids.items() if count > 1] == [], address


REFERENCES = ("for", "form", "aria-describedby", "aria-labelledby", "aria-controls", "hx-target")


def referenced_ids(element: Tag) -> set[str]:
    """Return the ids that an element refers to."""
    names = {name for attribute in REFERENCES for name in str(element.get(attribute, "")).split()}
    names |= {str(element["href"])} if str(element.get("href", "")).startswith("#") else set()
    return {name.removeprefix("#") for name in names}


def test_every_reference_within_a_page_exists(site):
    for address, page in site.whole_pages():
        ids = {str(element["id"]) for element in page.select("[id]")}
        for element in page.find_all():
            assert referenced_ids(element) <= ids, (address, element)


def test_every_page_has_a_title_one_main_heading_and_a_way_to_skip_to_it(site):
    for address, page in site.whole_pages():
        assert words(page.title).endswith("· PainChain"), address
        assert page.html["lang"] == "en"
        assert len(page.select("main h1")) == 1, address
        assert page.select_one("a.skip")["href"] == "#main"


def has_name(element: Tag, page: BeautifulSoup) -> bool:
    """Return whether an input or a button has a name for screen readers."""
    label = page.select_one(f"label[for='{element.get('id')}']") or element.find_parent("label")
    return bool(element.get("aria-label") or words(label or element))


def test_every_input_and_button_has_a_name(site):
    for address, page in site.whole_pages():
        for element in page.select("input:not([type=hidden]), textarea, select, button"):
            assert has_name(element, page), (address, element)


def test_every_form_works_without_javascript_and_has_an_action(site):
    for address, page in site.whole_pages():
        for form in page.select("form:not([method=dialog])"):
            assert str(form["action"]).startswith("/"), address
            assert form["method"] in ("get", "post")
            sent_by_htmx = form.get(f"hx-{form['method']}")
            assert sent_by_htmx in (None, form["action"])
            if form["method"] == "post":
                assert "." not in form.select_one("[name=csrf_token]")["value"], "the token is masked"


def test_no_link_is_broken(site):
    links = {"/"}
    for address, page in site.whole_pages():
        for link in page.select("a[href]"):
            if not link.find_parent("svg"):
                links.add(urljoin(address, str(link["href"])).partition("#")[0])
    assert len(links) > 20
    for link in links - set(site.addresses):
        assert link.startswith("/"), link
        assert site.client.get(link).status_code in (200, 302), link
