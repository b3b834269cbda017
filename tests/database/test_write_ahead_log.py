"""The write-ahead log of a SQLite database that has grown becomes small again."""

import sqlite3
from contextlib import closing
from pathlib import Path

from flask import Flask
from sqlalchemy import text

from painchain.database.session import db
from painchain.database.write_ahead_log import USUAL_BYTES
from painchain.workers.scheduler import Scheduler
from tests.conftest import ON_SQLITE


@ON_SQLITE
def test_a_long_write_ahead_log_is_emptied_as_soon_as_nobody_reads_it(app: Flask) -> None:
    with app.app_context(), db.engine.begin() as connection:
        file = Path(f"{db.engine.url.database}-wal")
        connection.execute(text("CREATE TABLE large (content BLOB)"))
    with closing(sqlite3.connect(str(file).removesuffix("-wal"), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM large").fetchone() == (0,)
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(text("INSERT INTO large VALUES (zeroblob(:size))"), {"size": USUAL_BYTES})
        Scheduler(app).look()
        assert file.stat().st_size > USUAL_BYTES
        assert reader.execute("SELECT count(*) FROM large").fetchone() == (0,)
        reader.execute("COMMIT")
        Scheduler(app).look()
        assert file.stat().st_size < USUAL_BYTES
        assert reader.execute("SELECT length(content) FROM large").fetchone() == (USUAL_BYTES,)
