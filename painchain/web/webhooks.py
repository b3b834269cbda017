"""Set up a connector's webhook: its address and secret, in Settings and in the JSON API."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from painchain import hooks, inventory
from painchain.db import iso
from painchain.inventory import Refused, type_of
from painchain.models import Connector
from painchain.web import api, responses
from painchain.web.responses import Toast, on_the_record

door = Blueprint("webhooks", __name__, url_prefix="/settings/integrations/<int:connector_id>/webhook")
api_door = api.guarded("webhooks_api", url_prefix="/api/connectors/<int:connector_id>/webhook")
api_door.register_error_handler(Refused, api.refused)


@door.get("/<any(replace, remove):what>")
def confirm(connector_id: int, what: str) -> ResponseReturnValue:
    """Say what is no longer taken, and ask."""
    one = _get_or_404(connector_id)
    webhook = hooks.of(one)
    if webhook is None:
        abort(404, "This connector has no webhook.")
    return responses.page(
        "pages/webhook_confirm.html", connector=one, what=what, state=hooks.state(webhook), **values(one)
    )


@door.post("")
def make(connector_id: int) -> ResponseReturnValue:
    """Make a new secret and show it, this once."""
    try:
        with on_the_record() as trail:
            one = _get_or_404(connector_id)
            secret = hooks.make(one, trail, request.form.get("state", ""))
    except Refused as refusal:
        return responses.error(409, "Nothing was changed", str(refusal))
    return responses.page("pages/webhook.html", connector=one, secret=secret, **values(one))


@door.post("/remove")
def remove(connector_id: int) -> ResponseReturnValue:
    """Remove the webhook."""
    try:
        with on_the_record() as trail:
            one = _get_or_404(connector_id)
            removed = hooks.remove(one, trail, request.form.get("state"))
    except Refused as refusal:
        return responses.error(409, "Nothing was changed", str(refusal))
    words = f"“{one.name}” takes no webhooks any more." if removed else f"“{one.name}” had no webhook."
    return responses.go_to(url_for("settings.connector", connector_id=one.id, _anchor="webhook"), Toast(words))


@api_door.get("")
def read(connector_id: int) -> ResponseReturnValue:
    """Return the webhook of a connector, without its secret."""
    one = _get_or_404(connector_id)
    webhook = hooks.of(one)
    last = webhook.last_delivery if webhook else None
    return jsonify(
        url=address(one),
        set=webhook is not None,
        made_at=iso(webhook.made_at) if webhook else None,
        made_by=webhook.made_by if webhook else None,
        last_delivery=iso(last) if last else None,
        last_told=webhook.told if webhook and last else None,
    )


@api_door.post("")
def make_by_script(connector_id: int) -> ResponseReturnValue:
    """Make a new secret and return it, this once; the one before is no longer taken."""
    with on_the_record() as trail:
        one = _get_or_404(connector_id)
        secret = hooks.make(one, trail)
    return jsonify(url=address(one), secret=secret), 201


@api_door.delete("")
def remove_by_script(connector_id: int) -> ResponseReturnValue:
    """Remove the webhook, if there is one."""
    with on_the_record() as trail:
        hooks.remove(_get_or_404(connector_id), trail)
    return "", 204


def values(one: Connector) -> dict[str, Any]:
    """Return what the pages of a webhook need."""
    hook = type_of(one).hook
    return {"type": type_of(one), "url": address(one), "instructions": hook.instructions if hook else ""}


def address(one: Connector) -> str:
    """Return where the source delivers to: under the public address, or the name by which this server was asked."""
    return responses.whole_address(url_for("hooks.deliver", key=one.type, connector_id=one.id))


def _get_or_404(connector_id: int) -> Connector:
    one = inventory.get(connector_id) if connector_id < 2**63 else None
    if one is None:
        abort(404, "There is no connector here. What became of it is on the timeline.")
    return one
