"""The types of columns that both databases store alike: UTC times and row ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring

from sqlalchemy import BigInteger, Integer, TypeDecorator
from sqlalchemy.engine import Dialect

from painchain.core.json_encoder import json_encoder

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The text of a value in a JSON column. Values are never circular, so that is not checked.
stored_json = json_encoder(ascii=False)
stored_text = encode_basestring  # the same for a text, in less time

# A row id that grows without end, on both databases.
RowId = BigInteger().with_variant(Integer, "sqlite")


class UtcMicroseconds(TypeDecorator[datetime]):
    """An aware UTC time, stored as whole microseconds since 1970: exact, compact and the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return the microseconds of `value`."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return the time that is `value` microseconds after 1970."""
        return None if value is None else moment(value)


def microseconds(value: datetime) -> int:
    """Return `value` as whole microseconds since 1970."""
    since = value - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(value: int) -> datetime:
    """Return the time that is `value` microseconds after 1970."""
    return EPOCH + timedelta(microseconds=value)


def iso(value: datetime) -> str:
    """Return `value` as JSON has it: ISO 8601 in UTC, to the microsecond."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
