"""Find the folders of files that a running server reads: templates, static files, documents."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
BUNDLED = PACKAGE / "bundled"


def folder(name: str) -> Path:
    """Return the folder `name`: in the package when it was installed from a wheel, beside the package in a checkout.

    `setup.py` lists the folders that a wheel carries.
    """
    return (BUNDLED if BUNDLED.is_dir() else PACKAGE.parent) / name
