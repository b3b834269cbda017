"""Debian's PgBouncer in front of the PostgreSQL test server."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.support.postgresql import POSTGRES

PATIENCE = 60.0
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def need() -> str:
    """Return the program; skip the test if it is not there, unless it is required."""
    if PROGRAM is None:
        required = "pgbouncer" in os.environ.get("PAINCHAIN_TEST_REQUIRE", "").split()
        (pytest.fail if required else pytest.skip)("pgbouncer is missing: apt-get install pgbouncer")
    return PROGRAM


@contextmanager
def pooled(url: str, folder: Path, *settings: str) -> Iterator[str]:
    """Run PgBouncer with these lines of settings. Yield the address of the database at `url` through it."""
    program, server = need(), make_url(POSTGRES)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    password = f" password={server.password}" if server.password else ""
    lines = [
        "[databases]",
        f"* = host={server.host} port={server.port or 5432} user={server.username}{password}",
        "[pgbouncer]",
        *("listen_addr = 127.0.0.1", f"listen_port = {port}", "unix_socket_dir =", "auth_type = any"),
        *settings,
    ]
    file = folder / f"pgbouncer-{port}.ini"
    file.write_text("\n".join(lines))
    user = ["-u", "nobody"] if pwd.getpwuid(os.geteuid()).pw_name == "root" else []  # it refuses to run as root
    process = subprocess.Popen([program, "-q", *user, str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield make_url(url).set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    finally:
        process.kill()
        process.wait()
