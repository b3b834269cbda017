"""The README says what is so."""

import re
from pathlib import Path

import pytest
from flask import Flask

from painchain.connectors import ADDABLE
from painchain.core.config import SETTINGS

README = Path("README.md").read_text(encoding="utf-8")


def table_rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading."""
    section = README.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")
    ]
    return rows[2:]


def test_every_setting_is_in_the_table_with_its_default_and_help():
    expected = [
        [f"`{setting.variable}`", f"`{setting.default}`" if setting.default else "–", setting.help]
        for setting in SETTINGS
    ]
    assert table_rows("Settings from the environment") == expected


def test_the_api_table_lists_every_call(app: Flask):
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", "<>", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/health"))
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    listed = set()
    for call, _ in table_rows("The JSON API"):
        words = re.findall(r"GET|POST|PATCH|PUT|DELETE|/[\w/<>-]+|…/\w+", call)
        pending, path = [], ""
        for word in words:
            if word.startswith("…"):
                path = path.rsplit("/", 1)[0] + word[1:]
                listed.add(("POST", path))
            elif word.startswith("/"):
                path = re.sub(r"<\w+>", "<>", word)
                listed |= {(method, path) for method in pending}
                pending = []
            else:
                pending.append(word)
    assert listed == routes


@pytest.mark.parametrize("key", ADDABLE)
def test_every_connector_has_a_page_that_names_its_fields_and_events(key: str):
    address = f"docs/connectors/{key}.md"
    page = Path(address).read_text(encoding="utf-8")
    assert f"({address})" in README
    for name in (*(field.label for field in ADDABLE[key].fields), *(one.name for one in ADDABLE[key].event_types)):
        assert name in page


def test_the_pictures_are_there():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) == 2
    assert all(Path(picture).stat().st_size > 10_000 for picture in pictures)
