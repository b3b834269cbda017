"""A connector is enabled, and disabled after a confirmation."""

from __future__ import annotations

from tests.support.html import form_of, soup, texts
from tests.web.parts import part_of
from tests.web.settings.connector_pages import HTMX, out_of_band, page_of, press, toasts, value_of


def test_a_connector_is_enabled_and_disabled_on_its_page(client, events, make_connector):
    number = make_connector()
    before = len(events())
    for what, pill in (("enable", "Enabled"), ("disable", "Disabled")):
        form = form_of(client.get(page_of(number)), "#connector_header form.switch")
        response = client.post(f"{page_of(number)}/{what}", data=form)
        assert (response.status_code, response.location) == (303, page_of(number))
        page = soup(client.get(response.location))
        assert texts(page, "#connector_header .pill") == [pill]
        assert toasts(page) == [f"“Work GitHub” is {what}d."]
    assert [event["title"] for event in events()[before:]] == [
        "[Connector Enabled] Work GitHub",
        "[Connector Disabled] Work GitHub",
    ]


def test_enabling_on_the_page_returns_out_of_band_fragments_to_htmx(client, make_connector):
    number = make_connector()
    form = form_of(client.get(page_of(number)), "#connector_header form.switch")
    page = soup(client.post(f"{page_of(number)}/enable", data=form, headers=HTMX))
    assert out_of_band(page) == ["connector_header", "version", "toast", "timeline", "feed"]
    assert texts(page, "#connector_header .pill") == ["Enabled"]
    assert value_of(page.select_one("#version").parent, "version") == "2"
    assert texts(page, "#feed .event-type")[0] == "Connector Enabled"


def test_enabling_twice_is_one_event_and_the_second_reports_no_change(client, events, make_connector):
    number = make_connector()
    press(client, number, "enable")
    before = events()
    assert toasts(part_of(press(client, number, "enable", htmx=True), "toast")) == ["“Work GitHub” is already enabled."]
    assert events() == before


def test_disabling_asks_for_confirmation_and_can_be_cancelled(client, make_connector):
    number = make_connector(enabled=True)
    address = f"{page_of(number)}/disable"
    assert "Disable “Work GitHub”?" in texts(part_of(client.get(address), "main"), "h1")
    assert texts(part_of(client.get(page_of(number)), "connector_header"), "#connector_header .pill") == ["Enabled"]
    client.post(address, data=form_of(client.get(address)))
    assert texts(part_of(client.get(page_of(number)), "connector_header"), "#connector_header .pill") == ["Disabled"]
