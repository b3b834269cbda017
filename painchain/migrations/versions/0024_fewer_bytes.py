"""Fewer bytes for each event: shorter search terms, smaller indexes, and no table of tags."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from painchain.migrations.frozen import repository_words_0016, short_words_0024, words_0003

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

BATCH = 2000
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COLUMNS = (
    *("id", "event_id", "source", "event_type", "connector_id", "connector_name", "connector_type", "title"),
    *("description", "metadata", "author", "status", "url", "tags", "request_id", "timestamp", "recorded_at"),
    *("words", "mac"),
)
JSON_COLUMNS = ("description", "metadata", "tags")
FEED = ["timestamp", "id", "source", "event_type", "connector_id", "connector_name", "author", "status"]
FORMER_HISTORY = ["connector_id", "source", "timestamp", "id"]
OF_AUDIT, OF_OTHERS = "source = 'painchain'", "source <> 'painchain'"
FORMER_FTS5 = "words, content='change_events', content_rowid='id', columnsize=0, tokenize='ascii'"
# Without the positions of words; "_" begins the terms that are not words.
FTS5 = (
    "words, content='change_events', content_rowid='id', columnsize=0, detail=none, "
    """tokenize="ascii tokenchars '_'\""""
)
GIN = (
    "CREATE INDEX ix_change_events_words ON change_events "
    "USING gin (array_to_tsvector(array_remove(string_to_array(words, ' '), ''))) "
    "WITH (fastupdate = on, gin_pending_list_limit = 512)"
)


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.drop_table("event_tags")
    op.drop_index("ix_change_events_connector_id_source_timestamp_id", "change_events")
    op.drop_index("ix_change_events_request_id", "change_events")
    if is_sqlite:
        op.execute("DROP TABLE event_words")
        _shorten_in_place(op.get_bind())
        _index_words(FTS5)
    else:
        _write_again(op.get_bind())
    for name, columns, events in (
        ("ix_change_events_found", ["connector_id", "timestamp"], OF_OTHERS),
        ("ix_change_events_audit", ["connector_id", "timestamp"], OF_AUDIT),
        ("ix_change_events_request_id", ["request_id"], OF_AUDIT),
    ):
        where = sa.text(events)
        op.create_index(name, "change_events", columns, sqlite_where=where, postgresql_where=where)


def _shorten_in_place(connection: sa.Connection) -> None:
    """Let SQLite compute the shorter values itself. Its file does not shrink, but new events use what was freed."""
    driver: Any = connection.connection.driver_connection
    driver.create_function("short_words", 1, short_words_0024.words, deterministic=True)
    driver.create_function("short_list", 1, short_words_0024.json_list, deterministic=True)
    connection.execute(sa.text("UPDATE change_events SET words = short_words(words), tags = short_list(tags)"))


def _index_words(options: str) -> None:
    op.execute(f"CREATE VIRTUAL TABLE event_words USING fts5({options})")
    op.execute(
        "INSERT INTO event_words (rowid, words) "
        "SELECT id, words FROM change_events WHERE id <= (SELECT counted FROM log_head) ORDER BY id"
    )


def _write_again(connection: sa.Connection) -> None:
    """Write all rows again on PostgreSQL, whose updates would double the table and its indexes."""
    op.drop_index("ix_change_events_words", "change_events")
    op.drop_index("ix_change_events_feed", "change_events")
    op.drop_constraint("uq_change_events_event_id", "change_events")
    op.execute("CREATE TEMPORARY TABLE former_events ON COMMIT DROP AS SELECT * FROM change_events")
    op.execute("TRUNCATE change_events")
    texts = ", ".join(f"CAST({name} AS text)" if name in JSON_COLUMNS else name for name in COLUMNS)
    words, tags = COLUMNS.index("words"), COLUMNS.index("tags")
    driver: Any = connection.connection.driver_connection
    with driver.cursor(name="former") as former, driver.cursor() as cursor:
        former.execute(f"SELECT {texts} FROM former_events ORDER BY id")  # noqa: S608  names of columns
        while rows := former.fetchmany(BATCH):
            with cursor.copy(f"COPY change_events ({', '.join(COLUMNS)}) FROM STDIN") as copy:
                for row in map(list, rows):
                    row[words] = short_words_0024.words(row[words])
                    row[tags] = short_words_0024.json_list(row[tags])
                    copy.write_row(row)
    # An index of hashes takes half of the bytes. PostgreSQL compares the ids themselves where hashes are the same.
    op.execute(
        "ALTER TABLE change_events ADD CONSTRAINT uq_change_events_event_id EXCLUDE USING hash (event_id WITH =)"
    )
    op.create_index("ix_change_events_feed", "change_events", FEED)
    op.execute(GIN)


def downgrade() -> None:
    connection = op.get_bind()
    for name in ("ix_change_events_found", "ix_change_events_audit", "ix_change_events_request_id"):
        op.drop_index(name, "change_events")
    if connection.dialect.name == "sqlite":
        op.execute("DROP TABLE event_words")
    else:
        op.drop_constraint("uq_change_events_event_id", "change_events")
        op.create_unique_constraint("uq_change_events_event_id", "change_events", ["event_id"])
    tags = op.create_table(
        "event_tags",
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("event", ROW_ID, nullable=False),
        sa.PrimaryKeyConstraint("tag", "event", name="pk_event_tags"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_event_tags_event", "event_tags", ["event"])
    op.create_index("ix_change_events_connector_id_source_timestamp_id", "change_events", FORMER_HISTORY)
    op.create_index("ix_change_events_request_id", "change_events", ["request_id"])
    events = sa.table(
        "change_events", *(sa.column(name, sa.JSON if name in JSON_COLUMNS else None) for name in COLUMNS)
    )
    change = sa.update(events).where(events.c.id == sa.bindparam("number")).values(words=sa.bindparam("former"))
    last = 0
    while (
        rows := connection.execute(sa.select(events).where(events.c.id > last).order_by(events.c.id).limit(BATCH))
        .mappings()
        .all()
    ):
        former = [{"number": row["id"], "former": _former_words(dict(row))} for row in rows]
        connection.execute(change, former)
        if tagged := [{"tag": tag, "event": row["id"]} for row in rows for tag in dict.fromkeys(row["tags"])]:
            connection.execute(sa.insert(tags), tagged)
        last = rows[-1]["id"]
    if connection.dialect.name == "sqlite":
        _index_words(FORMER_FTS5)


def _former_words(event: dict[str, Any]) -> str:
    event["words"] = words_0003.words_of(event)
    return repository_words_0016.words_of(event)
