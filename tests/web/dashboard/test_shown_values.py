"""Hidden fields are not shown, long values are cut, and text is never markup."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.conftest import ON_SQLITE
from tests.support.elements import tree
from tests.support.html import fill, form_of, soup, texts, unfold, words
from tests.support.script_corpus import FEW, assert_inert
from tests.web.dashboard.pages import log, read
from tests.web.parts import part_of


def hide(client: FlaskClient, number: int, event_type: str, *fields: str) -> None:
    for field in fields:
        address = f"/api/connectors/{number}/visibility/{event_type}/{field}"
        assert client.put(address, json={"visible": False}).status_code == 200


def test_hidden_fields_are_not_shown(client):
    log(client, field="x", old_value="before", new_value="after")
    hide(client, 1, "ConfigChanged", "old_value", "connector_name")
    for page in (unfold(client, read(client)), part_of(client.get("/events/2"), "main")):
        article = page.select_one("article[data-event-type=ConfigChanged]")
        assert texts(article, ".change") == ["X: after"]
        assert "before" not in words(article)
        assert not article.select(".where, [data-field=old_value], [data-field=connector_name]")


def test_hidden_fields_of_a_connector_affect_only_its_own_events(client, write, make_connector):
    connector_id, other_connector = make_connector(), make_connector("github", "Other")
    hide(client, connector_id, "Commit", "sha")
    write({"connector_id": connector_id}, {"connector_id": other_connector}, {})
    page = unfold(client, read(client, source="github"))
    assert [bool(article.select("[data-field=sha]")) for article in page.select("#feed article")] == [False, True, True]


def test_a_hidden_field_is_neither_in_the_text_of_an_event_nor_suggested_as_a_place(client, write):
    [number] = write(
        {
            **{"source": "api", "event_type": "Release", "description": {"text": "Fixed: all"}},
            "metadata": {"repository": "acme/api"},
        }
    )

    def shown() -> tuple[list[str], list[str]]:
        page, event = read(client), soup(client.get(f"/events/{number}"))
        return texts(event, ".lead"), [option["value"] for option in page.select("#places option")]

    assert shown() == (["Fixed: all"], ["PainChain System", "acme/api"])
    hide(client, 1, "ApiChange", "text", "repository")
    assert shown() == ([], ["PainChain System"])


def test_long_values_are_cut_but_remain_distinguishable(client):
    for last in "bc":
        log(client, old_value="short", new_value="a" * 5000 + last)
    changes = texts(read(client, only="feed"), "#feed .change")
    assert len(set(changes)) == 2
    for text in changes:
        assert "… (5,001 characters, sha256 " in text
        assert len(text) < 300


def test_long_lists_are_cut_as_well(client):
    log(client, old_value=list(range(1000)), new_value=list(range(500, 1500)))
    for text in texts(
        unfold(client, read(client)), "#feed .change, #feed [data-field=old_value], #feed [data-field=new_value]"
    ):
        assert len(text) < 1000


HIDING = "admin\u202enimda\u200b\u2066"


@ON_SQLITE
def test_invisible_and_reordering_characters_are_shown_as_codes(client, events, make_connector):
    spelt = "admin\\u202enimda\\u200b\\u2066"
    number = make_connector("kubernetes", HIDING, tags=HIDING, cluster_name=HIDING)
    log(client, connector_name=HIDING, field=HIDING, old_value=[HIDING], new_value={HIDING: HIDING}, author=HIDING)
    toast_and_page = client.get(f"/settings/integrations/{number}")
    pages = ["/", f"/?author={HIDING}", f"/events/{events()[-1]['id']}", "/settings/integrations"]
    pages += [f"/settings/integrations/{number}/{what}" for what in ("delete", "disable")]
    for response in (toast_and_page, *(client.get(page) for page in pages)):
        page = soup(response)
        for element in page.select("input, textarea"):
            element.decompose()  # the person edits the text itself there
        assert not set("\u202e\u200b\u2066") & set(page.get_text())
        assert spelt in page.get_text()


# Nothing that people enter becomes markup


@ON_SQLITE
def test_entered_text_is_escaped(client, events, make_connector):
    pages = {"/", "/settings/integrations"}
    for text in FEW:
        number = make_connector("kubernetes", text, tags=text[:49], cluster_name=text)
        log(
            client,
            connector_name=text,
            connector_type=text,
            field=text,
            old_value=text,
            new_value=[text, {text: text}],
            author=text,
        )
        log(client, event_type="field_visibility_changed", connector_type=text, field_key=text, visible=True)
        settings_page = f"/settings/integrations/{number}"
        pages |= {
            settings_page,
            f"{settings_page}/delete",
            f"{settings_page}/disable",
            *(f"/events/{event['id']}" for event in events()[-3:]),
        }
    for address in sorted(pages):
        assert_inert(tree(client.get(address)))
    feed = unfold(client, read(client))
    assert_inert(feed)
    assert set(FEW) <= set(texts(feed, "#feed .where"))
    assert set(FEW) <= set(texts(feed, "#feed .author"))
    assert set(FEW) <= set(texts(part_of(client.get("/settings/integrations"), "cards"), "article.card h2"))


@ON_SQLITE
def test_search_text_is_escaped(client):
    for text in FEW:
        searched = dict.fromkeys(("q", "author", "tag", "source", "connector", "event_type", "status"), text)
        for wrong in ({}, {"range": text}, {"start_date": text}, {"cursor": text}):
            page = tree(client.get("/", query_string={**searched, **wrong}))
            assert_inert(page)
            [shown] = page.xpath("//*[@id='q']/@value")
            assert shown in ((text, "") if wrong else (text,))
        page = tree(client.get("/settings/integrations", query_string={"q": text, "type": text}))
        assert_inert(page)
        assert page.xpath("//main//*[@name='q']/@value") == [text]


@ON_SQLITE
def test_refused_input_is_escaped(client):
    address = "/settings/integrations/new/github"
    for text in FEW:
        inputs = dict.fromkeys(("name", "tags", "base_url", "token", "poll_interval", "repos", "branches"), text)
        response = client.post(address, data=fill(form_of(client.get(address)), **inputs))
        assert_inert(tree(response))
        page = part_of(response, "new")
        assert page.select_one("[name=poll_interval]")["value"] == text
        assert page.select_one("[name=repos]").get_text().strip() == text
