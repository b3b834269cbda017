"""Make the README's pictures from sample events: `python -m tests.browser.screenshots`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from click.testing import CliRunner
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from painchain.cli.main import main as painchain
from tests.browser.conftest import NO_BROWSER, ROOT, call, executable, launch, serving

PICTURES = ROOT / "docs"
MAX_BYTES = 200_000
DESKTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=844)

Visit = Callable[[Page, str], None]
Scheme = Literal["light", "dark"]


def change_settings(address: str) -> None:
    """Change settings of a connector, as in the specification's example."""
    [github] = [row for row in call("GET", f"{address}/api/connectors") if row["name"] == "Demo GitHub"]
    connector = f"{address}/api/connectors/{github['id']}"
    call("PATCH", connector, config={"poll_interval": 300})
    call("PATCH", connector, config={"poll_interval": 3600, "repos": ["demo/api", "demo/web"]})


def dashboard(page: Page, address: str) -> None:
    """Open the dashboard and the change of the specification's example."""
    page.goto(address)
    change = page.locator("article[data-event-type=ConfigChanged]").filter(has_text="3600")
    page.locator("article").filter(has=change).first.locator("summary").first.click()
    change.first.locator("summary").click()
    expect(change.first.locator("dl.fields")).to_be_visible()


def settings(page: Page, address: str) -> None:
    """Open the connector of that example."""
    page.goto(f"{address}/settings/integrations")
    page.get_by_role("link", name="Demo GitHub", exact=True).click()


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
    if file.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{file.name} has {file.stat().st_size:,} bytes; {MAX_BYTES:,} is the limit.")
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size:,} bytes")  # noqa: T201


def main() -> None:
    """Take every picture."""
    if executable() is None:
        raise SystemExit(NO_BROWSER)
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        instance = Path(folder) / "instance"
        sample = CliRunner().invoke(painchain, ["demo", "--days", "14"], env={"PAINCHAIN_INSTANCE": str(instance)})
        assert sample.exit_code == 0, sample.output
        browser = launch(playwright)
        with serving(instance) as address:
            change_settings(address)
            picture(browser, "dashboard-light", dashboard, address, DESKTOP, "light")
            picture(browser, "dashboard-dark", dashboard, address, DESKTOP, "dark")
            picture(browser, "phone", dashboard, address, PHONE, "light")
            picture(browser, "settings", settings, address, DESKTOP, "light")
        browser.close()


if __name__ == "__main__":
    main()
