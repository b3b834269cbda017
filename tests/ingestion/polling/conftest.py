"""The made-up connector type, its server, and an app's context."""

from tests.support.clock_source import clock_source, clock_type, fake_server, inside  # noqa: F401  fixtures
