"""A real cluster for the tests in this folder, which run only where ``make test-kubernetes`` says where to build it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes import story
from tests.kubernetes.cluster import Cluster, cluster, why_not

BINARIES = os.environ.get("PAINCHAIN_TEST_KUBERNETES", "")
collect_ignore_glob = [] if BINARIES else ["test_*.py"]


@pytest.fixture(scope="session")
def binaries() -> Path:
    """The folder with kube-apiserver and etcd, built if they are not there."""
    folder = Path(BINARIES).absolute()
    if why := why_not(folder):
        pytest.skip(why)
    return folder


@pytest.fixture(name="cluster")
def running_cluster(binaries: Path, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of its own with the objects from before the story."""
    with cluster(binaries, tmp_path) as running:
        story.begin(running)
        yield running
