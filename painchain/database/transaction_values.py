"""Remember what was read in a transaction for the rest of it."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.engine import RootTransaction

from painchain.database.session import db

_values: WeakKeyDictionary[RootTransaction, dict[str, Any]] = WeakKeyDictionary()


def of_transaction() -> dict[str, Any]:
    """Return the values of the transaction in which this app context reads or writes. They are empty at its start."""
    transaction = db.session.connection().get_transaction()
    if transaction is None:  # it was rolled back after an error
        return {}
    return _values.setdefault(transaction, {})
