"""A fake cluster and its API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.counterparts import FakeServer, run_fake_server
from tests.support.fake_cluster import FakeCluster


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def fake_server(cluster: FakeCluster) -> Iterator[FakeServer]:
    with run_fake_server(cluster) as fake_server:
        yield fake_server
