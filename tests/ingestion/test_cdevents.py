"""Artifacts of CDEvents are found by their package URLs, however the sender encodes these."""

from __future__ import annotations

import pytest

from painchain.ingestion.cdevents import Artifact, artifact

DIGEST = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"
IMAGE, TAG = Artifact("shop", "1.4.2", DIGEST), Artifact("acme/shop", "api/v1.4.2")
SCOPED = Artifact("@acme/shop", "1.4.2")


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        # of the specification, of packageurl-python, of packageurl-js and of CDEvents' own examples
        (f"pkg:oci/shop@{DIGEST}?repository_url=registry.example.org:5000%2Fshop&tag=1.4.2", IMAGE),
        (f"pkg:oci/shop@{DIGEST}?repository_url=registry.example.org:5000/shop&tag=1.4.2", IMAGE),
        (f"pkg:oci/shop@{DIGEST}?repository_url=registry.example.org%3A5000%2Fshop&tag=1.4.2", IMAGE),
        (f"pkg:oci/shop@{DIGEST.replace(':', '%3A')}?repository_url=registry.example.org:5000/shop&tag=1.4.2", IMAGE),
        # a slash in a version: of the specification, and of packageurl-python
        ("pkg:github/acme/shop@api%2Fv1.4.2", TAG),
        ("pkg:github/acme/shop@api/v1.4.2", TAG),
        # an at sign in a namespace: of the specification, and as people write it
        ("pkg:npm/%40acme/shop@1.4.2", SCOPED),
        ("pkg:npm/@acme/shop@1.4.2", SCOPED),
        ("pkg:npm/@acme/shop", Artifact("@acme/shop")),
    ],
)
def test_a_package_url_names_the_same_artifact_however_it_is_encoded(identifier: str, expected: Artifact) -> None:
    assert artifact(identifier) == expected
