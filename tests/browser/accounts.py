"""Sign in, in a browser, to a server with accounts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from playwright.sync_api import Page

from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.support.accounts import PASSWORD


@contextmanager
def command_line(tmp_path: Path) -> Iterator[Flask]:
    """Point the command line to the data of `own_server`."""
    app = create_app(settings_for(tmp_path / "instance"))
    yield app
    close(app)


def sign_in(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
