"""The JSON API of people's accounts."""

from __future__ import annotations

from datetime import timedelta

from flask import g, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.accounts import invitations, oidc_provisioning, password_links, users
from painchain.accounts.users import AccountRefused, StaleAccount
from painchain.core import runtime
from painchain.core.validation import read
from painchain.database import models
from painchain.web.api.common import Editable, api_blueprint
from painchain.web.api.resources.base import answer, answer_list
from painchain.web.api.resources.settings import NewPersonAdded, PasswordLink, Person
from painchain.web.api.schemas import NewPerson, PersonPatch
from painchain.web.common.links import password_link
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction

blueprint = api_blueprint("people_api", url_prefix="/api/people")
RECORDS = Editable("account", users.get, StaleAccount, "person-")


@blueprint.errorhandler(AccountRefused)
def handle_refused_account(problem: AccountRefused) -> Response:
    """Return the error response for a change that conflicts with the current state."""
    return json_error(409, f"Nothing was changed. {problem}")


@blueprint.get("")
def everybody() -> ResponseReturnValue:
    """List the accounts."""
    return answer_list(Person.of(person) for person in users.list_users())


@blueprint.post("")
def create() -> ResponseReturnValue:
    """Add an account; without a password, the response contains a reset link, only this once."""
    body = read(NewPerson, request.get_data())
    with audited_transaction(shows_once="" if body.password else "the reset link") as trail:
        invited = invitations.invite(body.name, body.role, trail, body.email, body.password or "")
    person = invited.person
    link = password_link(invited.secret) if invited.secret else None
    headers = RECORDS.etag(person) | {"Location": url_for(".person", person_id=person.id)}
    return answer(NewPersonAdded(**Person.members(person), link=link), 201, headers)


@blueprint.get("/<int:person_id>")
def person(person_id: int) -> ResponseReturnValue:
    """Return one account with its ETag."""
    return _answer(RECORDS.get_or_404(person_id))


@blueprint.patch("/<int:person_id>")
def patch(person_id: int) -> ResponseReturnValue:
    """Change the name, role or email address of an account."""
    body = read(PersonPatch, request.get_data())
    RECORDS.require_if_match(person_id)
    with audited_transaction() as trail:
        person = RECORDS.matching(person_id)
        stored = {"name": person.name, "role": person.role, "email": person.email or ""}
        users.change(person, trail, None, **{**stored, **body.model_dump(exclude_unset=True)})
    return _answer(person)


@blueprint.delete("/<int:person_id>")
def remove(person_id: int) -> ResponseReturnValue:
    """Remove an account."""
    with audited_transaction() as trail:
        users.remove(RECORDS.matching(person_id), trail)
    return "", 204


@blueprint.post("/<int:person_id>/disable")
def disable(person_id: int) -> ResponseReturnValue:
    """Disable an account and sign it out."""
    with audited_transaction() as trail:
        person = RECORDS.matching(person_id)
        users.disable(person, trail)
    return _answer(person)


@blueprint.post("/<int:person_id>/enable")
def enable(person_id: int) -> ResponseReturnValue:
    """Enable an account."""
    with audited_transaction() as trail:
        person = RECORDS.matching(person_id)
        users.enable(person, trail)
    return _answer(person)


@blueprint.post("/<int:person_id>/unlink")
def unlink(person_id: int) -> ResponseReturnValue:
    """Unlink an account from its identity at the OpenID Connect provider."""
    with audited_transaction() as trail:
        person = RECORDS.matching(person_id)
        oidc_provisioning.refuse_unlinking(person, is_own=False, has_provider=runtime.current().oidc is not None)
        oidc_provisioning.unlink(person, trail, None)
    return _answer(person)


@blueprint.post("/<int:person_id>/link")
def make_link(person_id: int) -> ResponseReturnValue:
    """Create a reset link for an account and return it, only this once; older links stop working."""
    with audited_transaction(shows_once="the reset link") as trail:
        secret = invitations.new_link(RECORDS.get_or_404(person_id), trail)
    expires = g.now + timedelta(hours=password_links.LINK_HOURS["reset"])
    return answer(PasswordLink(link=password_link(secret), expires=expires), 201)


def _answer(person: models.Person) -> ResponseReturnValue:
    return answer(Person.of(person), headers=RECORDS.etag(person))
