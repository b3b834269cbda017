"""Messages arrive whole: each service takes all of them, and a lost one stays visible until a person has seen it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.audit import event_kinds
from painchain.audit.records import Subject
from painchain.audit.trail import Trail
from painchain.eventlog import outbox, writer
from painchain.eventlog.outbox import QueuedNotice
from painchain.notifications import delivery, messages
from painchain.workers.notifications import NotificationWorker
from tests.support.html import form_of, soup, words
from tests.support.message_services import NAMES, MessageServices, message_services

PAGE = "/settings/notifications"
BY = "\nby system, 2026-01-01 00:00:00 UTC"


@pytest.fixture
def services() -> Iterator[MessageServices]:
    with message_services() as services:
        yield services


def add_rule(client: FlaskClient, name: str, url: str) -> int:
    response = client.post("/api/notify-rules", json={"name": name, "url": url, "kinds": ["connector_failing"]})
    assert response.status_code == 201, response.text
    return int(response.get_json()["id"])


def fail(app: Flask, names: list[str], why: str = "The source rejected the token. " + "Renew it. " * 6) -> None:
    """Record in one transaction that connectors fail."""
    now = datetime.now(UTC)
    with app.app_context(), writer.writing() as event_log:
        trail = Trail(event_log, "system", writer.new_request_id(now), now)
        for name in names:
            trail.log(event_kinds.connector_failing(Subject(name, "github"), why))


def run_worker(app: Flask, **after: int) -> None:
    now = datetime.now(UTC) + timedelta(seconds=1, **after)
    NotificationWorker(app, lambda: now).run_once()


@pytest.mark.both_databases
def test_a_burst_arrives_whole_at_every_service(app: Flask, client: FlaskClient, services: MessageServices) -> None:
    names = [f"R&D <prod> “{number:02}” ü" for number in range(20)]
    for service in NAMES:
        add_rule(client, service, services.urls[service])
    fail(app, names)
    run_worker(app)
    assert services.refusals == []
    for service in NAMES:
        texts = services.taken[service]
        told = [name for text in texts for name in re.findall(r"R&D <prod> “\d\d” ü", text)]
        assert told == names, service
        assert [line for text in texts for line in text.splitlines() if line.startswith("by system, ")], service
        counts = [re.match(r"PainChain: (\d+) events \((\d)/(\d)\)$", text.splitlines()[0]) for text in texts]
        assert all(counts), (service, texts[0])
        assert sum(int(count[1]) for count in counts if count) == 20
        assert len({(count[2], count[3]) for count in counts if count}) == len(texts) > 1


def test_a_name_in_a_message_mentions_nobody(app: Flask, client: FlaskClient, services: MessageServices) -> None:
    names = [
        "@everyone",
        "to @here",
        "<!channel>",
        "<@42>",
        "<@&42>",
        "@all @Channel",
        "@**all**",
        "<users/all>",
        "of @alice_b",
    ]
    urls = {**services.urls, "discord": f"{services.urls['discord']}?ping=@here"}
    for service in NAMES:
        rule = add_rule(client, f"On call @everyone {service}", urls[service])
        assert client.post(f"/api/notify-rules/{rule}/test").get_json()["error"] is None
    fail(app, names, "No answer.")
    run_worker(app)
    assert services.refusals == []
    for service in NAMES:
        text = "\n".join(services.taken[service])
        mentions = re.findall(r"@(?:everyone|here|all|channel|alice|\*|&?\d)|<users/", text, re.IGNORECASE)
        # The rule of Discord itself asks for a mention, which ends each of its messages.
        assert mentions == (["@here"] * len(services.taken[service]) if service == "discord" else []), service
        readable = text.replace("\u200b", "")
        assert all(f"“{name}” is failing" in readable for name in names), service


def test_a_message_that_was_given_up_is_shown_until_a_person_has_seen_it(
    app: Flask, client: FlaskClient, services: MessageServices, caplog: pytest.LogCaptureFixture
) -> None:
    rule = f"{PAGE}/{add_rule(client, 'Chat', services.urls['discord'])}"
    services.down.add("discord")
    fail(app, ["First"])
    run_worker(app)
    services.down.clear()
    fail(app, ["Second"])
    run_worker(app)
    assert len(services.taken["discord"]) == 1, "Second does not wait for First"
    problem = words(soup(client.get(rule)).select_one(".problem"))
    assert problem.startswith("A message failed ")
    assert "The service rejected the message (status 400)." in problem
    services.down.add("discord")
    for day in range(1, outbox.MAX_TRIES):
        if day == outbox.MAX_TRIES - 1:
            fail(app, ["Third"])
        run_worker(app, days=day)
    [lost] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "“PainChain: Connector Failing: First”" in lost.getMessage()
    services.down.clear()
    run_worker(app, days=20)
    assert "Third" in services.taken["discord"][-1], "it does not share the last try of First"
    for address in (rule, PAGE):
        page = client.get(address)
        assert "1 message was dropped." in words(soup(page).select_one(".problem")), "a success does not hide it"
    form = form_of(client.get(rule), ".seen")
    for shown in ("2", "", "x", str(10**40)):
        client.post(f"{rule}/seen", data={**form, "lost": shown})
        assert soup(client.get(rule)).select(".problem")
    assert client.post(f"{rule}/seen", data=form).status_code == 303
    assert not soup(client.get(rule)).select(".problem, .seen")


def test_messages_fit_into_the_limits_of_every_kind_of_service() -> None:
    short = [QueuedNotice(number, f"PainChain: {number}", f"“{number}” failed{BY}") for number in range(20)]
    long = [QueuedNotice(1, f"PainChain: Connector Failing: {'<ü>' * 20}", "R&D <prod> failed. " * 55 + BY)]
    urls = {
        67: "aprs://DF1JSL-15:12345@DF1JSL",
        160: "d7sms://token@15551231234",
        2_000: "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        3_000: "json://host.example",
        4_096: "tgram://123456789:abcdefg_hijklmnop/12315544",
        10_000: "zulip://bot@org/a34b2c4d5e6f7a8b9c0d1e2f3a4b5c6d/stream",
    }
    for largest, url in urls.items():
        limits = delivery.limits(url)
        for notices in (short, long, long * 20):
            composed = messages.compose(notices, limits)
            assert [number for message in composed for number in message.notices] == [notice.id for notice in notices]
            for message in composed:
                assert limits.fits(message.title, message.text), (url, message)
                assert len(message.text.encode()) <= largest
                whole = all(notice.text in message.text for notice in notices if notice.id in message.notices)
                assert whole or messages.SHORTENED in message.text
                assert len(message.title) <= 60 or "zulip" not in url
    texts = [message.text for message in messages.compose(long, delivery.limits(urls[160]))]
    assert texts[0].startswith("R&D <prod> failed.")
