"""The documents agree with the code, their links work, and the introductory ones stay short."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from flask import Flask

from painchain.connectors import ADDABLE
from painchain.core.config import SETTINGS
from painchain.web.help import documents
from tests.project import preset_pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "findings" / "README.md"]
MAX_BYTES = {"README.md": 10_000, "CONTRIBUTING.md": 8_000, "SECURITY.md": 6_000}


def table_rows(document: str, heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading."""
    section = (DOCS / document).read_text(encoding="utf-8").split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")
    ]
    return rows[2:]


def test_every_setting_is_in_the_table_with_its_default_and_help() -> None:
    expected = [
        [f"`{setting.variable}`", f"`{setting.default}`" if setting.default else "–", setting.help]
        for setting in SETTINGS
    ]
    assert table_rows("admin/configuration.md", "Settings") == expected


def test_the_api_table_lists_every_call(app: Flask) -> None:
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", "<>", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/health"))
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    listed = set()
    for call, _ in table_rows("api.md", "Calls"):
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
def test_every_connector_has_a_page_that_names_its_fields_and_events(key: str) -> None:
    page = (DOCS / "connectors" / f"{key}.md").read_text(encoding="utf-8")
    assert f"(docs/connectors/{key}.md)" in README
    for name in (*(field.label for field in ADDABLE[key].fields), *(event.name for event in ADDABLE[key].event_types)):
        assert name in page


def test_every_message_that_a_document_explains_is_one_that_painchain_shows() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "painchain").rglob("*.py"))
    source = re.sub(r'"\s*\n\s*f?"', "", "\n".join(sources))  # joins messages that are split over lines
    table = re.compile(r"\| message contains .*\n\|---\|---\|\n((?:\|.*\n)+)")
    explained = [
        fragment.strip(" ():,")
        for document in DOCS.rglob("*.md")
        for rows in table.findall(document.read_text(encoding="utf-8"))
        for row in rows.splitlines()
        for fragment in re.split(r"…|;|\*|\(\d\w*", row.split("|")[1])
    ]
    assert len(explained) > 60
    assert [fragment for fragment in explained if fragment not in source] == []


def test_the_readme_has_a_picture_of_each_theme() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures == ["docs/dashboard-light.png", "docs/dashboard-dark.png"]
    assert all((ROOT / picture).stat().st_size > 10_000 for picture in pictures)


@pytest.mark.parametrize(("name", "most"), MAX_BYTES.items())
def test_the_first_documents_to_read_are_short(name: str, most: int) -> None:
    assert (ROOT / name).stat().st_size <= most


def test_every_link_between_documents_leads_to_a_file_and_a_heading() -> None:
    assert len(DOCUMENTS) > 30
    broken = []
    for document in DOCUMENTS:
        for token in documents.markdown().parse(document.read_text(encoding="utf-8")):
            for child in token.children or ():
                target = str(child.attrGet("href" if child.type == "link_open" else "src") or "")
                if target and not target.startswith("https://") and not link_exists(document, target):
                    broken.append((str(document.relative_to(ROOT)), target))
    assert broken == []


def link_exists(document: Path, target: str) -> bool:
    """Return whether a relative link leads to a file, and its anchor to a heading of it."""
    path, _, anchor = target.partition("#")
    file = (document.parent / path).resolve() if path else document
    if not file.is_file() or not file.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(file)


def anchors(file: Path) -> set[str]:
    """Return the anchors of a document's headings."""
    tokens = documents.markdown().parse(file.read_text(encoding="utf-8"))
    return {heading.anchor for heading in documents.add_anchors(tokens)}


def test_each_preset_of_webhooks_has_a_page_that_is_made_from_its_file() -> None:
    current = {file.name: file.read_text(encoding="utf-8") for file in preset_pages.PAGES.glob("*.md")}
    assert current == preset_pages.pages(), "run: make preset-pages"


def test_the_index_lists_every_document_once() -> None:
    listed = [name for group in documents.contents() for name, _ in group.documents]
    assert sorted([documents.INDEX, *listed]) == sorted(name for name in documents.names() if name.endswith(".md"))


def test_a_link_to_a_missing_file_or_heading_is_detected() -> None:
    assert link_exists(ROOT / "README.md", "docs/search.md#teams")
    assert not link_exists(ROOT / "README.md", "docs/search.md#nothing")
    assert not link_exists(ROOT / "README.md", "docs/nothing.md")


def test_documents_of_the_help_pages_link_only_to_each_other() -> None:
    leading_out = [
        (name, target)
        for name in documents.names()
        if name.endswith(".md")
        for target in re.findall(r"\]\((\.\./[^)]*)\)", (DOCS / name).read_text(encoding="utf-8"))
        if not (DOCS / name).parent.joinpath(target.partition("#")[0]).resolve().is_relative_to(DOCS)
    ]
    assert leading_out == []


def test_the_picture_and_the_table_of_the_packages_show_what_import_linter_checks() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract.get("containers") == ["painchain"])
    picture = (DOCS / "dev" / "packages.svg").read_text(encoding="utf-8")
    drawn = re.findall(r'<text [^>]*y="(\d+)"[^>]*font-weight="bold"[^>]*>(\w+)</text>', picture)
    rows: dict[int, list[str]] = {}
    for height, package in drawn:
        rows.setdefault(int(height), []).append(package)
    assert [" | ".join(rows[height]) for height in sorted(rows)] == layers
    described = {row[0].strip("`") for row in table_rows("dev/architecture.md", "Packages")}
    packages = {path.parent.name for path in (ROOT / "painchain").glob("*/__init__.py")} - {"bundled"}
    assert described == packages


def test_every_module_that_the_documents_for_developers_name_exists() -> None:
    texts = [(ROOT / "CONTRIBUTING.md"), *(DOCS / "dev").glob("*.md"), *(DOCS / "security").glob("*.md")]
    named = {
        path for text in texts for path in re.findall(r"`([\w./]+\.(?:py|js|json))`", text.read_text(encoding="utf-8"))
    }
    assert len(named) > 10
    roots = (ROOT, ROOT / "painchain")
    assert [path for path in sorted(named) if not any((root / path).is_file() for root in roots)] == []


def test_no_heading_has_an_anchor_that_scripts_or_the_layout_use() -> None:
    sources = [*(ROOT / "static").glob("*.js"), ROOT / "templates" / "layout.html"]
    used = set()
    for source in sources:
        text = source.read_text(encoding="utf-8")
        used |= set(re.findall(r'getElementById\("([\w-]+)"\)|id="([\w-]+)"', text))
        used |= {(name, "") for name in re.findall(r'"#([\w-]+)', text)}
    ids = {name for pair in used for name in pair if name}
    assert {"main", "toast"} <= ids
    assert {
        anchor for name in documents.names() if name.endswith(".md") for anchor in anchors(DOCS / name)
    } & ids == set()
