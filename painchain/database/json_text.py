"""Write rows as JSON text inside the database: many rows are one value, and none of their values becomes an object.

SQLite gives up Python's lock for each row that it returns. A thread that reads a thousand rows one by one therefore
waits a thousand times while other threads are busy, and makes them wait.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from painchain.core.json_encoder import in_ascii
from painchain.database.prepared import Prepared
from painchain.database.types import UtcMicroseconds, microseconds

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class _Object(FunctionElement[str]):
    """A JSON object of a row, as text."""

    type = Text()
    inherit_cache = False

    def __init__(self, members: Mapping[str, ColumnElement[Any]]):
        super().__init__(*members.values())
        self.members = members


class _Form(NamedTuple):
    """How a value of a type is written as JSON: a format, its arguments, and what PainChain's own values fulfil."""

    text: str
    arguments: tuple[str, ...]
    condition: str = ""


# JSON is stored as text, and times are stored as microseconds.
_HEX = "coalesce('\"' || nullif({0}, '') || '\"', 'null')"
_SQLITE = {
    JSON: _Form("%s", ("{0}",), "{0} IS NOT NULL"),
    LargeBinary: _Form("%s", (_HEX.format("lower(hex({0}))"),)),
    UtcMicroseconds: _Form(
        '"%s.%06dZ"',
        ("strftime('%Y-%m-%dT%H:%M:%S', {0} / 1000000, 'unixepoch')", "{0} % 1000000"),
        f"{{0}} BETWEEN 0 AND {microseconds(datetime.max.replace(tzinfo=UTC))}",
    ),
    object: _Form("%s", ("json_quote({0})",)),
}
_POSTGRESQL = {
    JSON: "CAST({0} AS text)",
    LargeBinary: _HEX.format("encode({0}, 'hex')"),
    UtcMicroseconds: "'\"' || to_char(timestamp 'epoch' + {0} / 1000000 * interval '1 second', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS') || '.' || substr(CAST(1000000 + mod({0}, 1000000) AS text), 2) || 'Z\"'",
    object: "coalesce(CAST(to_json({0}) AS text), 'null')",
}


@compiles(_Object, "sqlite")
def _object_on_sqlite(element: _Object, compiler: Any, **options: Any) -> str:
    """Write an object with one call of a function: joined one by one, its members take half as long again."""
    form = _form_on_sqlite(element, compiler, options)
    text = f"printf('{form.text}', {', '.join(form.arguments)})"
    return f"CASE WHEN {form.condition} THEN {text} END" if form.condition else text


def _form_on_sqlite(element: _Object, compiler: Any, options: Mapping[str, Any]) -> _Form:
    texts: list[str] = []
    arguments: list[str] = []
    conditions: list[str] = []
    for name, value in element.members.items():
        if isinstance(value, _Object):
            form = _form_on_sqlite(value, compiler, options)
        else:
            form = next(form for kind, form in _SQLITE.items() if isinstance(value.type, kind))
            sql = compiler.process(value, **options)
            form = _Form(form.text, tuple(a.format(sql) for a in form.arguments), form.condition.format(sql))
        texts.append(f'"{name}":{form.text}')
        arguments += form.arguments
        conditions += [form.condition] * bool(form.condition)
    return _Form(f"{{{','.join(texts)}}}", tuple(arguments), " AND ".join(conditions))


@compiles(_Object, "postgresql")
def _object_on_postgresql(element: _Object, compiler: Any, **options: Any) -> str:
    texts = []
    for start, (name, value) in zip("{" + "," * len(element.members), element.members.items(), strict=False):
        texts.append(f"'{start}\"{name}\":'")
        sql = compiler.process(value, **options)
        form = next(form for kind, form in _POSTGRESQL.items() if isinstance(value.type, kind))
        texts.append(f"({sql})" if isinstance(value, _Object) else form.format(sql))
    return f"{' || '.join(texts)} || '}}'"


def json_object(members: Mapping[str, ColumnElement[Any]]) -> ColumnElement[str]:
    """Return a column of JSON objects. Bytes are hexadecimal, times as in ``types.iso``; members can be objects."""
    return _Object(members)


class JsonLines:
    """Reads rows by their numbers, each as a line with a JSON object in ASCII, exactly as Python's encoder writes it.

    Stored JSON is taken as it is, because that encoder wrote it. Older versions of PainChain stored it with spaces:
    such lines are decoded and encoded again.
    """

    def __init__(self, number: ColumnElement[int], members: Mapping[str, ColumnElement[Any]]):
        self._number, self._members = number, members
        self._statements: dict[str, Prepared] = {}

    def read(self, connection: Connection, numbers: Sequence[int], **values: Any) -> str:
        """Return the lines of the rows with these numbers, in this order, without a line break at the end.

        `values` are those of the parameters that the members have.

        :raises ValueError: when PainChain did not write a value of a row, so that its line is unknown.
        """
        dialect = connection.dialect.name
        if dialect not in self._statements:
            self._statements[dialect] = Prepared(self._statement(dialect))
        [[lines, unknown]] = self._statements[dialect].all(connection, numbers=_encode(numbers), **values)
        if unknown:
            raise ValueError(f"{unknown} rows have values that PainChain did not write")
        stored = lines.encode() if isinstance(lines, str) else lines or b""
        if _may_have_spaces(stored):
            stored = b"\n".join(map(_without_spaces, stored.split(b"\n")))
        return in_ascii(stored).decode("ascii")

    def _statement(self, dialect: str) -> Select[Any]:
        is_sqlite = dialect == "sqlite"
        numbers, ten = bindparam("numbers", type_=Text), literal_column("10", Integer)  # a line break
        lines = select(_Object(self._members).label("line"))
        if is_sqlite:
            # SQLite goes through the list in its order. With LIMIT it makes each line only once.
            listed = func.json_each(numbers).table_valued("value", name="listed")
            lines = lines.select_from(listed.join(self._number.table, self._number == listed.c.value))
            rows = lines.limit(literal_column("-1")).offset(literal_column("0")).subquery()
            joined: ColumnElement[Any] = cast(func.group_concat(rows.c.line, func.char(ten)), LargeBinary)
        else:
            texts_of_numbers = func.json_array_elements_text(cast(numbers, JSON))
            listed = texts_of_numbers.table_valued("value", with_ordinality="place").render_derived()
            is_listed = self._number == cast(listed.c.value, BigInteger)
            rows = lines.select_from(listed.join(self._number.table, is_listed)).order_by(listed.c.place).subquery()
            joined = func.string_agg(rows.c.line, func.chr(ten))
        return select(joined, func.count() - func.count(rows.c.line))


def _may_have_spaces(lines: bytes) -> bool:
    """Return whether there may be spaces between the values of JSON. A text can contain the first of these, too."""
    return b'": ' in lines or b'", "' in lines


def _without_spaces(line: bytes) -> bytes:
    return _encode(json.loads(line)).encode() if _may_have_spaces(line) else line


def pairs(connection: Connection, query: Select[Any]) -> list[tuple[int, int]]:
    """Return the rows of a query of two numbers."""
    if connection.dialect.name != "sqlite":
        return [(first, second) for first, second in connection.execute(query).all()]
    lists: str = connection.execute(_listed(query)).scalar_one()
    return [(first, second) for first, second in json.loads(lists)]


def _listed(query: Select[Any]) -> Select[Any]:
    rows = query.subquery()
    return select(func.json_group_array(func.json_array(*rows.c)))


class PreparedPairs:
    """A frequent query of two numbers, which is compiled once."""

    def __init__(self, query: Select[Any]):
        self._rows, self._listed = Prepared(query), Prepared(_listed(query))

    def all(self, connection: Connection, **values: Any) -> list[tuple[int, int]]:
        """Return the rows that match."""
        if connection.dialect.name != "sqlite":
            return [(first, second) for first, second in self._rows.unconverted(connection, **values)]
        [[lists]] = self._listed.unconverted(connection, **values)
        return [(first, second) for first, second in json.loads(lists)]
