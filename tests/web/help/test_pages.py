"""The help pages show every document, and their links and pictures work."""

from __future__ import annotations

from urllib.parse import urldefrag, urljoin

from flask.testing import FlaskClient

from painchain import __version__
from painchain.connectors import ADDABLE
from painchain.web.help import documents
from tests.support.accounts import add_person, sign_in
from tests.support.html import soup, words

INDEX = "/help/README.md"
PAGES = sorted(name for name in documents.names() if name.endswith(".md"))
SETTINGS_HELP = {
    "/settings/integrations": "connectors/overview.md",
    "/settings/integrations/1": "connectors/overview.md",
    **{f"/settings/integrations/new/{key}": f"connectors/{key}.md" for key in ADDABLE},
    "/settings/teams": "search.md",
    "/settings/people": "admin/accounts.md",
    "/settings/tokens": "api.md",
    "/settings/retention": "admin/retention.md",
    "/settings/notifications": "admin/notifications.md",
    "/settings/audit-log": "audit-log.md",
}


def test_every_page_links_to_help_and_names_the_version(client: FlaskClient) -> None:
    page = soup(client.get("/"))
    assert page.select_one("header a[href='/help']") is not None
    assert words(page.select_one("footer")) == f"PainChain {__version__}"
    assert client.get("/help").location == INDEX


def test_each_settings_page_links_to_its_document(client: FlaskClient) -> None:
    for address, document in SETTINGS_HELP.items():
        link = soup(client.get(address)).select_one(".content > a.help-link")
        assert link is not None, address
        target, anchor = urldefrag(str(link["href"]))
        assert target == f"/help/{document}", address
        answer = client.get(target)
        assert answer.status_code == 200
        assert not anchor or soup(answer).find(id=anchor), address


def test_a_saved_connector_links_to_the_document_of_its_type(client: FlaskClient, make_connector) -> None:
    address = make_connector("gitlab", "Mirror")
    link = soup(client.get(f"/settings/integrations/{address}")).select_one("a.help-link")
    assert link is not None
    assert link["href"] == "/help/connectors/gitlab.md"


def test_the_contents_list_has_every_document_once(client: FlaskClient) -> None:
    links = soup(client.get(INDEX)).select("nav.contents li > a")
    listed = [urljoin(INDEX, str(link["href"])).removeprefix("/help/") for link in links]
    assert sorted(name for name in listed if "#" not in name) == sorted({*PAGES} - {documents.INDEX})


def test_every_link_and_picture_of_every_document_works(client: FlaskClient) -> None:
    pages = {f"/help/{name}": soup(client.get(f"/help/{name}")) for name in PAGES}
    for address, page in pages.items():
        article = page.select_one("article")
        assert article is not None, address
        assert len(article.select("h1")) == 1, address
        for picture in article.select("img"):
            assert picture["alt"]
            with client.get(urljoin(address, str(picture["src"]))) as answer:
                assert answer.mimetype.startswith("image/")
        for link in article.select("a[href]"):
            target, anchor = urldefrag(urljoin(address, str(link["href"])))
            if not target.startswith("https://"):
                assert target in pages, (address, target)
                assert not anchor or pages[target].find(id=anchor), (address, target, anchor)


def test_only_documents_are_served(client: FlaskClient) -> None:
    for address in (
        *("/help/nowhere.md", "/help/admin", "/help/admin/", "/help/README", "/help/tour.MD", "/help//etc/passwd"),
        *("/help/../app.py", "/help/%2e%2e/app.py", "/help/..%2fapp.py", "/help/admin/../tour.md", "/help/tour.md%00"),
    ):
        assert client.get(address, follow_redirects=True).status_code == 404, address


def test_help_requires_permission_to_read_pages(app, client: FlaskClient) -> None:
    add_person(app, "alice", "admin")
    add_person(app, "bob", "viewer")
    assert client.get(INDEX).location == f"/sign-in?next={INDEX.replace('/', '%2F')}"
    sign_in(client, "bob")
    assert client.get(INDEX).status_code == 200


def test_html_in_a_document_is_shown_as_text() -> None:
    tokens = documents.markdown().parse("<script>alert(1)</script>\n\n[x](javascript:alert(1)) <b>bold</b>")
    html = documents.markdown().renderer.render(tokens, documents.markdown().options, {})
    assert "<script" not in html
    assert "<b>" not in html
    assert "href" not in html


def test_equal_headings_have_different_anchors() -> None:
    tokens = documents.markdown().parse("# One\n\n## `Two` words\n\n## Two words")
    assert [heading.anchor for heading in documents.add_anchors(tokens)] == ["one", "two-words", "two-words-1"]
