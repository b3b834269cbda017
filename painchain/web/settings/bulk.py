"""Settings → Integrations: change several connectors with one request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Blueprint, abort, request, url_for
from flask.typing import ResponseReturnValue

from painchain.audit.trail import Trail
from painchain.configuration import bulk_edit
from painchain.configuration.bulk_edit import BulkRefused, Chosen
from painchain.configuration.errors import InvalidValues
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("bulk", __name__, url_prefix="/settings/integrations")

Action = Callable[[Sequence[Chosen], Trail], int]
ACTIONS: dict[str, tuple[str, Action]] = {
    "enable": ("enabled", lambda chosen, trail: bulk_edit.set_enabled(chosen, True, trail)),
    "disable": ("disabled", lambda chosen, trail: bulk_edit.set_enabled(chosen, False, trail)),
    "add_tag": ("tagged", lambda chosen, trail: bulk_edit.add_tags(chosen, _tags(), trail)),
    "remove_tag": ("changed", lambda chosen, trail: bulk_edit.remove_tags(chosen, _tags(), trail)),
}
MAX_CHOSEN = 500


@blueprint.post("/bulk")
def change() -> ResponseReturnValue:
    """Enable, disable or tag the chosen connectors: all of them or none. Before disabling, ask for confirmation."""
    chosen, name = _chosen(), request.form.get("action", "")
    if name not in ACTIONS:
        abort(422, "Choose what to do with the connectors.")
    if not chosen:
        abort(422, "Nothing was changed. Select at least one connector first.")
    done, act = ACTIONS[name]
    try:
        if name == "disable" and "confirmed" not in request.form:
            return responses.page("pages/settings/disable_several.html", chosen=bulk_edit.read(chosen))
        with audited_transaction() as trail:
            changed = act(chosen, trail)
    except BulkRefused as refusal:
        return responses.error(409, "Nothing was changed", f"{' '.join(refusal.problems)} Reload the list.")
    except InvalidValues as invalid:
        return responses.error(422, "Nothing was changed", " ".join(invalid.errors.values()))
    return responses.go_to(url_for("settings.integrations"), _toast(changed, len(chosen), done))


def _toast(changed: int, chosen: int, done: str) -> Toast:
    if not changed:
        return Toast("No changes: the chosen connectors are like that already.", "info")
    rest = f" The other {chosen - changed} did not change." if chosen > changed else ""
    return Toast(f"{changed} connector{'' if changed == 1 else 's'} {done}.{rest}")


def _chosen() -> list[Chosen]:
    """Return the ticked connectors: values such as ``5:3``, the ID and the version."""
    chosen = {}
    texts = request.form.getlist("chosen")
    if len(texts) > MAX_CHOSEN:
        abort(422, f"Nothing was changed. Select at most {MAX_CHOSEN:,} connectors.")
    for text in texts:
        number, _, version = text.partition(":")
        if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in (number, version)):
            abort(422, "Nothing was changed. Reload the list and try again.")
        chosen[int(number)] = Chosen(int(number), int(version))
    return list(chosen.values())


def _tags() -> str:
    return request.form.get("tags", "")
