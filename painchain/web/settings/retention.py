"""Settings → Retention: days to keep events, preview and deletion of older ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from painchain import connectors
from painchain.audit import trail as audit_trail
from painchain.audit.sentences import kept_for, source_label
from painchain.database.types import EPOCH, iso
from painchain.retention import rules as retention_rules
from painchain.retention.rules import MAX_DAYS, PrunableEvents, RetentionRefused, Rules
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("retention", __name__, url_prefix="/settings/retention")

BUILTIN = connectors.BUILTIN.key
WRONG = f"Enter a whole number from 1 to {MAX_DAYS:,}. Leave empty to keep events forever."
UNSURE = "These events are the audit log. To delete them, tick the box below."


@dataclass(frozen=True)
class Row:
    """One source in the form: the entered value, the stored value and the error."""

    source: str
    label: str
    entered: str
    stored: str
    error: str = ""


@blueprint.get("")
def index() -> ResponseReturnValue:
    """Show the retention rules."""
    return _page(200, retention_rules.rules())


@blueprint.post("")
def save() -> ResponseReturnValue:
    """Save the retention rules, or preview what they would delete."""
    entered = {name.removeprefix("days."): text.strip() for name, text in request.form.items() if name[:5] == "days."}
    stored = retention_rules.rules()
    errors = {source: WRONG for source, text in entered.items() if not _valid(text)}
    new_rules = {source: _days(text) for source, text in entered.items() if source in stored and source not in errors}
    previewing = request.form.get("do") == "preview"
    if (
        not previewing
        and _shortens(stored[BUILTIN], new_rules.get(BUILTIN, stored[BUILTIN]))
        and "sure" not in request.form
    ):
        errors.setdefault(BUILTIN, UNSURE)
    if errors:
        return _page(422, stored, entered, errors)
    if previewing:
        return _page(200, stored, entered, preview=retention_rules.prunable({**stored, **new_rules}, g.now))
    try:
        with audited_transaction() as trail:
            changes = retention_rules.change(new_rules, _rules_before(), trail)
    except RetentionRefused as refusal:
        return responses.error(409, "Not saved", str(refusal))
    saved = ", ".join(f"{source_label(change.source)} {kept_for(change.new)}" for change in changes)
    toast = Toast(f"Saved. Retention: {saved}.") if changes else Toast("No changes to save.", "info")
    return responses.go_to(url_for(".index"), toast)


@blueprint.get("/prune")
def confirm() -> ResponseReturnValue:
    """List what the stored rules delete now, and ask for confirmation."""
    prunable = retention_rules.prunable(retention_rules.rules(), g.now)
    return responses.page("pages/settings/prune.html", prunable=prunable, as_of=iso(g.now), **_totals(prunable))


@blueprint.post("/prune")
def prune() -> ResponseReturnValue:
    """Schedule the deletion of the events listed on the page; the scheduler carries it out."""
    as_of = _as_of(request.form.get("as_of", ""))
    named = {name.removeprefix("days."): _days(text) for name, text in request.form.items() if name[:5] == "days."}
    prunable = retention_rules.prunable(named, as_of)
    try:
        with audited_transaction() as trail:
            numbers = retention_rules.schedule_prune(prunable, retention_rules.ON_DEMAND, trail, EPOCH)
    except RetentionRefused as refusal:
        return responses.error(409, "Nothing was deleted", str(refusal))
    toast = Toast("Deletion started.") if numbers else Toast("Nothing to delete.", "info")
    return responses.go_to(url_for(".index"), toast)


@blueprint.get("/progress")
def progress() -> ResponseReturnValue:
    """Return the progress of running deletions."""
    return responses.fragment("settings/pruning", **_progress())


def _page(
    status: int,
    stored: Rules,
    entered: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    preview: list[PrunableEvents] | None = None,
) -> ResponseReturnValue:
    entered, errors = entered or {}, errors or {}
    rows = [
        Row(source, source_label(source), entered.get(source, text := _text(days)), text, errors.get(source, ""))
        for source, days in stored.items()
    ]
    form: dict[str, Any] = {"rows": rows, "errors": errors, "preview": preview, "max_days": MAX_DAYS}
    return responses.page("pages/settings/retention.html", status, **form | _progress() | _totals(preview or []))


def _progress() -> dict[str, Any]:
    return {
        "running": retention_rules.progress(),
        "recording": audit_trail.auditing().on,
        "label": source_label,
        "due": retention_rules.due(),
        "epoch": EPOCH,
    }


def _totals(prunable: list[PrunableEvents]) -> dict[str, Any]:
    return {"label": source_label, "kept_for": kept_for, "total": sum(rule.events for rule in prunable)}


def _rules_before() -> dict[str, int | None]:
    """Return the rules that were stored when the form was opened."""
    return {
        name.removeprefix("was."): _days(text.strip()) if _valid(text.strip()) else 0
        for name, text in request.form.items()
        if name[:4] == "was."
    }


def _shortens(old: int | None, new: int | None) -> bool:
    return new is not None and (old is None or new < old)


def _valid(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_DAYS)


def _days(text: str) -> int | None:
    if not _valid(text):
        abort(422, WRONG)
    return int(text) if text else None


def _text(days: int | None) -> str:
    return "" if days is None else str(days)


def _as_of(text: str) -> datetime:
    """Return the time at which the confirmation page was made: newer events are not deleted."""
    try:
        value = datetime.fromisoformat(text)
        fresh = g.now - timedelta(days=1) <= value <= g.now
    except (ValueError, TypeError, OverflowError):
        fresh = False
    if not fresh:
        abort(409, "This page is out of date. Reload it to see what would be deleted now.")
    return value
