"""What commands print and exit with. Importing this module loads neither the database nor Flask."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from painchain.core.text import printable


def stop(message: str, code: int = 2) -> NoReturn:
    """Exit with a message. Exit code 2: the request is not valid. 1: it could not be carried out."""
    click.echo(f"painchain: {message}", err=True)
    raise SystemExit(code)


def utf8(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Return the value of an option if it is valid UTF-8."""
    for text in [value] if isinstance(value, str) else value or ():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise click.BadParameter("not valid UTF-8 text.") from None
    return value


def plain(text: str) -> str:
    """Return a text in one line, with control characters escaped.

    >>> plain("one\\ntwo\\x1b[2J")
    'one\\\\ntwo\\\\x1b[2J'
    """
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def count_noun(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is 1.

    >>> count_noun(1, "event"), count_noun(2000, "event")
    ('1 event', '2,000 events')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
