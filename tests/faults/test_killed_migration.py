"""An upgrade of an old database that is killed at any statement is done completely by the next start."""

from __future__ import annotations

import shutil
from pathlib import Path

import sqlalchemy as sa

from painchain import migrations
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.integrity import derived_data, verification
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.database.test_old_databases import Rows, filled_instance, old_database  # noqa: F401  fixtures
from tests.faults.conftest import LONG
from tests.faults.upgrading import KILLED, upgrade
from tests.support.server_process import FORKSERVER

REVISION = "0006"
SAMPLES = 3


def run_upgrade(folder: Path, until: int) -> int | None:
    """Upgrade in another process, and return its exit code."""
    process = FORKSERVER.Process(target=upgrade, args=(folder, until))
    process.start()
    process.join()
    return process.exitcode


def test_an_upgrade_that_is_killed_at_any_statement_is_done_by_the_next_start(
    filled_instance: tuple[Path, Rows],  # noqa: F811
    tmp_path: Path,
) -> None:
    folder, rows = filled_instance
    old = tmp_path / "old"
    shutil.copytree(folder, old, ignore=shutil.ignore_patterns("*.db*"))
    old_database(old, "", REVISION, rows)
    whole = shutil.copytree(old, tmp_path / "whole")
    assert run_upgrade(whole, 0) == 0
    statements = int((whole / "statements").read_text())
    assert statements > 100
    samples = (*range(statements // SAMPLES, statements, statements // SAMPLES), statements)
    killed_at = range(1, statements + 1) if LONG else samples
    for until in killed_at:
        instance = shutil.copytree(old, tmp_path / str(until))
        assert run_upgrade(instance, until) == KILLED, until
        app = create_app(settings_for(instance))
        with app.app_context():
            with db.engine.connect() as connection:
                version = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
                count = connection.scalar(sa.select(sa.func.count()).select_from(ChangeEvent))
            # Chain Begun is recorded by the upgrade itself: no kill leaves it out.
            assert (version, count - len(rows["change_events"])) == (migrations.NEWEST, 1), until
            assert verification.verify_chain().broken is None, until
            assert derived_data.find_problems() == [], until
        close(app)
        shutil.rmtree(instance)
