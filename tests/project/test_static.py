"""All static files are vendored and unchanged, and no page fetches anything from another host."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from painchain.connectors import TYPES

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "static"
VENDOR = STATIC / "vendor"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SHEETS = [path for path in sorted(STATIC.rglob("*")) if path.suffix in (".css", ".js", ".svg")]

# XML namespaces look like addresses, but nothing is fetched from them.
VOCABULARIES = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink", "http://www.w3.org/1999/xhtml")
# A host after "//": in an address, an import or a CSS url(). A comment's "//" is followed by a space.
ELSEWHERE = re.compile(r"(?:\bhttps?:|[\"'(=\s])//[\w\[{$][^\s\"'`)>]*", re.IGNORECASE)


def checksums() -> dict[str, str]:
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def test_every_third_party_file_is_listed_with_its_checksum():
    files = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    assert files - {"README.md", "SHA256SUMS"} == set(checksums())


@pytest.mark.parametrize("name", checksums())
def test_every_third_party_file_matches_its_checksum(name):
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == checksums()[name]


def test_every_third_party_file_is_listed_with_origin_version_and_licence():
    rows = re.findall(r"^\| (\S+) \| .*\d+\.\d+\.\d+.* \| .+ \|$", (VENDOR / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(checksums())


def test_nothing_refers_to_another_host():
    for path in (*TEMPLATES, *SHEETS):
        text = path.read_text(encoding="utf-8")
        for vocabulary in VOCABULARIES:
            text = text.replace(vocabulary, "")
        assert ELSEWHERE.findall(text) == [], path


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example/x.js">',
        '<link href="//cdn.example/x.css">',
        "url(//fonts.example/x.woff2)",
        "url('https://fonts.example/x.woff2')",
        "import x from '//cdn.example/x.js'",
        "fetch(`https://api.example`)",
    ],
)
def test_a_reference_to_another_host_is_detected(text):
    assert ELSEWHERE.search(text)


def test_the_style_sheet_imports_no_other():
    assert "@import" not in (STATIC / "painchain.css").read_text()


def test_every_static_file_used_by_a_template_exists():
    named = {name for path in TEMPLATES for name in re.findall(r"static\([\"']([^\"']+)", path.read_text())}
    assert {"painchain.css", "painchain.js", "vendor/htmx.min.js"} <= named
    assert [name for name in sorted(named) if not (STATIC / name).is_file()] == []


def test_every_used_icon_is_in_the_sprite():
    sprite = ElementTree.parse(VENDOR / "icons.svg").getroot()
    icon_ids = {element.get("id") for element in sprite.iter() if element.get("id")}
    named = {name for path in TEMPLATES for name in re.findall(r"\bicon\([\"']([^\"']+)[\"']\)", path.read_text())}
    named |= {kind.icon for kind in TYPES.values()} | {
        event_type.icon for kind in TYPES.values() for event_type in kind.event_types
    }
    assert "github" in named
    assert sorted(named - icon_ids) == []


def test_every_source_has_its_own_colour_in_the_style_sheet():
    colours = [kind.colour for kind in TYPES.values()]
    assert len(set(colours)) == len(colours)
    sheet = (STATIC / "painchain.css").read_text()
    for colour in (*colours, "grey"):
        assert re.search(rf"\.{colour}\b", sheet), colour
