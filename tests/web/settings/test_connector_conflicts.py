"""Two people edit a connector: a stale form shows both changes and overwrites nothing."""

from __future__ import annotations

import pytest

from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of
from tests.web.settings.connector_pages import (
    edit,
    kinds,
    opened,
    page_of,
    press,
    refusal,
    save,
    table,
    toasts,
    toggle,
    value_of,
    visible,
)


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_a_stale_save_shows_both_changes_and_overwrites_nothing(client, events, make_connector, htmx):
    number = make_connector(tags="ours")
    old_form = opened(client, number)
    edit(client, number, poll_interval="600", repos="a/b")
    before = events()
    response = save(client, number, fill(old_form, poll_interval="900", branches="main"), htmx)
    page = soup(response)
    assert response.status_code == 409
    assert bool(page.find("html")) is not htmx
    assert "system changed “Work GitHub” just now, after you opened it" in words(page.select_one("#conflict"))
    assert table(page) == [
        ["Poll interval", "300 → 600", "300 → 900"],
        ["Repositories", "+a/b", "unchanged"],
        ["Branches", "unchanged", "+main"],
    ]
    assert [value_of(page, name) for name in ("poll_interval", "repos", "branches", "tags")] == [
        "900",
        "a/b",
        "main",
        "ours",
    ]
    assert events() == before
    assert (opened(client, number)["poll_interval"], opened(client, number)["branches"].strip()) == ("600", "")


def test_keep_mine_saves_my_changes_and_leaves_theirs(client, events, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    edit(client, number, repos="a/b", tags="theirs")
    conflict = save(client, number, fill(old_form, poll_interval="900"))
    before = len(events())
    page = soup(save(client, number, form_of(conflict, "#connector-form"), htmx=True))
    assert toasts(page) == ["Saved “Work GitHub”. Changed: Poll interval."]
    assert kinds(events()[before:]) == ["ConfigChanged", "ConnectorUpdated"]
    assert [value_of(page, name) for name in ("poll_interval", "repos", "tags")] == ["900", "a/b", "theirs"]


def test_take_theirs_is_a_link_to_the_current_page(client, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    edit(client, number, poll_interval="600")
    link = part_of(save(client, number, fill(old_form, poll_interval="900")), "conflict").select_one("#conflict a")
    assert (words(link), link["href"]) == ("Discard my changes", page_of(number))


def test_a_save_after_another_person_enabled_the_connector_is_stale_without_differences(client, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    press(client, number, "enable")
    response = save(client, number, fill(old_form, tags="mine"))
    assert response.status_code == 409
    assert table(part_of(response, "conflict")) == [
        ["Tags", "unchanged", "+mine"],
        ["They enabled or disabled the connector, or changed its token or field visibility."],
    ]


def test_keep_mine_leaves_toggles_that_only_they_changed(client, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    toggle(client, number, "Commit", "sha", False)
    inputs = {"tags": "mine", "visible.Commit.branch": False}
    conflict = save(client, number, fill(old_form, **inputs))
    assert conflict.status_code == 409
    save(client, number, form_of(conflict, "#connector-form"))
    off = [name for name, on in visible(client, number).items() if not on]
    assert off == [("Commit", "branch"), ("Commit", "sha")]


def test_a_conflict_asks_to_enter_the_token_again(client, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    edit(client, number, poll_interval="600")
    page = part_of(save(client, number, fill(old_form, token="a-better-one"), htmx=True), "connector-form")
    assert "again" in str(page.select_one("[data-field=token]"))


def test_a_stale_button_is_refused_and_changes_nothing(client, events, make_connector):
    number = make_connector()
    edit(client, number, poll_interval="600")
    before = events()
    for what in ("enable", "disable", "delete", "visibility"):
        for htmx in (False, True):
            answer = refusal(press(client, number, what, htmx=htmx, version="1", hide="Commit"), 409)
            assert answer.startswith("Someone else changed this first")
            if htmx:
                assert "“Work GitHub” was changed by system in the meantime. Nothing was saved. Reload" in answer
    assert events() == before
    assert all(visible(client, number).values())
    assert texts(part_of(client.get(page_of(number)), "connector_header"), "#connector_header .pill") == ["Disabled"]


def test_a_stale_toggle_is_refused_and_changes_nothing(client, events, make_connector):
    number = make_connector()
    edit(client, number, poll_interval="600")
    before = events()
    assert "Someone else changed this first" in refusal(
        toggle(client, number, "Commit", "sha", False, version="1"), 409
    )
    assert events() == before


def test_a_conflict_works_with_an_unreadable_base_version(client, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    edit(client, number, poll_interval="600")
    for base in ("", "nonsense", "[]", "{", "[" * 100_000, '{"poll_interval": "soon", "tags": 7, "name": {}}'):
        response = save(client, number, fill(old_form, tags="mine", base=base))
        assert response.status_code == 409, base[:50]
        assert ["Tags", "unchanged", "+mine"] in table(part_of(response, "conflict"))
