"""Settings → Integrations → Duplicate: the form of a new connector, prefilled with the settings of another one."""

from __future__ import annotations

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

from painchain.configuration.connector_store import type_of
from painchain.web.common import responses
from painchain.web.settings import connector_form
from painchain.web.settings.connectors import stored_or_404

blueprint = Blueprint("duplicate", __name__)


@blueprint.get("/settings/integrations/<int:connector_id>/duplicate")
def show(connector_id: int) -> ResponseReturnValue:
    """Show the form of a new connector with the settings of this one."""
    stored = stored_or_404(connector_id)
    connector, connector_type = stored.connector, type_of(stored.connector)
    if connector_type.builtin:
        abort(404, "The PainChain connector exists once and has no copy.")
    return responses.page(
        "pages/settings/new.html",
        type=connector_type,
        form=connector_form.copied_form(stored),
        original=connector,
    )
