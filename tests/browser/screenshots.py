"""Make the README's pictures from a day of sample changes: `python -m tests.browser.screenshots`."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.conftest import NO_BROWSER, ROOT, call, executable, launch, serving

PICTURES = ROOT / "docs"
MOST_BYTES = 200_000
DESKTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=844)

Visit = Callable[[Page, str], None]
Scheme = Literal["light", "dark"]

SYSTEM, GITLAB, CLUSTER, GITHUB = (f"/api/connectors/{number}" for number in range(1, 5))
LOG = "/api/painchain/log"


@dataclass(frozen=True)
class Step:
    """A request to the API that happened some minutes ago."""

    minutes_ago: int
    method: str
    path: str
    body: dict[str, Any] = field(default_factory=dict)


def changed_settings(minutes_ago: int, connector: str, **config: Any) -> Step:
    """Return the step that changes some settings."""
    return Step(minutes_ago, "PATCH", connector, {"config": config})


def visibility(minutes_ago: int, connector: str, toggle: str, visible: bool) -> Step:
    """Return the step that shows or hides a field."""
    return Step(minutes_ago, "PUT", f"{connector}/visibility/{toggle}", {"visible": visible})


def new_connector(minutes_ago: int, type: str, name: str, tags: str, **config: Any) -> Step:
    """Return the step that adds a connector."""
    return Step(minutes_ago, "POST", "/api/connectors", {"type": type, "name": name, "tags": tags, "config": config})


HISTORY = (
    new_connector(1405, "gitlab", "Platform GitLab", "platform", base_url="https://gitlab.example", token="made-up"),
    Step(1402, "POST", f"{GITLAB}/enable"),
    new_connector(1330, "kubernetes", "Production cluster", "production", api_server="https://cluster.example:6443"),
    Step(1326, "POST", f"{CLUSTER}/enable"),
    changed_settings(1240, CLUSTER, namespaces=["api", "web"], cluster_name="production"),
    changed_settings(1235, CLUSTER, namespaces=["api", "web", "jobs"]),
    visibility(1100, CLUSTER, "K8sService/cluster_ip", False),
    new_connector(960, "github", "Work GitHub", "work, ci", token="made-up", repos=["acme/api"]),
    Step(958, "POST", f"{GITHUB}/enable"),
    changed_settings(950, GITHUB, branches=["main"]),
    visibility(948, GITHUB, "PullRequest/comments", False),
    Step(905, "PATCH", SYSTEM, {"tags": "system, audit, changes"}),
    changed_settings(720, GITLAB, projects=["platform/deploy", "platform/images"]),
    changed_settings(700, GITLAB, poll_interval=120),
    Step(430, "POST", f"{CLUSTER}/disable"),
    Step(402, "POST", f"{CLUSTER}/enable"),
    changed_settings(398, CLUSTER, poll_interval=60),
    changed_settings(290, GITLAB, token="made-up-too"),
    Step(180, "PATCH", GITHUB, {"tags": "work, ci, ui-team"}),
    visibility(176, GITHUB, "WorkflowRun/trigger", False),
    changed_settings(64, GITLAB, base_url="https://gitlab.platform.example", token="made-up-too"),
    Step(
        33,
        "POST",
        LOG,
        {
            "event_type": "config_changed",
            "connector_name": "Production cluster",
            "connector_type": "kubernetes",
            "field": "verify_ssl",
            "old_value": False,
            "new_value": True,
            "author": "provisioning",
        },
    ),
    changed_settings(21, GITHUB, poll_interval=3600, repos=["acme/api", "acme/web"]),
    Step(9, "POST", f"{GITLAB}/disable"),
)


def send_history(address: str, database: Path) -> None:
    """Send each request of the history, and date its events back."""
    date_back(database, 1410, after=0)
    for step in HISTORY:
        last = call("GET", f"{address}/api/changes?limit=1")[0]["id"]
        call(step.method, address + step.path, **step.body)
        date_back(database, step.minutes_ago, after=last)


def date_back(database: Path, minutes: int, after: int) -> None:
    """Move the events after number `after`, and the change times of their connectors, into the past."""
    past = minutes * 60_000_000
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE change_events SET timestamp = timestamp - :past, recorded_at = recorded_at - :past,"
            " event_id = rtrim(event_id, '.0123456789')"
            " || format('%d.%06d', (timestamp - :past) / 1000000, (timestamp - :past) % 1000000) WHERE id > :after",
            {"past": past, "after": after},
        )
        connection.execute(
            "UPDATE connectors SET updated_at = updated_at - :past WHERE id IN"
            " (SELECT connector_id FROM change_events WHERE id > :after)",
            {"past": past, "after": after},
        )


def dashboard(page: Page, address: str) -> None:
    """Open the dashboard and the change of the specification's example."""
    page.goto(address)
    story = page.locator("article[data-event-type=ConfigChanged]").filter(has_text="300")
    story.first.locator("summary").click()
    expect(story.first.locator("dl.fields")).to_be_visible()


def settings(page: Page, address: str) -> None:
    """Open the connector of that example."""
    page.goto(f"{address}/settings/integrations")
    page.get_by_role("link", name="Work GitHub").click()


def picture(browser: Browser, name: str, visit: Visit, address: str, size: ViewportSize, scheme: Scheme) -> None:
    """Take one picture.

    :raises SystemExit: if the file is too large for the repository.
    """
    context = browser.new_context(viewport=size, color_scheme=scheme, timezone_id="Europe/Berlin")
    page = context.new_page()
    visit(page, address)
    expect(page.locator(".zone")).to_have_text("Europe/Berlin")
    file = PICTURES / f"{name}.png"
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=file)
    context.close()
    if file.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{file.name} has {file.stat().st_size:,} bytes; {MOST_BYTES:,} is the limit.")
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size:,} bytes")  # noqa: T201


def main() -> None:
    """Take every picture."""
    if executable() is None:
        raise SystemExit(NO_BROWSER)
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        instance = Path(folder) / "instance"
        with serving(instance) as address:
            send_history(address, instance / "painchain.db")
            browser = launch(playwright)
            picture(browser, "dashboard-light", dashboard, address, DESKTOP, "light")
            picture(browser, "dashboard-dark", dashboard, address, DESKTOP, "dark")
            picture(browser, "phone", dashboard, address, PHONE, "light")
            picture(browser, "settings", settings, address, DESKTOP, "light")
            browser.close()


if __name__ == "__main__":
    main()
