"""Look up connectors by their present names, for filters: events from before a rename have the former name."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from painchain.database.models import Connector
from painchain.database.session import db
from painchain.indexes.tokens import CONNECTOR, search_term

NamedConnector = tuple[str, int]  # the present name of a connector, and its ID

_connector = Connector.__table__.c


def find_named(names: Sequence[str]) -> tuple[NamedConnector, ...]:
    """Return the connectors that have one of these names, as the search compares them. IDs need no look-up."""
    terms = {search_term(CONNECTOR, name) for name in names if not name.isdecimal()}
    if not terms:
        return ()
    rows = db.session.execute(select(_connector.name, _connector.id).order_by(_connector.id))
    return tuple((name, number) for name, number in rows if search_term(CONNECTOR, name) in terms)
