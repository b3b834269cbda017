"""Empty databases."""

from tests.support.migrations import empty_database, new_app  # noqa: F401  fixtures
