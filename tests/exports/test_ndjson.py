"""The NDJSON export has every event as the API has it."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from sqlalchemy import select

from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.database.types import stored_json
from painchain.exports.export import event_json
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from tests.conftest import ON_SQLITE
from tests.support.exports import Events, Report, newest_first, texts_of


@pytest.mark.both_databases
def test_ndjson_equals_the_api_with_the_chain_position(app: Flask, events: Events, report: Report) -> None:
    for number in range(3):
        report(author=f"person {number}")
    with app.app_context():
        lines = texts_of("ndjson").splitlines()
    exported = [json.loads(line) for line in lines]
    extra_members = {"chain", "connector_type"}
    assert [{name: event[name] for name in event if name not in extra_members} for event in exported] == newest_first(
        events
    )
    assert all(extra_members < set(event) for event in exported)


TEXTS = (
    *("plain", "née → “quoted” 😀", 'back\\slash "quote" /', "tab\tline\nend\x1b[0m\x08", "delete \x7f", '{"a": "b"}'),
    *("\u2028 \uffff", "", "%s {0} ?", "it's", 'a: "b", "c": d'),
)


@pytest.mark.both_databases
@pytest.mark.parametrize("spaces", [False, True], ids=["as stored now", "with the spaces of older versions"])
def test_ndjson_is_byte_for_byte_what_the_encoder_makes_of_each_event(
    app: Flask,
    report: Report,
    spaces: bool,
) -> None:
    for text in TEXTS:
        report(field=f"field {text}", old_value=[text, 1.5, None, True], new_value={text: -7})
    with app.app_context():
        table = ChangeEvent.__table__
        for number, description, metadata in db.session.execute(
            select(table.c.id, table.c.description, table.c.metadata)
        ).all():
            text = TEXTS[number % len(TEXTS)]
            values = {"description": {**description, "more": {text: [text]}}, "metadata": {**metadata, "more": [text]}}
            stored = {name: json.dumps(value) if spaces else stored_json(value) for name, value in values.items()}
            as_json = "CAST(:{0} AS JSON)" if db.engine.dialect.name == "postgresql" else ":{0}"
            names = ", ".join(f"{name} = {as_json.format(name)}" for name in stored)
            plain = {
                "title": text,
                "author": text or "nobody",
                "url": text,
                "number": number,
                "time": number * 1_000_003,
            }
            db.session.execute(
                db.text(
                    f"UPDATE change_events SET {names}, title = :title, author = :author, url = :url,"
                    " recorded_at = :time WHERE id = :number"
                ),
                {**stored, **plain},
            )
        db.session.commit()
        macs = {0: bytes(32), **{row.id: row.mac for row in db.session.execute(select(table.c.id, table.c.mac))}}
        events = queries.page(Filter(), limit=100).events
        expected = [
            {
                **event_json(event),
                "connector_type": event.connector_type,
                "chain": {"version": 1, "previous": macs[event.id - 1].hex(), "mac": event.mac.hex()},
            }
            for event in events
        ]
        lines = texts_of("ndjson").splitlines(keepends=True)
    assert len(events) > len(TEXTS)
    assert lines == [json.dumps(event, separators=(",", ":")) + "\n" for event in expected]


@ON_SQLITE
@pytest.mark.parametrize("values", ["timestamp = 253402300800000000", "timestamp = -1", "recorded_at = 'yesterday'"])
def test_an_export_does_not_leave_out_an_event_that_it_cannot_read(app: Flask, report: Report, values: str) -> None:
    report()
    with app.app_context():
        db.session.execute(db.text(f"UPDATE change_events SET {values}"))
        db.session.commit()
        with pytest.raises(ValueError, match="values that PainChain did not write"):
            texts_of("ndjson")
