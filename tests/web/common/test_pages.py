"""Every page has an example, and is well-formed, accessible and safe."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup
from flask import g, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.startup import create_app
from painchain.web.dashboard.filter_view import filter_of, view_of
from tests.conftest import WITH_POSTGRES, close, settings_for, use_fake_sources
from tests.support.elements import Element, run_together, tree, words
from tests.support.html import parsed
from tests.web.common.conftest import add_webhook_support
from tests.web.common.page_examples import PAGES, create_examples
from tests.web.common.route_addresses import HTMX, LIST

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
    pages: list[tuple[str, Element]]

    def whole_pages(self) -> list[tuple[str, Element]]:
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
        yield Site(client, addresses, responses, [(address, tree(response)) for address, response in responses])
        close(app)


def assert_responses(addresses: dict[str, int], answers: list[tuple[str, TestResponse]]) -> None:
    """Assert that every response has the expected status."""
    for address, response in answers:
        if addresses[address] == 200:
            assert response.status_code in (200, 204, 302, 303), address
        else:
            assert response.status_code == addresses[address], address


def test_every_page_responds_to_a_plain_browser_and_to_htmx(site):
    assert_responses(site.addresses, site.answers)


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=WITH_POSTGRES)], indirect=True)
def test_every_page_responds_on_postgresql(client, thorough):
    addresses = create_examples(client)
    answers = get_all(client, addresses) if thorough else [(address, client.get(address)) for address in addresses]
    assert_responses(addresses, answers)


def linked(page: BeautifulSoup) -> list[tuple[object, ...]]:
    """Return every element and text of a page in order, with the positions of its neighbours."""
    positions = {id(part): position for position, part in enumerate(page.descendants)}
    neighbours = ("parent", "previous_element", "next_element", "previous_sibling", "next_sibling")
    return [
        (
            type(part),
            part.name,
            getattr(part, "attrs", part),
            *(positions.get(id(getattr(part, to))) for to in neighbours),
        )
        for part in page.descendants
    ]


@pytest.mark.parametrize("address", ["/", f"{LIST}/2", "/account", "/help/admin/configuration.md"])
def test_the_builder_of_the_tests_builds_what_that_of_beautiful_soup_builds(site, address):
    html = site.client.get(address).text
    assert linked(parsed(html)) == linked(BeautifulSoup(html, "lxml"))


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
    [script, *_] = tree(client.get("/settings/teams")).iter("script")
    for address in ("/api/changes", "/health", "/openapi.json", "/api/nowhere", script.get("src")):
        headers = client.get(str(address), buffered=True).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_no_page_has_inline_scripts_or_styles(site):
    for address, page in site.pages:
        for element in page.iter("*"):
            assert element.tag not in ("style", "iframe", "object", "embed", "base"), address
            assert element.tag != "script" or "src" in element.attrib, address
            refused = [name for name in element.attrib if name.startswith(("on", "hx-on")) or name == "style"]
            assert not refused, (address, element.tag, refused)
            assert not element.get("href", "").startswith("javascript:"), address


def test_pages_load_only_static_files_and_pictures_of_documents(site):
    loaded, pictures = set(), set()
    for address, page in site.pages:
        for element in page.iter("script", "link", "use"):
            loaded.add(urlsplit(element.get("src") or element.attrib["href"]))
        pictures |= {urljoin(address, picture.attrib["src"]) for picture in page.iter("img")}
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
        ids = Counter(page.xpath("//@id"))
        assert [name for name, count in ids.items() if count > 1] == [], address


REFERENCES = ("for", "form", "aria-describedby", "aria-labelledby", "aria-controls", "hx-target")


def referenced_ids(element: Element) -> set[str]:
    """Return the ids that an element refers to."""
    names = {name for attribute in REFERENCES for name in element.get(attribute, "").split()}
    names |= {element.attrib["href"]} if element.get("href", "").startswith("#") else set()
    return {name.removeprefix("#") for name in names}


def test_every_reference_within_a_page_exists(site):
    for address, page in site.whole_pages():
        ids = set(page.xpath("//@id"))
        for element in page.iter("*"):
            assert referenced_ids(element) <= ids, (address, element.tag)


def test_every_page_has_a_title_one_main_heading_and_a_way_to_skip_to_it(site):
    for address, page in site.whole_pages():
        assert words(page.find("head/title")).endswith("· PainChain"), address
        assert page.get("lang") == "en"
        assert len(page.xpath("//main//h1")) == 1, address
        assert page.xpath("//a[@class = 'skip']/@href")[0] == "#main"


def has_name(element: Element, labels: dict[str, Element]) -> bool:
    """Return whether an input or a button has a name for screen readers."""
    label = labels.get(element.get("id", ""), next(element.iterancestors("label"), element))
    return bool(element.get("aria-label") or words(label))


def test_every_input_and_button_has_a_name(site):
    for address, page in site.whole_pages():
        labels = {label.attrib["for"]: label for label in page.iter("label") if "for" in label.attrib}
        for element in page.iter("input", "textarea", "select", "button"):
            assert element.get("type") == "hidden" or has_name(element, labels), (address, dict(element.attrib))


def test_every_form_works_without_javascript_and_has_an_action(site):
    for address, page in site.whole_pages():
        for form in page.xpath("//form[not(@method = 'dialog')]"):
            assert form.attrib["action"].startswith("/"), address
            assert form.attrib["method"] in ("get", "post")
            sent_by_htmx = form.get(f"hx-{form.attrib['method']}")
            assert sent_by_htmx in (None, form.attrib["action"])
            if form.attrib["method"] == "post":
                assert "." not in form.xpath(".//*[@name = 'csrf_token']/@value")[0], "the token is masked"


def test_no_link_is_broken(site):
    links = {"/"}
    for address, page in site.whole_pages():
        for link in page.xpath("//a[@href][not(ancestor::svg)]/@href"):
            links.add(urljoin(address, link).partition("#")[0])
    assert len(links) > 20
    followed: set[tuple[str, frozenset[str]]] = set()
    for link in sorted(links - set(site.addresses)):
        assert link.startswith("/"), link
        path, _, query = link.partition("?")
        shape = (path, frozenset(parse_qs(query, keep_blank_values=True)))
        if path == "/" and shape in followed:
            # A dashboard with other values of the same parameters: rendering each would take most of the test's time.
            with site.client.application.test_request_context(link):
                g.now = datetime.now(UTC)
                filter_of(view_of(request.args))  # otherwise it raises BadFilter
            continue
        followed.add(shape)
        assert site.client.get(link).status_code in (200, 302), link
