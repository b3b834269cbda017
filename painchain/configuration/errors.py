"""The exceptions for changes of the configuration that are not made."""

from __future__ import annotations

from painchain.core.redaction import scrub
from painchain.database.models import Connector


class ChangeRefused(Exception):
    """A change is not made; the message says why and what to do."""


class InvalidValues(ChangeRefused):
    """The connector's fields do not take these values: `errors` by field key."""

    def __init__(self, errors: dict[str, str]):
        self.errors = {key: scrub(message) for key, message in errors.items()}
        super().__init__("Nothing was saved: " + " ".join(self.errors.values()))


class ProtectedConnector(ChangeRefused):
    """The built-in connector cannot be deleted."""


class StaleConnector(ChangeRefused):
    """Somebody else changed the connector after this person read it. `connector` is its present row."""

    def __init__(self, connector: Connector):
        super().__init__(
            f"“{connector.name}” was changed by {connector.updated_by} in the meantime. Nothing was saved."
        )
        self.connector = connector
