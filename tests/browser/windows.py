"""Browser windows that tests use one after another: a new one takes twice the processor time of a page in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page

PATIENCE = 60_000  # milliseconds that an action and an expectation wait; the machine may be slow
# What a window can change, and how every test finds it.
LOOK: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 800},
    "color_scheme": "light",
    "reduced_motion": "no-preference",
    "permissions": [],
}
# What a window keeps for ever, or what only the test that began it can end.
LASTING = ("add_init_script", "expose_binding", "expose_function", "install", "on", "once", "set_offline")
EMPTY_PAGE = b"<!doctype html><html lang=en><title>Nothing</title><link rel=icon href=data:,>"


class Complaints(list[str]):
    """The errors and warnings on the console of pages, violations of the CSP included."""

    def take(self, part: str) -> None:
        """Remove the complaints that contain `part`; assert that there is at least one."""
        remaining = [complaint for complaint in self if part not in complaint]
        assert len(remaining) < len(self), f"no complaint about {part!r} among {list(self)}"
        self[:] = remaining


class Window:
    """A window with one page, and what its pages complain about and ask while a test uses it."""

    def __init__(self, browser: Browser, options: dict[str, Any]):
        """Open it. Options: those of a context of Playwright."""
        self.context = browser.new_context(**LOOK, **options)
        self.context.set_default_timeout(PATIENCE)
        self.complaints, self.dialog_types = Complaints(), list[str]()
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.context.on("console", self._note_message)
        self.context.on("dialog", self._answer)
        self.page = self.context.new_page()
        self._has_scripts = options.get("java_script_enabled", True)

    def _note_message(self, message: ConsoleMessage) -> None:
        """Note an error or a warning on the console."""
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _answer(self, dialog: Dialog) -> None:
        """Note the dialog, and answer as Playwright does for a page without a listener: leave, but confirm nothing."""
        self.dialog_types.append(dialog.type)
        if dialog.type == "beforeunload":
            dialog.accept()
        else:
            dialog.dismiss()

    def refuse_lasting_changes(self) -> None:
        """Let a test fail that would leave something to the next one."""

        def refuse(*values: Any, **named: Any) -> NoReturn:
            raise AssertionError("Other tests use this window too: open one with `own=True`.")

        for changed in (self.page, self.context, self.page.clock):
            for name in LASTING:
                if hasattr(changed, name):
                    setattr(changed, name, refuse)

    def lend(self, complaints: Complaints, dialog_types: list[str], **looks: Any) -> Page:
        """Return the page for a test, with this look and these permissions."""
        self.complaints, self.dialog_types = complaints, dialog_types
        look = {**LOOK, **looks}
        if self.page.viewport_size != look["viewport"]:
            self.page.set_viewport_size(look["viewport"])
        self.page.emulate_media(media="null", color_scheme=look["color_scheme"], reduced_motion=look["reduced_motion"])
        self.context.grant_permissions(look["permissions"])
        return self.page

    def clean(self, empty_page: str) -> None:
        """Forget what a test has left: other pages, cookies, storage, permissions, routes and where the mouse is."""
        if self._has_scripts and self.page.url.startswith("http"):
            self.page.evaluate("localStorage.clear(); sessionStorage.clear()")
        self.complaints, self.dialog_types = Complaints(), []  # leaving a page aborts its requests
        for page in self.context.pages:
            if page is not self.page:
                page.close()
        self.page.unroute_all(behavior="ignoreErrors")
        # This page is of the same site and needs no new process. The page that it follows polls no longer.
        self.page.goto(empty_page)
        self.page.mouse.move(0, 0)
        self.context.clear_cookies()
        self.context.clear_permissions()

    def close(self) -> None:
        """Close it."""
        self.context.close()


class Windows:
    """The open windows that no test uses."""

    def __init__(self, browser: Browser, empty_page: str):
        """Have none at first."""
        self.browser, self._empty_page = browser, empty_page
        self._free: dict[str, list[Window]] = {}

    def take(self, options: dict[str, Any]) -> Window:
        """Return a window with these options, if possible one that a test has used before."""
        free = self._free.setdefault(repr(sorted(options.items())), [])
        if free:
            return free.pop()
        window = Window(self.browser, options)
        window.refuse_lasting_changes()
        return window

    def put_back(self, options: dict[str, Any], window: Window) -> None:
        """Clean a window and keep it for other tests."""
        window.clean(self._empty_page)
        self._free[repr(sorted(options.items()))].append(window)


class _EmptyPage(BaseHTTPRequestHandler):
    """Answer each request with a page that sends no requests."""

    def do_GET(self) -> None:
        """Send the page, which the browser keeps."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(EMPTY_PAGE)))
        self.send_header("Cache-Control", "max-age=86400")
        self.end_headers()
        self.wfile.write(EMPTY_PAGE)

    def log_message(self, *values: object) -> None:
        """Print nothing."""


@contextmanager
def serving_an_empty_page() -> Iterator[str]:
    """Serve a page that sends no requests, and yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()
