"""Saved views of one person or of everybody."""

from __future__ import annotations

from tests.support.accounts import add_person, sign_in
from tests.support.html import form_of, soup, words
from tests.web.parts import part_of
from tests.web.settings.views import FORM, LIST, NEW, client_summary, edit, menu, save, star


def test_a_view_is_mine_unless_an_editor_shares_it(people, events):
    ann, vi = people("ann"), people("vi")
    save(ann, "Mine")
    save(ann, "Ours", shared=True)
    assert menu(ann.get("/")) == ["Mine", "Ours"]
    assert menu(vi.get("/")) == ["Ours"]
    assert vi.get(f"{LIST}/1").status_code == vi.get("/api/views/1").status_code == 404
    save(vi, "Mine", "q=a")  # the same name, of another person
    assert menu(vi.get("/")) == ["Mine", "Ours"]
    assert [view["shared"] for view in vi.get("/api/views").get_json()] == [False, True]
    audiences = [event["description"]["audience"] for event in ann.get("/api/changes?event_type=ViewSaved").get_json()]
    assert audiences == ["vi", "everybody", "ann"]


def test_a_viewer_saves_and_stars_but_does_not_share_or_change_shared_views(people):
    ed, vi = people("ed"), people("vi")
    save(ed, "Ours", shared=True)
    assert "shared" not in form_of(vi.get(NEW), FORM)
    form = form_of(vi.get(NEW), FORM)
    for address in (NEW, f"{LIST}/1"):
        refused = vi.post(address, data={**form, "name": "x", "shared": "y", "offers_shared": "y"})
        assert refused.status_code == 403
        assert "Views for everybody need the editor role" in words(part_of(refused, "main").main)
    assert vi.post(f"{LIST}/1/delete", data=form).status_code == 403
    for response in (
        vi.post("/api/views", json={"name": "x", "filter": "q=a", "shared": True}),
        vi.patch("/api/views/1", json={"name": "x"}, headers={"If-Match": "*"}),
        vi.delete("/api/views/1"),
    ):
        assert response.status_code == 403
        assert "editor role" in response.get_json()["message"]
    assert [view["name"] for view in ed.get("/api/views").get_json()] == ["Ours"]
    assert soup(vi.get(f"{LIST}/1")).select("#save, .danger") == []
    assert star(vi).status_code == 303
    assert words(part_of(vi.get("/"), "menu-views").select_one("#menu-views summary")) == "View: ★ Ours"
    assert words(part_of(ed.get("/"), "menu-views").select_one("#menu-views summary")) == "Views"


def test_a_view_taken_back_from_everybody_is_nobody_elses_start_page(people):
    ed, vi = people("ed"), people("vi")
    save(ed, "Ours", shared=True)
    star(vi)
    assert edit(ed, shared=False).status_code == 303
    assert menu(vi.get("/")) == []
    assert client_summary(vi) == "Views"
    assert edit(ed, shared=True).status_code == 303
    assert client_summary(vi) == "Views"


def test_views_of_a_removed_account_are_removed_with_it(people):
    ann, vi = people("ann"), people("vi")
    save(ann, "Ours", shared=True)
    save(vi, "Mine", start=True)
    person = next(person for person in ann.get("/api/people").get_json() if person["name"] == "vi")
    page = ann.get(f"/settings/people/{person['id']}/remove")
    assert "Mine" in words(part_of(page, "main").main)
    assert ann.delete(f"/api/people/{person['id']}").status_code == 204
    assert ann.get("/api/views/2").status_code == 404
    assert [view["name"] for view in ann.get("/api/views").get_json()] == ["Ours"]


def test_a_view_from_before_the_first_account_belongs_to_everybody(app, client):
    save(client)
    star(client)
    add_person(app)
    sign_in(client)
    assert client_summary(client) == "Views"  # the start page of nobody's account
    assert menu(client.get("/")) == ["Production"]


def test_a_token_saves_the_views_of_its_owner(people):
    ann = people("ann")
    token = ann.post("/api/tokens", json={"name": "ci", "role": "viewer"}).get_json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    script = ann.application.test_client()
    assert script.post("/api/views", json={"name": "Mine", "filter": "q=a"}, headers=bearer).status_code == 201
    assert menu(ann.get("/")) == ["Mine"]
    [event] = ann.get("/api/changes?event_type=ViewSaved").get_json()
    assert (event["author"], event["description"]["audience"]) == ("token:ci", "ann")
