"""Say for whom this request reads and saves views of the timeline."""

from __future__ import annotations

from flask import g

from painchain.accounts import users
from painchain.configuration.saved_views import Member
from painchain.core.roles import EDITOR


def member() -> Member:
    """Return the person whose views this request reads and saves; a token saves those of its owner."""
    who = g.who
    person = users.get(who.person_id) if who.token and who.person_id else None
    return Member(who.person_id, person.name if person else who.name, who.may(EDITOR))
