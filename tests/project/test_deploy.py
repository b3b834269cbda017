"""The deployment files name settings and folders that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from painchain.core.config import SETTINGS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
FILES = sorted(path.name for path in DEPLOY.iterdir() if path.is_file())


@pytest.mark.parametrize("name", FILES)
def test_every_variable_in_a_deployment_file_is_a_setting(name: str) -> None:
    variables = set(re.findall(r"PAINCHAIN_[A-Z_]+", (DEPLOY / name).read_text(encoding="utf-8")))
    assert variables - {setting.variable for setting in SETTINGS} == set()


def test_the_image_contains_everything_that_the_wheel_carries() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    copied = {name for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE) for name in line.split()}
    folders = re.findall(r'"(\w+)": \[', (ROOT / "setup.py").read_text(encoding="utf-8"))
    assert "templates" in folders
    assert {"painchain", "pyproject.toml", "setup.py", "requirements.lock", *folders} <= copied
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_deployment_guide_describes_every_file() -> None:
    guide = (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert [name for name in FILES if name != "README.md" and f"`{name.partition('.docker')[0]}`" not in guide] == []
