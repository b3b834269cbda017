"""The configuration fields of a connector: how a value is entered, normalized and validated."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from painchain.connectors.token_scopes import TokenScopes
from painchain.core.redaction import holds_credentials
from painchain.core.text import is_blank

MAX_ITEMS, MAX_NORMALIZED = 200, 10_000
BLANK_OR_SLASH = "/" + "".join(chr(code) for code in range(0x3001) if chr(code).isspace())


class Kind(StrEnum):
    """The type of a configuration field: how it is entered, validated and compared."""

    TEXT = "text"
    URL = "url"
    NUMBER = "number"
    CHECKBOX = "checkbox"
    LIST = "list"
    TAGS = "tags"
    CERTIFICATE = "certificate"
    CHOICE = "choice"
    SECRET = "secret"  # noqa: S105  a kind of field, not a secret


class FieldError(ValueError):
    """An invalid value of a field; the message says what is valid."""


@dataclass(frozen=True)
class Field:
    """One configuration field of a connector. `document` is the section of the help pages that explains it.

    `choices` are the values of a choice with their labels. `check` raises FieldError if a text is invalid. Fields with
    the same `section` are shown together under this heading. `fallback(values)` returns what counts while this field is
    empty, given the values of the others. `format` is the language of a text that a machine reads. `item` is a regular
    expression for a text, or for each entry of a list.
    """

    key: str
    label: str
    kind: Kind
    default: Any = None
    required: bool = False
    unit: str = ""
    help: str = ""
    minimum: int = 0
    maximum: int = 0
    max_length: int = 500
    item: str = ""
    item_hint: str = ""
    off_warning: str = ""
    scopes: tuple[TokenScopes, ...] = ()
    document: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    check: Callable[[str], None] | None = None
    section: str = ""
    fallback: Callable[[Mapping[str, Any]], str] | None = None
    format: str = ""

    @property
    def caption(self) -> str:
        """The label with its unit, for forms."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def is_list(self) -> bool:
        """Whether the value is a list of strings."""
        return self.kind in (Kind.LIST, Kind.TAGS)

    def normalize(self, value: Any) -> Any:
        """Return `value` in the form in which this field is stored and compared.

        Empty (absent, ``None``, ``""``, ``[]``) is ``None``, or ``[]`` for a list.

        :raises FieldError: if the value has another type than the field.
        """
        if value is None or value == "" or value == []:
            return [] if self.is_list else None
        if self.is_list:
            return _texts(self, value)
        if self.kind is Kind.NUMBER:
            return _number(self, value)
        if self.kind is Kind.CHECKBOX:
            if not isinstance(value, bool):
                raise FieldError(f"{self.label} must be true or false.")
            return value
        if not isinstance(value, str):
            raise FieldError(f"{self.label} must be text.")
        text = (
            value.replace("\r\n", "\n").replace("\r", "\n").strip() if self.kind is Kind.CERTIFICATE else _plain(value)
        )
        if self.kind is Kind.URL:
            text = text.rstrip(BLANK_OR_SLASH)
        return text or None

    def clean(self, value: Any) -> Any:
        """Return `value` normalized and validated. A missing secret is not an error here: a stored one may exist.

        :raises FieldError: if it is invalid.
        """
        value = self.normalize(value)
        if value is None or value == []:
            if self.required and self.kind is not Kind.SECRET:
                raise FieldError(f"{self.caption} is required.")
            return value
        _CHECKS[self.kind](self, value)
        if self.check:
            self.check(value)
        return value


SEPARATORS = frozenset("\x0b\x0c\x1c\x1d\x1e\x1f\x85")  # control characters that Python treats as white space


def _plain(text: str) -> str:
    line = " ".join(text.splitlines())  # many combining characters in a row would take quadratic time
    return line.strip() if len(line) > MAX_NORMALIZED else unicodedata.normalize("NFC", line).strip()


def _texts(field: Field, value: Any) -> list[str]:
    if isinstance(value, str):
        value = re.split(r"[,\n\r]", value)
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise FieldError(f"{field.label} must be a list of strings.")
    for item in value:  # before Python strips them
        if separators := SEPARATORS.intersection(item):
            raise FieldError(f"{field.label} contains an unprintable character ({min(separators)!a}).")
    parts = (part for item in value for part in (item.split(",") if field.kind is Kind.TAGS else [item]))
    return list(dict.fromkeys(text for part in parts if (text := _plain(part))))


def _number(field: Field, value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise FieldError(f"{field.label} must be an integer{_range(field)}.")


def _range(field: Field) -> str:
    return f" between {field.minimum} and {field.maximum}" if field.maximum else ""


def _check_text(field: Field, value: str) -> None:
    _check_characters(field, value)
    if is_blank(value):
        raise FieldError(f"{field.label} needs a character that can be seen.")
    if holds_credentials(value):  # masked ones too: a refused form comes back with the mask
        raise FieldError(f"{field.label} must not contain a password or token: everybody can see it.")
    if field.kind is Kind.TEXT and field.item and not re.fullmatch(field.item, value):
        raise FieldError(f"{field.label} must be {field.item_hint}.")


def _check_characters(field: Field, value: str) -> None:
    if len(value) > field.max_length:
        raise FieldError(f"{field.label} can have at most {field.max_length} characters, not {len(value)}.")
    for character in value:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
            raise FieldError(f"{field.label} contains an unprintable character ({character!a}).")


def _check_url(field: Field, value: str) -> None:
    _check_characters(field, value)
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in value):
        raise FieldError(f"{field.label} must be a URL such as https://host.example.")
    if parts.username is not None or parts.password is not None:
        raise FieldError(f"{field.label} must not contain a user name or password; put the token in its own field.")
    if parts.query or parts.fragment:
        raise FieldError(f"{field.label} must not contain a query or fragment ('?' or '#').")


def _check_number(field: Field, value: int) -> None:
    if field.maximum and not field.minimum <= value <= field.maximum:
        raise FieldError(f"{field.label} must be an integer{_range(field)}.")


def _check_items(field: Field, value: list[str]) -> None:
    if len(value) > MAX_ITEMS:
        raise FieldError(f"{field.label} can list at most {MAX_ITEMS} entries, not {len(value)}.")
    for item in value:
        _check_text(field, item)
        if field.item and not re.fullmatch(field.item, item):
            raise FieldError(f"“{item}” is not {field.item_hint}.")


def _check_certificate(field: Field, value: str) -> None:
    from cryptography import x509  # takes 3 MB of memory

    _check_characters(field, value)
    if "PRIVATE KEY" in value:
        raise FieldError(f"{field.label} must not contain a private key. Paste only the certificate.")
    try:
        x509.load_pem_x509_certificates(value.encode())
    except ValueError:
        raise FieldError(f"{field.label} must be PEM text, from -----BEGIN CERTIFICATE----- to the END line.") from None


def _check_choice(field: Field, value: str) -> None:
    values = [value for value, _ in field.choices if value]
    if value not in values:
        raise FieldError(f"{field.label} must be one of {', '.join(values)}.")


_CHECKS: dict[Kind, Any] = {
    Kind.TEXT: _check_text,
    Kind.URL: _check_url,
    Kind.NUMBER: _check_number,
    Kind.CHECKBOX: lambda field, value: None,
    Kind.LIST: _check_items,
    Kind.TAGS: _check_items,
    Kind.CERTIFICATE: _check_certificate,
    Kind.CHOICE: _check_choice,
    Kind.SECRET: _check_characters,
}

NAME = Field("name", "Connection Name", Kind.TEXT, required=True, max_length=100, help="Shown on the timeline.")
TAGS = Field(
    "tags",
    "Tags",
    Kind.TAGS,
    max_length=50,
    help="Comma-separated. Added to this connector's events so you can filter by them.",
)


def poll_interval(minimum: int, help: str) -> Field:
    """Return the field for the poll interval, in seconds."""
    return Field("poll_interval", "Poll interval", Kind.NUMBER, 300, True, "seconds", help, minimum, 3600)
