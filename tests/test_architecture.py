"""The stairs: a module imports only from a lower step, so that no circle can be written."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each line is one step. A module imports only from lines above its own.
STAIRS = (
    ("painchain.roles", "painchain.addresses"),
    (
        "painchain",
        "painchain.config",
        "painchain.secrets",
        "painchain.words",
        "painchain.web",
        "painchain.passwords",
        "painchain.verify_export",
    ),
    ("painchain.logs", "painchain.metrics"),
    ("painchain.messages",),
    ("painchain.connectors.poll", "painchain.keyfile"),
    (
        "painchain.connectors.base",
        "painchain.connectors.refusals",
        "painchain.connectors.bounded",
        "painchain.connectors.kubernetes_states",
    ),
    ("painchain.connectors.http", "painchain.oidc", "painchain.posting"),
    (
        "painchain.changes",
        "painchain.db",
        "painchain.connectors.code_hosts",
        "painchain.connectors.kubernetes_api",
        "painchain.connectors.kubernetes_events",
        "painchain.sheet",
        "painchain.reasons",
    ),
    (
        "painchain.connectors.kubernetes_check",
        "painchain.connectors.kubernetes_poll",
        "painchain.connectors.kubernetes_watch",
    ),
    ("painchain.connectors.github_events", "painchain.connectors.github_asking"),
    ("painchain.connectors.github_hook", "painchain.connectors.github_walk"),
    (
        "painchain.connectors.github_check",
        "painchain.connectors.github_images",
        "painchain.connectors.github_repo",
    ),
    ("painchain.connectors.github_poll",),
    ("painchain.connectors.gitlab_events",),
    ("painchain.connectors.gitlab_ask", "painchain.connectors.gitlab_hook"),
    ("painchain.connectors.gitlab_images", "painchain.connectors.gitlab_commits", "painchain.connectors.gitlab_check"),
    ("painchain.connectors.gitlab_project",),
    ("painchain.connectors.gitlab_poll",),
    (
        "painchain.connectors.github",
        "painchain.connectors.gitlab",
        "painchain.connectors.kubernetes",
        "painchain.connectors.painchain",
    ),
    ("painchain.models", "painchain.identity", "painchain.connectors", "painchain.migrations", "painchain.chain"),
    (
        "painchain.search",
        "painchain.pruned_runs",
        "painchain.backup_file",
        "painchain.faults",
        "painchain.due",
        "painchain.checkpoints",
        "painchain.chained",
        "painchain.sealed",
    ),
    ("painchain.sets", "painchain.fulltext", "painchain.fitting", "painchain.tampering"),
    ("painchain.rollups",),
    ("painchain.combining",),
    ("painchain.counting",),
    ("painchain.paging", "painchain.team_tags"),
    ("painchain.ledger", "painchain.timeline", "painchain.visibility", "painchain.migrations.env", "painchain.fold"),
    ("painchain.turns", "painchain.lapses", "painchain.bands", "painchain.silence", "painchain.outbox"),
    ("painchain.audit", "painchain.backfill", "painchain.history", "painchain.ocsf", "painchain.suggestions"),
    ("painchain.accounts",),
    ("painchain.signins",),
    ("painchain.oidc_accounts",),
    (
        "painchain.api_tokens",
        "painchain.people",
        "painchain.presence",
        "painchain.inventory",
        "painchain.export",
        "painchain.retention",
    ),
    ("painchain.notify",),
    ("painchain.past", "painchain.pruning", "painchain.findings", "painchain.teams", "painchain.configured"),
    ("painchain.replay",),
    ("painchain.drift",),
    ("painchain.verify", "painchain.derived"),
    (
        *("painchain.report", "painchain.outcomes", "painchain.watches", "painchain.backup"),
        *("painchain.log_check", "painchain.last_checkpoint"),
    ),
    ("painchain.polling", "painchain.keeping"),
    ("painchain.hooks", "painchain.gauges"),
    ("painchain.blame", "painchain.restore", "painchain.demo", "painchain.checking", "painchain.rotation"),
    ("painchain.web.facts", "painchain.web.access", "painchain.web.cookies", "painchain.web.limits"),
    ("painchain.web.headers",),
    ("painchain.server",),
    (
        "painchain.web.filters",
        "painchain.web.article",
        "painchain.web.chart",
        "painchain.web.bodies",
        "painchain.web.forms",
    ),
    ("painchain.web.openapi", "painchain.web.responses", "painchain.reporting"),
    (
        "painchain.web.kept",
        "painchain.web.auth",
        "painchain.web.health",
        "painchain.web.metrics",
        "painchain.web.reasons",
    ),
    ("painchain.web.dashboard", "painchain.web.searching", "painchain.web.api"),
    (
        "painchain.web.settings",
        "painchain.web.sign_in",
        "painchain.web.history",
        "painchain.web.history_api",
        "painchain.web.report",
        "painchain.web.past",
        "painchain.web.news",
        "painchain.web.exports",
        "painchain.web.retention",
        "painchain.web.hooks",
        "painchain.web.webhooks",
        "painchain.web.notify",
        "painchain.web.notify_api",
        "painchain.web.polling_api",
        "painchain.web.people",
        "painchain.web.person",
        "painchain.web.account",
        "painchain.web.teams",
        "painchain.web.teams_api",
        "painchain.web.tokens",
        "painchain.web.tokens_api",
        "painchain.web.audit_log",
        "painchain.web.integrity_api",
    ),
    ("painchain.web.checks", "painchain.web.people_api", "painchain.web.oidc"),
    ("painchain.factory",),
    ("painchain.pollers", "painchain.watching", "painchain.worker"),
    ("painchain.messenger", "painchain.keeper"),
    ("painchain.scheduler", "painchain.terminal"),
    (
        "painchain.demo_command",
        "painchain.cli_backup",
        "painchain.cli_checkpoint",
        "painchain.cli_export",
        "painchain.cli_prune",
        "painchain.cli_rotate_key",
        "painchain.cli_user",
        "painchain.cli_verify",
    ),
    ("painchain.cli",),
    ("app",),
)
STEPS = {module: step for step, modules in enumerate(STAIRS) for module in modules}

TYPES = [module for module in STEPS if module.startswith("painchain.connectors")]
WEB = [module for module in STEPS if module.startswith("painchain.web.")]
SERVICES = [module for module in STEPS if module not in (*WEB, "painchain.factory")]


def files() -> dict[str, Path]:
    """Return the file of each of our modules; the single migrations are scripts and no modules."""
    paths = [ROOT / "app.py", *(ROOT / "painchain").rglob("*.py")]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
        if path.parent.name != "versions"
    }


def imported(path: Path, ours: set[str]) -> set[str]:
    """Return every name that a file imports anywhere in it, down to our modules.

    ``from painchain.web import api`` is painchain.web.api; ``from flask import request`` is flask.request.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: write the whole name of what is imported"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(str(node.module) if node.module in ours and full not in ours else full)
    return names


def test_every_module_has_its_step_and_every_step_its_modules():
    assert sorted(files()) == sorted(STEPS)
    assert len(STEPS) == sum(len(modules) for modules in STAIRS)


@pytest.mark.parametrize("module", STEPS)
def test_a_module_imports_only_from_a_lower_step(module):
    ours = imported(files()[module], set(STEPS)) & set(STEPS)
    assert sorted(name for name in ours if STEPS[name] >= STEPS[module]) == []


@pytest.mark.parametrize("module", STEPS)
def test_a_module_imports_nothing_of_painchain_that_is_not_on_the_stairs(module):
    names = imported(files()[module], set(STEPS))
    assert [name for name in names if name.split(".")[0] == "painchain" and name not in STEPS] == []


@pytest.mark.parametrize("module", TYPES)
def test_connector_types_know_neither_the_database_nor_flask(module):
    strange = {"flask", "sqlalchemy", "flask_sqlalchemy", "wtforms", "flask_wtf"}
    names = imported(files()[module], set(STEPS))
    assert {name.split(".")[0] for name in names} & strange == set()
    assert names & {"painchain.db", "painchain.models"} == set()


@pytest.mark.parametrize("module", SERVICES)
def test_services_know_neither_the_request_nor_forms_nor_pages(module):
    names = imported(files()[module], set(STEPS))
    assert names & {"flask.request", "flask.g", "flask.session", "flask.render_template"} == set()
    assert {name.split(".")[0] for name in names} & {"wtforms", "flask_wtf"} == set()


def test_the_doors_write_only_through_the_inventory_and_the_audit_trail():
    for module in WEB:
        names = imported(files()[module], set(STEPS))
        assert {"sqlalchemy.insert", "sqlalchemy.delete"} & names == set(), module


def test_templates_run_no_query():
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert [word for word in ("db.session", ".execute(", "select(", ".query") if word in text] == [], path.name
