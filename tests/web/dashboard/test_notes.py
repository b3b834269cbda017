"""A note on an event is an event itself: chained, searchable, shown beneath its event, and never changed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from painchain.database.session import db
from painchain.eventlog import writer
from painchain.history.notes import MAX_LENGTH
from painchain.integrity import derived_data, verification
from tests.support import sample_events
from tests.support.accounts import add_person, sign_in
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}
ALL = "/?range=all"
WHY = "Rolled back by hand:\nthe pool ran full"


def add_note(client: Any, number: int, note: str, **headers: str) -> Any:
    form = form_of(client.get(f"/events/{number}"), "#add-note")
    return client.post(f"/events/{number}/notes", data=fill(form, text=note), headers=headers)


def test_a_note_is_an_event_and_is_shown_beneath_its_event(app, client, make_connector, events):
    make_connector()
    created = events()[-1]
    response = add_note(client, created["id"], f"  {WHY} \r\n")
    assert (response.status_code, response.location) == (303, f"/events/{created['id']}#notes")
    note = events()[-1]
    assert (note["event_type"], note["title"]) == ("NoteAdded", f"[Note Added] event {created['id']}")
    assert note["metadata"] == {
        "action": "note",
        "event": created["id"],
        "event_id": created["event_id"],
        "text": WHY,
    }
    assert (note["author"], note["status"], note["source"]) == ("system", "added", "painchain")
    with app.app_context():
        assert verification.verify_chain().broken is None
    add_note(client, created["id"], "It was the pool of the replica")
    for address in (ALL, f"/events/{created['id']}", f"/events/{created['id']}/around"):
        row = part_of(client.get(address), "main").select_one(f"#event-{created['id']}")
        assert texts(row, "summary .note-mark") == ["2 notes"]
    for address in (f"/events/{created['id']}", f"/events/{created['id']}/details"):
        row = soup(client.get(address, headers=HTMX if address.endswith("details") else {}))
        assert texts(row, ".notes .note-text") == [" ".join(WHY.split()), "It was the pool of the replica"]
        assert texts(row, ".notes strong") == ["system", "system"]
        assert [str(link["href"]) for link in row.select(".notes a")] == [f"/events/{note['id']}", "/events/4"]


def test_a_note_has_a_row_of_its_own_that_links_to_its_event(client, make_connector, events):
    make_connector()
    number = events()[-1]["id"]
    add_note(client, number, WHY)
    row = part_of(client.get(f"{ALL}&q=pool+full"), "feed").select_one("#feed article")
    assert (row["data-event-type"], " ".join(WHY.split()) in words(row.select_one("summary"))) == ("NoteAdded", True)
    details = soup(client.get(f"/events/{row['data-id']}/details", headers=HTMX))
    [link] = [link for link in details.select(".links a") if words(link) == "Event with this note"]
    assert link["href"] == f"/events/{number}#notes"
    assert part_of(client.get(f"/events/{number}"), "notes").select_one("#notes")
    assert WHY in client.post("/api/export", query_string={"q": "type:NoteAdded"}).get_data(as_text=True).replace(
        "\\n", "\n"
    )


def test_the_row_of_a_note_names_its_event_and_its_connector(client, make_connector, events):
    connector = make_connector(name="Anvil")
    created = events()[-1]
    add_note(client, created["id"], WHY)
    add_note(client, 1, "About PainChain")
    page = part_of(client.get(f"{ALL}&connector={connector}&event_type=NoteAdded"), "feed")
    assert texts(page, "#feed .subject") == ["on “[Connector Created] Anvil”"]
    assert texts(page, "#feed .where") == ["Anvil"]
    for filter_by in (connector, "Anvil"):
        found = events(event_type="NoteAdded", connector=filter_by)
        assert [note["metadata"]["event"] for note in found] == [created["id"]]
    assert [event["event_type"] for event in events(connector=connector)] == ["ConnectorCreated", "NoteAdded"]


def test_a_note_is_no_change_of_the_connector(client, make_connector, events):
    connector = make_connector()
    before = client.get(f"/settings/integrations/{connector}/history")
    add_note(client, events()[-1]["id"], WHY)
    history = part_of(client.get(f"/settings/integrations/{connector}/history"), "feed")
    assert (
        texts(history, "#feed .event-type")
        == texts(part_of(before, "feed"), "#feed .event-type")
        == ["Connector Created"]
    )


def test_a_note_with_a_hidden_field_does_not_name_its_event(client, make_connector, events):
    make_connector()
    add_note(client, events()[-1]["id"], WHY)
    for field in ("connector_name", "event"):
        hide = client.put(f"/api/connectors/1/visibility/NoteAdded/{field}", json={"visible": False})
        assert hide.status_code == 200
        row = part_of(client.get(f"{ALL}&event_type=NoteAdded"), "feed").select_one("#feed summary")
        assert not row.select(".subject")
        assert bool(row.select(".where")) == (field != "connector_name")
        client.put(f"/api/connectors/1/visibility/NoteAdded/{field}", json={"visible": True})


@pytest.mark.parametrize(
    ("note", "problem"),
    [(" \r\n\t ", "Enter a note."), ("", "Enter a note."), ("é" * (MAX_LENGTH + 1), "at most 2,000 characters")],
)
def test_a_blank_or_long_note_is_refused_and_kept_in_the_form(client, events, note, problem):
    before = events()
    response = add_note(client, 1, note)
    page = part_of(response, "add-note")
    assert (response.status_code, page.select_one("#text")["aria-invalid"]) == (422, "true")
    assert problem in words(page.select_one("#error-text"))
    assert form_of(response, "#add-note")["text"].strip() == note.strip()
    refused = client.post("/api/changes/1/notes", json={"text": note})
    assert (refused.status_code, refused.get_json()["errors"][0]["field"]) == (422, "text")
    assert events() == before


def test_credentials_in_a_note_are_masked(client, events):
    add_note(client, 1, "See https://me:made-up@git.example/?token=made-up")
    assert events()[-1]["metadata"]["text"] == "See https://***@git.example/?token=***"
    response = add_note(client, 1, "https://me:made-up@git.example/" * 100)
    assert (response.status_code, "made-up" in response.text) == (422, False)


def test_notes_through_the_api(client, events):
    response = client.post("/api/changes/1/notes", json={"text": WHY})
    note, recorded = response.get_json(), events()[-1]
    assert response.status_code == 201
    assert note == {"id": recorded["id"], "author": "system", "timestamp": recorded["timestamp"], "text": WHY}
    assert client.post(f"/api/changes/{events()[0]['event_id']}/notes", json={"text": "More"}).status_code == 201
    for event in (1, events()[0]["event_id"]):
        first, second = client.get(f"/api/changes/{event}/notes").get_json()
        assert (first, second["text"]) == (note, "More")
    assert client.get(f"/api/changes/{recorded['id']}/notes").get_json() == []
    for body in ({}, {"text": 1}, {"text": "a", "event": 2}):
        assert client.post("/api/changes/1/notes", json=body).status_code == 422
    assert len(events()) == 3


def test_an_event_id_that_ends_like_the_address_of_notes_is_found(app, client):
    event = sample_events.new(9, event_id="github-Commit-acme/notes")
    with app.app_context(), writer.writing() as event_log:
        event_log.append(event)
    assert client.get("/api/changes/github-Commit-acme/notes").get_json()["event_id"] == event.event_id
    assert client.get("/api/changes/github-Commit-acme/notes/notes").get_json() == []
    assert client.get("/api/changes/github-Commit-nothing/notes").status_code == 404


def test_an_unknown_event_takes_no_note(client, events):
    form = form_of(client.get("/events/1"), "#add-note")
    for number in (99, 2**63, 10**30):
        assert client.post(f"/events/{number}/notes", data=fill(form, text=WHY)).status_code == 404
        assert client.post(f"/api/changes/{number}/notes", json={"text": WHY}).status_code == 404
    assert len(events()) == 1


def test_without_auditing_no_note_is_saved(client, events):
    form = form_of(client.get("/events/1"), "#add-note")
    assert client.post("/api/connectors/1/disable").status_code == 200
    refused = client.post("/events/1/notes", data=fill(form, text=WHY))
    assert (refused.status_code, "Auditing is off" in refused.text) == (409, True)
    assert client.post("/api/changes/1/notes", json={"text": WHY}).status_code == 409
    assert "NoteAdded" not in [event["event_type"] for event in events()]


def test_a_viewer_reads_notes_and_has_no_form(app, client):
    add_note(client, 1, WHY)
    add_person(app, "bob", "viewer")
    sign_in(client, "bob")
    page = soup(client.get("/events/1"))
    assert texts(page, ".notes .note-text") == [" ".join(WHY.split())]
    assert not page.select("#add-note")
    assert "Add a note" not in page.get_text()


def test_a_hidden_note_is_hidden_beneath_its_event_too(client, make_connector, events):
    make_connector()
    add_note(client, events()[-1]["id"], WHY)
    hide = {"json": {"visible": False}}
    assert client.put("/api/connectors/1/visibility/NoteAdded/text", **hide).status_code == 200
    page = client.get(f"{ALL}&event_type=NoteAdded&event_type=ConnectorCreated")
    assert texts(part_of(page, "feed"), "#feed .note-mark") == ["1 note"]
    assert (
        "Rolled back"
        not in page.text + client.get("/events/2").text + client.get("/events/2/details", headers=HTMX).text
    )


def test_retention_removes_events_and_leaves_the_notes_on_them(app, client, make_connector, events):
    make_connector()
    number = events()[-1]["id"]
    add_note(client, number, WHY)
    note = events()[-1]["id"]
    add_note(client, note, "A note on a note")
    with app.app_context(), writer.writing() as event_log:
        event_log.remove([number])
    assert client.get(f"/events/{number}").status_code == 404
    row = soup(client.get(f"/events/{note}/details", headers=HTMX))
    assert texts(row, ".notes .note-text") == ["A note on a note"]
    with app.app_context(), writer.writing() as event_log:
        event_log.remove([note + 1])
    with app.app_context():
        assert derived_data.find_problems() == []
        assert verification.verify_chain().broken is None
    assert not soup(client.get(f"/events/{note}/details", headers=HTMX)).select(".notes")


@pytest.mark.both_databases
def test_a_changed_table_of_notes_shows_no_note_on_another_event_and_is_found(app, client, make_connector):
    make_connector()
    add_note(client, 1, WHY)
    with app.app_context():
        db.session.execute(text("UPDATE event_notes SET event = 2"))
        db.session.commit()
        assert derived_data.find_problems() == ["An event is not shown with a note on it, first at event 3."]
    for address in (ALL, "/events/1", "/events/2"):
        assert not soup(client.get(address)).select(".notes, .note-mark")
