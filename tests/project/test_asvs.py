"""docs/security/asvs.md answers every requirement of three chapters of ASVS 5.0.0, and names existing tests."""

from __future__ import annotations

import re
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from tests.support.accounts import add_person, sign_in
from tests.support.html import soup

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security" / "asvs.md").read_text(encoding="utf-8")
# The number of requirements of each section in the published standard.
SECTIONS = {
    **{"3.1": 1, "3.2": 3, "3.3": 5, "3.4": 8, "3.5": 8, "3.6": 1, "3.7": 5},
    **{"7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2},
    **{"16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 4},
}
ANSWERS = ("met", "met in part", "not met", "not applicable")
SCRIPTS = list((ROOT / "static").glob("*.js"))


def rows() -> list[list[str]]:
    """Return the cells of each requirement."""
    lines = [line for line in TEXT.splitlines() if re.match(r"\| \d+\.\d+\.\d+ \|", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_requirement_of_the_three_chapters_has_one_answer() -> None:
    expected = {f"{section}.{number}" for section, most in SECTIONS.items() for number in range(1, most + 1)}
    numbers = [row[0] for row in rows()]
    assert len(numbers) == len(set(numbers)) == len(expected)
    assert set(numbers) == expected
    for row in rows():
        assert len(row) == 6, row
        assert row[1] in "123"
        assert row[3] in ANSWERS
        assert all(row), row
        assert row[5] != "–" or row[3] in ("not met", "not applicable"), row


def test_every_named_test_exists() -> None:
    named = [reference for row in rows() for reference in re.findall(r"`(tests/[^`]+)`", row[5])]
    assert len(named) > 60
    missing = []
    for reference in named:
        file, _, name = reference.partition("::")
        if not (ROOT / file).exists() or f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8"):
            missing.append(reference)
    assert missing == []


def test_the_inventory_of_logs_is_complete() -> None:
    inventory = TEXT.partition("## What is recorded where")[2].partition("\n## ")[0]
    for destination in ("the database", "standard error", "notification rules", "checkpoints"):
        assert destination in inventory


def test_the_document_lists_the_required_browser_features() -> None:
    section = TEXT.partition("## What the browser must support")[2]
    policies = ("Content-Security-Policy", "Strict-Transport-Security", "Cross-Origin")
    for feature in ("__Host-", "SameSite", *policies, "host name of its own"):
        assert feature in section


def test_a_session_token_has_the_required_entropy(app: Flask) -> None:
    add_person(app)
    tokens = set()
    for _ in range(3):
        client = app.test_client()
        sign_in(client)
        cookie = client.get_cookie("painchain_session")
        assert cookie is not None
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", cookie.value)  # 32 bytes in base64
        tokens.add(cookie.value)
    assert len(tokens) == 3


def test_every_page_has_a_sign_out_button(app: Flask, client: FlaskClient) -> None:
    add_person(app)
    sign_in(client)
    for page in ("/", "/report", "/as-of", "/settings/integrations", "/settings/people", "/account", "/nowhere"):
        assert soup(client.get(page)).select_one("header form[action='/sign-out'] button"), page


def test_a_browser_that_is_too_old_is_warned_before_signing_in(app: Flask, client: FlaskClient) -> None:
    add_person(app)
    warning = soup(client.get("/sign-in")).select_one("main .too-old")
    assert warning is not None
    assert "This browser predates 2022" in warning.get_text()
    styles = (ROOT / "static" / "painchain.css").read_text(encoding="utf-8")
    assert re.findall(r".*\.too-old.*", styles) == ["@supports (accent-color: auto) { .too-old { display: none; } }"]


def test_no_cookie_is_larger_than_a_browser_keeps(app: Flask, client: FlaskClient) -> None:
    add_person(app)
    cookies = client.get(f"/sign-in?next=/{'a' * 9_000}").headers.getlist("Set-Cookie")
    cookies += sign_in(client).headers.getlist("Set-Cookie")
    form = soup(client.get("/settings/teams/new")).select_one("#team-form [name=csrf_token]")
    assert form is not None
    values = {"csrf_token": str(form["value"]), "name": "é" * 100, "tags": "é" * 50}
    cookies += client.post("/settings/teams/new", data=values).headers.getlist("Set-Cookie")
    assert len(cookies) > 3
    assert max(len(cooky.partition(";")[0]) for cooky in cookies) < 4096


def test_no_own_script_turns_text_into_markup() -> None:
    assert len(SCRIPTS) >= 3
    for file in SCRIPTS:
        text = file.read_text(encoding="utf-8")
        for dangerous in ("innerHTML", "outerHTML =", "insertAdjacentHTML", "document.write", "eval(", "postMessage"):
            assert dangerous not in text, (file.name, dangerous)
