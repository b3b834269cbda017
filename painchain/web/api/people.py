"""The JSON API of people; the same guards and refusals as the rest of the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import abort, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.accounts import invitations, users
from painchain.accounts.users import AccountRefused, InvalidAccount, StaleAccount
from painchain.core.validation import read
from painchain.database.account_models import Person
from painchain.database.types import iso
from painchain.web.api import events
from painchain.web.api.schemas import NewPerson, PersonPatch
from painchain.web.common.links import password_link
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction

blueprint = events.guarded("people_api", url_prefix="/api/people")


@blueprint.errorhandler(AccountRefused)
def refused(problem: AccountRefused) -> Response:
    """Answer a change that is not made."""
    if isinstance(problem, InvalidAccount):
        return json_error(422, str(problem), [{"field": key, "message": text} for key, text in problem.errors.items()])
    if isinstance(problem, StaleAccount):
        return json_error(412, f"{problem} Read it again and repeat the change.", headers=_etag(problem.person))
    return json_error(409, f"Nothing was changed. {problem}")


@blueprint.get("")
def everybody() -> ResponseReturnValue:
    """List the accounts."""
    return jsonify([_json(one) for one in users.list_users()])


@blueprint.post("")
def create() -> ResponseReturnValue:
    """Add an account; without a password the answer has its link, this once."""
    body = read(NewPerson, request.get_data())
    with audited_transaction() as trail:
        invited = invitations.invite(body.name, body.role, trail, body.email, body.password or "")
    one = invited.person
    link = password_link(invited.secret) if invited.secret else None
    location = url_for(".person", person_id=one.id)
    return jsonify({**_json(one), "link": link}), 201, {**_etag(one), "Location": location}


@blueprint.get("/<int:person_id>")
def person(person_id: int) -> ResponseReturnValue:
    """Return one account with its ETag."""
    return _answer(_get_or_404(person_id))


@blueprint.patch("/<int:person_id>")
def patch(person_id: int) -> ResponseReturnValue:
    """Change name, role or address of an account."""
    body = read(PersonPatch, request.get_data())
    if "If-Match" not in request.headers:
        _get_or_404(person_id)
        return json_error(428, "Send the ETag of the account you read as If-Match, so that no one's change is lost.")
    with audited_transaction() as trail:
        one = _matched_or_412(person_id)
        stored = {"name": one.name, "role": one.role, "email": one.email or ""}
        users.change(one, trail, None, **{**stored, **body.model_dump(exclude_unset=True)})
    return _answer(one)


@blueprint.delete("/<int:person_id>")
def remove(person_id: int) -> ResponseReturnValue:
    """Remove an account."""
    with audited_transaction() as trail:
        users.remove(_matched_or_412(person_id), trail)
    return "", 204


@blueprint.post("/<int:person_id>/disable")
def disable(person_id: int) -> ResponseReturnValue:
    """Keep somebody out from now on."""
    with audited_transaction() as trail:
        one = _matched_or_412(person_id)
        users.disable(one, trail)
    return _answer(one)


@blueprint.post("/<int:person_id>/enable")
def enable(person_id: int) -> ResponseReturnValue:
    """Let somebody in again."""
    with audited_transaction() as trail:
        one = _matched_or_412(person_id)
        users.enable(one, trail)
    return _answer(one)


@blueprint.post("/<int:person_id>/link")
def make_link(person_id: int) -> ResponseReturnValue:
    """Make a link that sets somebody's password anew and return it, this once; older ones stop working."""
    with audited_transaction() as trail:
        secret = invitations.new_link(_get_or_404(person_id), trail)
    expires = g.now + timedelta(hours=users.LINK_HOURS["reset"])
    return jsonify(link=password_link(secret), expires=iso(expires)), 201


def _json(one: Person) -> dict[str, Any]:
    """Return an account as the API gives it: of its password only whether there is one."""
    return {
        "id": one.id,
        "name": one.name,
        "role": one.role,
        "email": one.email,
        "enabled": one.disabled_at is None,
        "password": {"set": one.password is not None},
        "version": one.version,
        "created_at": iso(one.created_at),
        "created_by": one.created_by,
        "disabled_at": iso(one.disabled_at) if one.disabled_at else None,
    }


def _answer(one: Person) -> ResponseReturnValue:
    return jsonify(_json(one)), 200, _etag(one)


def _etag(one: Person) -> dict[str, str]:
    return {"ETag": f'"person-{one.id}-{one.version}"'}


def _get_or_404(person_id: int) -> Person:
    one = users.get(person_id) if person_id < 2**63 else None
    if one is None:
        abort(404, "There is no account of this id.")
    return one


def _matched_or_412(person_id: int) -> Person:
    """Return the account, if it is still the version that If-Match names or there is no such header.

    :raises Outdated: when it is another version.
    """
    one = _get_or_404(person_id)
    if "If-Match" in request.headers and not request.if_match.contains(f"person-{one.id}-{one.version}"):
        raise StaleAccount(one)
    return one
