"""A fake GitLab that runs during a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.counterparts import FakeServer, run_fake_server
from tests.counterparts.gitlab import GitLab


@pytest.fixture
def gitlab() -> GitLab:
    return GitLab()


@pytest.fixture
def fake_server(gitlab: GitLab) -> Iterator[FakeServer]:
    with run_fake_server(gitlab) as fake_server:
        yield fake_server
