"""Show the health of connectors, and refresh it while a page is open."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from painchain.configuration import connector_store
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import ChangeRefused
from painchain.database.models import Connector
from painchain.ingestion import health as connector_polls
from painchain.ingestion import polling
from painchain.ingestion.health import Health
from painchain.web.common import responses
from painchain.web.common.responses import Toast, join
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("health", __name__, url_prefix="/settings/integrations")

MAX_WATCHED = 500


@dataclass(frozen=True)
class FailingConnector:
    """A connector that fails or is rate limited, and why."""

    connector: Connector
    label: str
    health: Health


@blueprint.get("/health")
def watch() -> ResponseReturnValue:
    """Return the health of the connectors in `ids`; an empty answer if it has not changed since the page's `seen`."""
    ids = [int(text) for text in request.args.get("ids", "").split(",")[:MAX_WATCHED] if _is_id(text)]
    connectors = connector_store.get_many(ids)
    values = watched(connectors)
    if values["seen"] == request.args.get("seen"):
        return ""
    fragments = [
        responses.fragment(
            "settings/health", connector=connector, connector_health=values["health"][connector.id], oob=True
        )
        for connector in connectors
        if connector.id in values["health"]
    ]
    return join(*fragments, responses.fragment("settings/watching", oob=True, **values))


@blueprint.post("/<int:connector_id>/sync")
def sync(connector_id: int) -> ResponseReturnValue:
    """Make the next poll of a connector due now."""
    try:
        with audited_transaction() as trail:
            connector = connector_store.get(connector_id) if connector_id < 2**63 else None
            if connector is None:
                abort(404, "No connector with this ID. If it was deleted, the timeline shows when and by whom.")
            polling.sync_now(connector, trail)
    except ChangeRefused as refusal:
        return responses.error(409, "Not synced", str(refusal))
    toast = Toast(f"Syncing “{connector.name}” now.")
    health = connector_polls.read([connector], g.now)
    if responses.is_htmx() and connector.id in health:
        fragment = responses.fragment("settings/health", connector=connector, connector_health=health[connector.id])
        return join(fragment, responses.fragment("shared/toast", oob=True, toasts=[toast]))
    on_list = request.form.get("at") == "list"
    list_address = url_for("settings.integrations")
    page_address = url_for("settings.connector", connector_id=connector_id)
    return responses.go_to(list_address if on_list else page_address, toast)


def watched(connectors: Sequence[Connector], health: Mapping[int, Health] | None = None) -> dict[str, Any]:
    """Return what a page needs to show the health of these connectors and to refresh it."""
    health = connector_polls.read(connectors, g.now) if health is None else health
    return {"health": health, "watched": list(health), "seen": _fingerprint(health)}


def failing(connectors: Sequence[tuple[Connector, Health | None]]) -> list[FailingConnector]:
    """Return the connectors that fail or have reached a rate limit."""
    return [
        FailingConnector(connector, type_of(connector).label, health)
        for connector, health in connectors
        if health and health.state in ("failing", "rate_limited")
    ]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _fingerprint(health: Mapping[int, Health]) -> str:
    """Return a hash that changes with the shown health; it includes the minute, as times are shown as "2 min ago"."""
    shown = (int(g.now.timestamp()) // 60, *sorted(health.items(), key=lambda pair: pair[0]))
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
