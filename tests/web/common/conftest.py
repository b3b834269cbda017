"""Connectors that accept webhooks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from painchain import connectors
from tests.support.webhook_source import HOOK


def add_webhook_support(patch: pytest.MonkeyPatch) -> None:
    """Let Kubernetes connectors accept the webhooks of the sample source."""
    patch.setitem(connectors.TYPES, "kubernetes", replace(connectors.TYPES["kubernetes"], webhook=HOOK))


@pytest.fixture
def webhook_support(monkeypatch: pytest.MonkeyPatch, fake_sources: None) -> None:
    """Let Kubernetes connectors accept webhooks in a test."""
    add_webhook_support(monkeypatch)
