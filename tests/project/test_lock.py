"""The lock files pin the dependencies of pyproject.toml with hashes, and contain no address."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock"]
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}")
COMMENT = re.compile(r"    #( via|   ).*")


def declared_dependencies(extra: str = "") -> list[Requirement]:
    """Return the dependencies that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"][extra] if extra else []
    return [Requirement(text) for text in (*project["dependencies"], *optional)]


def lines(lock: str) -> list[str]:
    """Return the lines of a lock file."""
    return (ROOT / lock).read_text(encoding="utf-8").splitlines()


def pins(lock: str) -> dict[str, dict[str, Version]]:
    """Return the pinned versions of each package in a lock file, by marker ("" for none)."""
    pinned: dict[str, dict[str, Version]] = {}
    for line in lines(lock):
        if not line.startswith(" "):
            requirement = Requirement(line.removesuffix(" \\"))
            [pin] = requirement.specifier
            assert pin.operator == "=="
            versions = pinned.setdefault(canonicalize_name(requirement.name), {})
            marker = str(requirement.marker or "")
            assert marker not in versions, f"{requirement.name} is pinned twice"
            versions[marker] = Version(pin.version)
    return pinned


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_holds_pins_hashes_and_reasons_and_nothing_else(lock):
    for line in lines(lock):
        pin = not line.startswith(" ") and Requirement(line.removesuffix(" \\")).url is None
        assert pin or HASH.fullmatch(line.removesuffix(" \\")) or COMMENT.fullmatch(line), line


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_contains_no_address_index_or_host(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert re.findall(r"://|@|--(?!hash)|^-|\bfile:|\bindex-url\b|\btrusted-host\b", text, re.MULTILINE) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", text)
    assert len(blocks) == sum(map(len, pins(lock).values())) > 0
    assert [block.splitlines()[0] for block in blocks if not HASH.search(block)] == []


@pytest.mark.parametrize(("lock", "extra"), [("requirements.lock", ""), ("requirements-dev.lock", "dev")])
def test_every_dependency_is_pinned_to_a_version_that_it_allows(lock, extra):
    pinned = pins(lock)
    for requirement in declared_dependencies(extra):
        versions = pinned.get(canonicalize_name(requirement.name), {})
        assert versions, f"{requirement.name} is not pinned"
        for version in versions.values():
            assert requirement.specifier.contains(version, prereleases=True), f"{requirement} is pinned to {version}"


def test_npm_packages_for_tests_are_pinned_with_hashes_and_without_a_registry():
    packages = json.loads((ROOT / "tests/node/package-lock.json").read_text(encoding="utf-8"))["packages"]
    direct = packages.pop("")["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in direct} == direct
    assert [name for name, package in packages.items() if not package.get("integrity") or "resolved" in package] == []


def test_the_postgresql_driver_includes_its_library():
    assert {"psycopg", "psycopg-binary"} <= set(pins("requirements.lock"))


def test_tests_use_the_pinned_runtime_versions():
    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: set(dev.get(name, {}).values()) for name in run} == {name: set(run[name].values()) for name in run}


def test_packages_needed_only_by_tests_are_not_runtime_dependencies():
    runtime = {package.name for package in declared_dependencies()}
    only_dev = {canonicalize_name(package.name) for package in declared_dependencies("dev")} - runtime
    assert only_dev & set(pins("requirements.lock")) == set()
