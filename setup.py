"""Carry the top-level folders that a running server reads inside the wheel, as `painchain/bundled/<folder>`.

To add a folder: name it and its files in `FOLDERS`, and read it through `painchain.core.resources.folder`.
"""

from setuptools import find_packages, setup

FOLDERS = {"templates": ["**/*"], "static": ["**/*"], "docs": ["**/*.md", "**/*.png", "**/*.svg"]}

setup(
    packages=[*find_packages(include=["painchain", "painchain.*"]), *(f"painchain.bundled.{name}" for name in FOLDERS)],
    package_dir={f"painchain.bundled.{name}": name for name in FOLDERS},
    package_data={
        "painchain.connectors.webhook": ["presets/*.toml"],
        "painchain.migrations": ["alembic.ini", "script.py.mako", "versions/*.py"],
        **{f"painchain.bundled.{name}": patterns for name, patterns in FOLDERS.items()},
    },
)
