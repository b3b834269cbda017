"""The folder of a new server, and why it does not start."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from painchain.cli.main import main
from tests.support.started_server import launch, only_line, settings_of, start  # noqa: F401  fixtures


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """An instance folder that does not exist yet."""
    return tmp_path / "instance"


@pytest.fixture
def used_instance(instance: Path, started_instance: Path) -> Path:
    """The instance folder after a first start, which takes three times as long as another one."""
    return shutil.copytree(started_instance, instance)


@pytest.fixture
def refusal(instance: Path, own_logging: None) -> Callable[..., str]:
    """Return a function that starts a server in this process, which must refuse, and returns its message."""

    def refusal(**settings: str) -> str:
        environ = {name: None for name in os.environ if name.startswith("PAINCHAIN_")}
        environ |= {f"PAINCHAIN_{name.upper()}": value for name, value in settings_of(instance, settings).items()}
        result = CliRunner().invoke(main, ["serve"], prog_name="painchain", env=environ)
        return only_line(result.exit_code, result.stdout, result.stderr)

    return refusal
