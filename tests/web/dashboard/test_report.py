"""The report as a page and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.html import form_of, soup, texts, words
from tests.web.dashboard.reports import edit, log
from tests.web.parts import part_of


def download_csv(client: FlaskClient, month: str = "") -> TestResponse:
    """Send the form of the button "CSV" for a month, even if the page of that month has no button."""
    form = form_of(client.get("/report"), "#csv")
    return client.post("/report.csv", data={**form, "month": month})


def table(client: FlaskClient, month: str = "") -> list[list[str]]:
    response = download_csv(client, month)
    assert response.status_code == 200
    return list(csv.reader(io.StringIO(response.data.decode("utf-8-sig"), newline=""), strict=True))


def this_month() -> str:
    return f"{datetime.now(UTC):%Y-%m}"


def test_the_report_of_this_month_lists_the_changes(client, make_connector):
    number = make_connector(name="Work GitHub")
    edit(client, number, poll_interval="3600")
    page = part_of(client.get("/report"), "main")
    assert words(page.select_one("h1")) == f"{datetime.now(UTC):%B %Y} so far"
    assert texts(page, ".totals > div") == [
        "Additions 2",
        "Removals 0",
        "Setting changes 1",
        "Visibility changes 0",
        "Enabled or disabled 0",
    ]
    assert texts(page, "[data-table=drift] tbody tr") == ["Work GitHub added this month", "Poll interval 300 → 3600 1"]
    assert texts(page, "[aria-labelledby=by-connector] tbody th") == ["Work GitHub", "PainChain System"]
    assert texts(page, ".bar-name") == ["system"]


def test_every_figure_links_to_its_events(client, make_connector, events):
    edit(client, make_connector(), poll_interval="3600")
    page = part_of(client.get("/report"), "main")
    links = {words(link): link["href"] for link in page.select("main section a[href^='/?']")}
    assert {"Work GitHub", "system", "Config Changed"} <= set(links)
    assert texts(part_of(client.get(links["Config Changed"]), "feed"), "#feed .event-type") == ["Config Changed"]
    assert len(texts(part_of(client.get(links["Work GitHub"]), "feed"), "#feed article")) == 3
    assert len(texts(part_of(client.get(links["system"]), "feed"), "#feed article")) == len(events())


def test_a_bar_of_the_chart_links_to_its_day(client, events):
    client.set_cookie("zone", "Europe/Berlin")
    started = datetime.fromisoformat(events()[0]["timestamp"]).astimezone(ZoneInfo("Europe/Berlin"))
    bars = part_of(client.get(f"/report?month={started:%Y-%m}"), "main").select(".chart a[aria-label]")
    assert len(bars) == 1
    assert bars[0]["aria-label"].endswith(": 1 configuration change")
    assert len(texts(part_of(client.get(bars[0]["href"]), "feed"), "#feed article")) == 1


def test_the_previous_and_next_month_are_linked(client):
    page = part_of(client.get("/report?month=2026-01"), "main")
    assert texts(page, ".months a") == ["December 2025", "February 2026"]
    assert [link["href"] for link in page.select(".months a")] == ["/report?month=2025-12", "/report?month=2026-02"]
    assert form_of(client.get("/report?month=2026-01"), "form.months") == {"month": "2026-01"}


def test_an_empty_month_has_a_message(client):
    page = soup(client.get("/report?month=2020-01"))
    assert "No configuration changes in January 2020 The audit log starts on" in words(page.select_one(".nothing"))
    assert not page.select("table, .chart, button[form=csv]")


def test_the_report_of_the_first_month_shows_when_the_log_begins(client):
    assert "The audit log starts on" in words(part_of(client.get("/report"), "main").select_one("main"))


def test_a_future_month_has_a_message(client):
    nothing = part_of(client.get("/report?month=2222-01"), "main").select_one("main .nothing")
    assert words(nothing).startswith("January 2222 has not started yet")


INVALID = ["nonsense", "2026-13", "0001-01", "2026-01-01", "9999-12"]


def test_an_invalid_month_is_refused_with_a_message(client, subtests):
    for month in INVALID:
        with subtests.test(month):
            response = client.get("/report", query_string={"month": month})
            assert response.status_code == 422
            assert "month" in words(part_of(response, "main").select_one("[role=alert]"))
            assert download_csv(client, month).status_code == 422


def test_events_reported_by_scripts_are_marked(client):
    log(client, event_type="config_changed", connector_name="Deploy", field="replicas", old_value=2, new_value=3)
    page = part_of(client.get("/report"), "main")
    assert texts(page, "[data-table=drift] tbody tr") == ["Deploy", "Replicas by script 2 → 3 1"]
    assert "1 of 2 events was reported by scripts" in words(page.select_one("main"))


def test_a_toggle_reported_without_a_connector_has_its_own_row(client):
    log(
        client, event_type="field_visibility_changed", connector_type="PullRequest", field_key="branches", visible=False
    )
    page = part_of(client.get("/report"), "main")
    assert texts(page, "[data-table=drift] tbody tr") == [
        "no connector",
        "Branches of PullRequest by script shown → hidden 1",
    ]
    assert ["connector", "no connector", "Visibility changes", "", "", "1"] in table(client)


def test_the_page_of_a_reported_event_marks_it_as_reported(client, events):
    log(client, event_type="config_changed", connector_name="Deploy", field="replicas", old_value=2, new_value=3)
    meta_lines = [
        words(part_of(client.get(f"/events/{event['id']}"), "main").select_one("main .meta")) for event in events()
    ]
    assert ["reported by a script" in meta_line for meta_line in meta_lines] == [False, True]


def test_a_gap_is_shown(client):
    for act in ("disable", "enable"):
        assert client.post(f"/api/connectors/1/{act}").status_code == 200
    assert words(part_of(client.get("/report"), "main").select_one(".unrecorded")).startswith(
        "Auditing was off. Changes made during these times were not recorded"
    )


def test_the_csv_has_the_same_figures_and_a_name(client, make_connector):
    edit(client, make_connector(name="Work GitHub"), poll_interval="3600")
    button = part_of(client.get("/report"), "main").select_one("button[form=csv]")
    response = download_csv(client, str(button["value"]))
    assert response.mimetype == "text/csv"
    assert response.headers["Content-Disposition"] == f'attachment; filename="painchain-report-{this_month()}.csv"'
    assert response.data.count(b"\r\n") == response.data.count(b"\n")
    rows = table(client)
    assert rows[0] == ["section", "name", "field", "start", "end", "number"]
    assert ["total", "Additions", "", "", "", "2"] in rows
    assert ["drift", "Work GitHub", "Poll interval", "300", "3600", "1"] in rows


def test_the_csv_begins_with_a_byte_order_mark_that_can_be_left_out(client, make_connector):
    make_connector(name="Größe")
    page = part_of(client.get("/report"), "main")
    box = page.select_one("input[type=checkbox][form=csv]")
    form = form_of(client.get("/report"), "#csv")
    with_mark, without = (client.post("/report.csv", data={**form, **more}).data for more in ({}, {box["name"]: "y"}))
    assert not box.has_attr("checked")
    assert with_mark.startswith(b"\xef\xbb\xbfsection,name,")
    assert "Größe" in with_mark.decode()
    assert without.startswith(b"section,name,")


def test_the_csv_is_audited_and_refused_without_auditing(client, events):
    download_csv(client, this_month())
    [exported] = events(event_type="EventsExported")
    assert exported["metadata"]["format"] == "report (CSV)"
    assert exported["metadata"]["filter"] == {"month": this_month()}
    client.post("/api/connectors/1/disable")
    assert not soup(client.get("/report")).select("button[form=csv]")
    assert download_csv(client, this_month()).status_code == 409


@pytest.mark.parametrize("evil", ["=HYPERLINK(1)", "+1", "-1", "@sum"])
def test_no_csv_cell_is_a_formula(client, evil):
    about = {"connector_name": evil, "field": evil, "old_value": evil, "new_value": f"{evil}2", "author": evil}
    log(client, event_type="config_changed", **about)
    cells = [cell for row in table(client) for cell in row]
    assert f"'{evil}" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_every_page_links_to_the_report(client, make_connector):
    for address in ("/", f"/settings/integrations/{make_connector()}"):
        assert "/report" in [link["href"] for link in soup(client.get(address)).select("header a")]
    assert "/report" in [
        link["href"] for link in part_of(client.get("/settings/integrations"), "main").select(".sidebar a")
    ]


def test_reported_text_is_escaped(client):
    evil = "<script>alert(1)</script>\u202e"
    about = {"connector_name": evil, "field": evil, "old_value": evil, "new_value": "b", "author": evil}
    log(client, event_type="config_changed", **about)
    html = client.get("/report").get_data(as_text=True)
    assert "<script>alert" not in html
    assert "\u202e" not in words(part_of(client.get("/report"), "main").select_one("[data-table=drift]"))


def test_a_long_table_is_cut_on_the_page_but_complete_in_the_csv(client):
    for part in range(2):
        changes = {f"field {part}-{number}": {"old": 1, "new": 2} for number in range(150)}
        log(client, event_type="connector_updated", connector_name="Far", connector_type="github", changes=changes)
    page = part_of(client.get("/report"), "main")
    assert len(page.select("[data-table=drift] tr:not(.of) th[scope=row]")) == 200
    assert "and 100 more. Download the CSV to see all." in words(page.select_one("[aria-labelledby=drift]"))
    assert len([row for row in table(client) if row[0] == "drift"]) == 300
