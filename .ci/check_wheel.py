"""Build the wheel, install it outside the checkout with the locked requirements, and fetch pages from its server."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
FOLDERS = {"painchain": "painchain", **{name: f"painchain/bundled/{name}" for name in ("templates", "static", "docs")}}
DOCUMENTS = {".md", ".png", ".svg"}
PIP = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check")
UV = (Path(sys.executable).parent / "uv", "-q")  # faster than pip, but does not know its settings
PAGES = {
    "/": "<title>",
    "/settings/integrations": "<title>",
    "/help/README.md": "PainChain help",
    "/static/painchain.css": "--",
    "/help/deploy/README.md": "systemd",
    "/health": '"status"',
}


def build(folder: Path) -> Path:
    """Build the wheel from a copy of the sources, so that no stale `build` folder gets into it."""
    sources = folder / "sources"
    sources.mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, sources)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*UV, "build", *options, "--out-dir", folder, sources], check=True)
    [wheel] = folder.glob("painchain-*.whl")
    carried = set(zipfile.ZipFile(wheel).namelist())
    for name, place in FOLDERS.items():
        files = {file.relative_to(ROOT / name) for file in (ROOT / name).rglob("*") if file.is_file()}
        if name == "docs":
            files = {file for file in files if file.suffix in DOCUMENTS}
        expected = {f"{place}/{file}" for file in files if "__pycache__" not in file.parts}
        if missing := sorted(expected - carried):
            sys.exit(f"The wheel does not carry {', '.join(missing)}")
    if unwanted := [file for file in carried if "/docs/" in file and Path(file).suffix not in DOCUMENTS]:
        sys.exit(f"The wheel carries {', '.join(unwanted)}")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """Install the wheel and the locked requirements into an empty environment; return its `painchain` command."""
    environment = folder / "venv"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    pip = [*PIP, "--python", python, "install", "--no-deps"]
    uv = [*UV, "pip", "install", "--python", python, "--no-deps"]
    locked = ["--require-hashes", "-r", ROOT / "requirements.lock"]
    if subprocess.run([*uv, *locked], check=False).returncode:
        subprocess.run([*pip, *locked], check=True)
    subprocess.run([*uv, wheel], check=True)
    return environment / "bin" / "painchain"


def fetch_pages(command: Path, folder: Path) -> None:
    """Start a server in an empty folder on a free port, and fetch each page."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PAINCHAIN_", "PYTHON"))}
    environ |= {
        "PAINCHAIN_PORT": "0",
        "PAINCHAIN_INSTANCE": str(folder / "instance"),
        "PAINCHAIN_LOG_LEVEL": "warning",
        "PYTHONUNBUFFERED": "1",
    }
    server = subprocess.Popen([command, "serve"], cwd=folder, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        match = re.search(r"http://\S+", line) or sys.exit(f"The server did not start: {line}")
        for page, expected in PAGES.items():
            with urllib.request.urlopen(match[0] + page, timeout=30) as response:
                body = response.read().decode()
            print(f"{response.status} {page} {len(body):,} characters")
            if expected not in body:
                sys.exit(f"{page} does not contain {expected}")
    finally:
        server.terminate()
        server.wait(30)


with tempfile.TemporaryDirectory(prefix="painchain-wheel-") as name:
    temporary = Path(name)
    fetch_pages(install(build(temporary), temporary), temporary)
