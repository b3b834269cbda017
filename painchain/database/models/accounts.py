"""The tables of accounts: people, their sessions, one-time links, API tokens and failed sign-ins."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from painchain.database.session import Base
from painchain.database.types import RowId, UtcMicroseconds


class Person(Base):
    """One account. `key` is the name in the form that is compared, `password` its argon2id hash.

    `issuer` and `subject` identify it to the OpenID Connect provider through which it first signed in.
    """

    __tablename__ = "people"
    __table_args__ = (UniqueConstraint("issuer", "subject"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text, unique=True)
    email: Mapped[str | None] = mapped_column(Text, unique=True)
    role: Mapped[str] = mapped_column(Text)
    password: Mapped[str | None] = mapped_column(Text)
    issuer: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    created_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    created_by: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(default=1)


class SignIn(Base):
    """One signed-in browser. `id` is the SHA-256 of the value of its cookie."""

    __tablename__ = "sign_ins"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    person_id: Mapped[int] = mapped_column(RowId, ForeignKey("people.id", ondelete="CASCADE"), index=True)
    began: Mapped[datetime] = mapped_column(UtcMicroseconds)
    seen: Mapped[datetime] = mapped_column(UtcMicroseconds)
    address: Mapped[str] = mapped_column(Text)
    browser: Mapped[str] = mapped_column(Text)
    way: Mapped[str] = mapped_column(Text)


class OneTimeLink(Base):
    """A link that works once: to set a new password or, where `person_id` is None, to create the first account.

    `id` is the SHA-256 of the secret in the link.
    """

    __tablename__ = "one_time_links"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    person_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("people.id", ondelete="CASCADE"), index=True)
    expires: Mapped[datetime] = mapped_column(UtcMicroseconds)


class ApiToken(Base):
    """An API token. `hash` is its SHA-256. It has the rights of its `role`, limited to its owner's current rights."""

    __tablename__ = "api_tokens"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  an id is never reused

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text, unique=True)
    hash: Mapped[str] = mapped_column(Text, unique=True)
    role: Mapped[str] = mapped_column(Text)
    person_id: Mapped[int] = mapped_column(RowId, ForeignKey("people.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    expires: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    last_used: Mapped[datetime | None] = mapped_column(UtcMicroseconds)


class Attempt(Base):
    """One failed sign-in, counted against an account, a known browser or an address (`key`)."""

    __tablename__ = "attempts"
    __table_args__ = (Index(None, "key", "at"), Index(None, "at"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    key: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcMicroseconds)
