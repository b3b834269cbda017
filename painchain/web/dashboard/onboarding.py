"""The setup checklist on the dashboard: add a source, an account, a notification rule, and copy the root key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from painchain.configuration import onboarding
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import ChangeRefused
from painchain.configuration.onboarding import SetupFacts
from painchain.core.roles import ADMIN, EDITOR
from painchain.database.models import Connector
from painchain.ingestion import health as connector_polls
from painchain.ingestion.health import Health
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("onboarding", __name__, url_prefix="/setup")


@dataclass(frozen=True)
class Step:
    """One step of the checklist: whether it is done, a note, its button, its help page and the role that it needs."""

    key: str
    title: str
    is_done: bool
    note: str
    action: str
    address: str
    document: str
    role: str = ADMIN


@dataclass(frozen=True)
class Checklist:
    """The steps of the setup. `is_new` is whether no connector was added yet, so that there is little else to see."""

    steps: Sequence[Step]
    is_new: bool

    @property
    def open_steps(self) -> list[Step]:
        """The steps that are not done."""
        return [step for step in self.steps if not step.is_done]

    @property
    def done(self) -> int:
        """The number of steps that are done."""
        return len(self.steps) - len(self.open_steps)


def checklist(records: Sequence[tuple[Connector, Health | None]], facts: SetupFacts | None) -> Checklist | None:
    """Return the checklist for the dashboard; None if it is done, hidden or not for the reader's role."""
    if facts is None or facts.is_hidden or not g.who.may(EDITOR):
        return None
    steps = Checklist(_steps(records, facts), all(type_of(connector).builtin for connector, _ in records))
    return steps if steps.open_steps else None


@blueprint.get("/hide")
def confirm_hiding() -> ResponseReturnValue:
    """Ask whether to hide the checklist. A form on the dashboard itself would set a cookie for every reader."""
    return responses.page("pages/dashboard/hide_setup.html")


@blueprint.post("/hide")
def hide() -> ResponseReturnValue:
    """Hide the checklist for everybody, for good."""
    with audited_transaction() as trail:
        overview = connector_polls.overview(g.now)
        steps = _steps(overview.connectors, overview.setup) if overview.setup else []
        remaining = [step.title for step in steps if not step.is_done]
        is_new = onboarding.hide(remaining, trail)
    toast = Toast("The setup checklist is hidden." if is_new else "The setup checklist was already hidden.", "info")
    return responses.go_to(url_for("dashboard.index"), toast)


@blueprint.post("/key-copy")
def confirm() -> ResponseReturnValue:
    """Record that the admin has stored a copy of the root key."""
    key_id = request.form.get("key", "")
    if not key_id:
        abort(422, "Select the key of which you have a copy. Reload the page and try again.")
    try:
        with audited_transaction() as trail:
            is_new = onboarding.confirm_key_copy(key_id, trail)
    except ChangeRefused as refusal:
        return responses.error(409, "Not recorded", str(refusal))
    message = "Recorded that you have stored a copy of the root key." if is_new else "This was recorded before."
    return responses.go_to(url_for("audit_log.index", _anchor="key-title"), Toast(message))


def _steps(records: Sequence[tuple[Connector, Health | None]], facts: SetupFacts) -> list[Step]:
    account_note = "" if facts.has_account else "Optional: only this machine can reach this server."
    return [
        _source_step([record for record in records if not type_of(record[0]).builtin], facts.has_delivery),
        # Without an account, the server serves nothing unless it listens only on loopback.
        Step(
            *("account", "Create an account", True, account_note),
            *("Add account", "/settings/people/new", "admin/accounts.md"),
        ),
        Step(
            *("notification", "Add a notification rule", facts.has_notify_rule, ""),
            *("Add notification rule", "/settings/notifications/new", "admin/notifications.md"),
        ),
        Step(
            *("key", "Store a copy of the root key", facts.has_key_copy, ""),
            *("Confirm the copy", "/settings/audit-log#key-title", "admin/key.md"),
        ),
    ]


def _source_step(records: Sequence[tuple[Connector, Health | None]], has_delivery: bool) -> Step:
    """Return the step for the first source: done if any enabled connector was polled or received a delivery."""
    is_done = has_delivery or any(health and health.last_success for _, health in records)
    note, action, address = "", "Add a connector", "/settings/integrations/new"
    if records and not is_done:
        connector = next((connector for connector, _ in records if connector.enabled), records[0][0])
        note = f"“{connector.name}” {'has no data yet' if connector.enabled else 'is disabled'}."
        action, address = "Open the connector", f"/settings/integrations/{connector.id}"
    return Step("source", "Add a source", is_done, note, action, address, "connectors/overview.md", EDITOR)
