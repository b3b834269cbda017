"""Fixtures with a real Chromium and real servers: one browser for the session, a clean window for every test."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.browser.windows import LOOK, PATIENCE, Complaints, Window, Windows, serving_an_empty_page
from tests.support.server_process import ServerProcess

ROOT = Path(__file__).parent.parent.parent
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
BROWSERS = ("chromium-headless-shell", "chromium")  # the first takes less than half the processor time
NO_BROWSER = f"no Chromium found: install Debian's {BROWSERS[0]}, or name another one in PAINCHAIN_TEST_BROWSER"
OpenPage = Callable[..., Page]
FAILED = pytest.StashKey[bool]()
expect.set_options(timeout=PATIENCE)


def executable() -> str | None:
    """Return the path of the browser to drive, or None if none is installed."""
    named = os.environ.get("PAINCHAIN_TEST_BROWSER", "")
    return next((path for name in ((named,) if named else BROWSERS) if (path := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    """Start the browser."""
    return playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))


@contextmanager
def serving(instance: Path, port: str = "0", **more: str) -> Iterator[str]:
    """Run a server process as `make run` does, and yield its address, or its setup link if it prints one."""
    environment_without_settings = {
        name: value for name, value in os.environ.items() if not name.startswith("PAINCHAIN_")
    }
    own = {"PORT": port, "INSTANCE": str(instance), "ALLOW_PRIVATE_ADDRESSES": "yes"}
    settings = {**own, **{name.upper(): value for name, value in more.items()}}
    environ = {**environment_without_settings, **{f"PAINCHAIN_{name}": value for name, value in settings.items()}}
    out = instance.with_suffix(".out")
    out.unlink(missing_ok=True)
    process = ServerProcess(environ, out, instance.with_suffix(".log"))
    try:
        line = process.printed(2 if "host" in more else 1)[-1]
        address = re.search(r"http://\S+", line)
        assert address, line
        yield address[0]
    finally:
        process.terminate()
        process.wait()


def make_demo(instance: Path, events: int, days: int) -> None:
    """Fill a new instance with demo data."""
    environment = {**os.environ, "PAINCHAIN_INSTANCE": str(instance)}
    out, err = instance.with_suffix(".demo"), instance.with_suffix(".demo-errors")
    process = ServerProcess(environment, out, err, "demo", "--events", str(events), "--days", str(days))
    assert process.wait() == 0, err.read_text()


def call(method: str, address: str, **body: Any) -> Any:
    """Send JSON to the API as a script does, and return the response."""
    headers = {"Content-Type": "application/json", "If-Match": "*"}
    request = Request(address, json.dumps(body).encode() if body else None, headers, method=method)
    with urlopen(request, timeout=PATIENCE / 1000) as response:
        return json.loads(response.read() or "null")


@dataclass(frozen=True)
class AddedConnector:
    """A connector that a test has added."""

    id: int
    name: str
    page: str
    api: str
    feed: str

    def change(self, **config: Any) -> None:
        """Change some settings of the connector through the API, like another person."""
        call("PATCH", self.api, config=config)


CLOSED_PORT = "http://127.0.0.1:9"


def add(server: str, type: str = "github", name: str = "", **more: Any) -> AddedConnector:
    """Add a connector whose name no other test has."""
    name = name or f"Work {type.title()} {secrets.token_hex(3)}"
    # No test may send requests to a source outside the tests.
    unreachable = {"api_server": CLOSED_PORT} if type == "kubernetes" else {"base_url": CLOSED_PORT, "token": "made-up"}
    config = {**unreachable, **more.pop("config", {})}
    number = call("POST", f"{server}/api/connectors", type=type, name=name, config=config, **more)["id"]
    settings = f"{server}/settings/integrations/{number}"
    return AddedConnector(number, name, settings, f"{server}/api/connectors/{number}", f"{server}/?connector={number}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser. Without one the tests are skipped, or fail if PAINCHAIN_TEST_REQUIRE contains `browser`."""
    if executable() is None:
        required = "browser" in os.environ.get("PAINCHAIN_TEST_REQUIRE", "").split()
        (pytest.fail if required else pytest.skip)(NO_BROWSER)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(
    instance_of_today: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> Iterator[str]:
    """The address of a server that the tests of a module share. Each test uses its own connectors.

    With the connectors of all tests, its pages would take several times as long.
    """
    instance = tmp_path_factory.mktemp("shared") / "instance"
    shutil.copytree(instance_of_today(), instance)  # a first start takes three times as long
    with serving(instance) as address:
        yield address


@pytest.fixture(scope="session")
def demo_server(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[str]:
    """The address of a server with a week of demo data, in which one connector fails. Tests only read it."""
    instance = tmp_path_factory.mktemp("demo") / "instance"
    make_demo(instance, events=1_500, days=7)
    with serving(instance) as address:
        yield address


@pytest.fixture
def own_server(instance_of_today: Callable[[], Path], tmp_path: Path, browser: Browser) -> Iterator[str]:
    """The address of a server that no other test uses."""
    shutil.copytree(instance_of_today(), tmp_path / "instance")
    with serving(tmp_path / "instance") as address:
        yield address


@pytest.fixture(scope="session")
def empty_page(browser: Browser) -> Iterator[str]:
    """The address of a page that sends no requests. Go there before a server stops whose page polls."""
    with serving_an_empty_page() as address:
        yield address


@pytest.fixture(scope="session")
def windows(browser: Browser, empty_page: str) -> Windows:
    """The open windows that no test uses."""
    return Windows(browser, empty_page)


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """The complaints of all pages. The test fails if any remain that it did not take."""
    complaints = Complaints()
    yield complaints
    assert not complaints


@pytest.fixture
def dialog_types() -> list[str]:
    """The types of the dialogs that pages have opened. One that asks before leaving is accepted."""
    return []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note that a test has failed."""
    report = yield
    item.stash[FAILED] = report.failed or item.stash.get(FAILED, False)
    return report


@pytest.fixture
def open_page(
    windows: Windows, complaints: Complaints, dialog_types: list[str], request: pytest.FixtureRequest
) -> Iterator[OpenPage]:
    """Open a browser window without cookies. Options: those of a context of Playwright.

    With `own=True`, it is a new one, in which a test can listen, set the clock and add scripts. Otherwise, it may be
    one that tests have used before: most of the time of a new one goes into its new process.
    """
    if "own_server" in request.fixturenames:
        request.getfixturevalue("own_server")  # leaves the pages, which poll the server, before it stops
    lent: list[tuple[Window, dict[str, Any] | None]] = []

    def make(own: bool = False, **options: Any) -> Page:
        look = {name: options.pop(name) for name in LOOK if name in options}
        options = {"timezone_id": "UTC", "java_script_enabled": True, **options}
        window = Window(windows.browser, options) if own else windows.take(options)
        lent.append((window, None if own else options))
        return window.lend(complaints, dialog_types, **look)

    yield make
    for window, options in lent:
        if options is None or request.node.stash.get(FAILED, False):
            window.close()
        else:
            windows.put_back(options, window)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page in a window without cookies."""
    return open_page()


@pytest.fixture
def plain_page(open_page: OpenPage) -> Page:
    """A page in a browser without JavaScript."""
    return open_page(java_script_enabled=False)
