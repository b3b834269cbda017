"""The tables of people: who may sign in, who is signed in, one-time links, tokens of scripts, failed attempts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from painchain.database.session import Base
from painchain.database.types import RowId, UtcMicroseconds


class Person(Base):
    """One account. `key` is the name as it is compared, `password` its argon2id hash.

    `issuer` and `subject` say who it is to the OpenID Connect provider through which it signed in first.
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
    """One browser that somebody is signed in with. `id` is the SHA-256 of what its cookie holds."""

    __tablename__ = "sign_ins"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    person_id: Mapped[int] = mapped_column(RowId, ForeignKey("people.id", ondelete="CASCADE"), index=True)
    began: Mapped[datetime] = mapped_column(UtcMicroseconds)
    seen: Mapped[datetime] = mapped_column(UtcMicroseconds)
    address: Mapped[str] = mapped_column(Text)
    browser: Mapped[str] = mapped_column(Text)
    way: Mapped[str] = mapped_column(Text)


class OneTimeLink(Base):
    """A link that works once: to set a new password, or (`person_id` None) to make the first account.

    `id` is the SHA-256 of the secret in the link.
    """

    __tablename__ = "one_time_links"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    person_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("people.id", ondelete="CASCADE"), index=True)
    expires: Mapped[datetime] = mapped_column(UtcMicroseconds)


class ApiToken(Base):
    """A script's token: `hash` is its SHA-256; it may do what its role allows, and its owner still may."""

    __tablename__ = "api_tokens"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  an id is never given out twice

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
