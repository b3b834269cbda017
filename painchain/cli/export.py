"""``painchain export``: write the events of a filter to a file or to standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

import click

from painchain.cli.common import (
    chosen,
    filter_options,
    local_zone,
    opened,
    quiet_end,
    reason_option,
    stop,
    trail,
    utf8,
    whole_file,
)
from painchain.eventlog import writer
from painchain.exports import export as event_export
from painchain.exports.export import FORMATS, Exported, ExportNeedsAuditing, Format, Selection
from painchain.presentation.formatting import printable
from painchain.timeline.queries import Filter


@click.command()
@click.option("--format", "key", type=click.Choice(list(FORMATS)), default="ndjson", show_default=True, help="How.")
@click.option("--output", callback=utf8, metavar="FILE", help="Write to a file, wholly or not at all.")
@filter_options
@reason_option
def export(key: str, output: str | None, reason: str, **given: Any) -> None:
    """Write events, newest first. A filter can be repeated: any of its values will do.

    The export goes on the record. Exit code 1: auditing is off or the database or the file cannot be used.
    """
    with opened("The events cannot be exported"), quiet_end():
        wanted = chosen(given, local_zone())
        with writing_to(output) as file:
            selection = started(wanted, FORMATS[key], reason)
            several = progress(event_export.chunks(selection), selection.events)
            for piece in event_export.written(FORMATS[key], several):
                # On a terminal nothing in an event may act.
                file.write(printable(piece.replace("\r\n", "\n")) if file.isatty() else piece)


def started(wanted: Filter, format: Format, reason: str) -> Selection:
    """Put the export on the record, or stop."""
    now = datetime.now(UTC)
    selection = event_export.select(wanted)
    try:
        with writer.writing() as event_log:
            event_export.begin(selection, format, trail(event_log, now, reason=reason))
    except ExportNeedsAuditing as refusal:
        stop(f"Nothing was exported. {refusal}", 1)
    return selection


def progress(several: Iterable[Sequence[Exported]], total: int) -> Iterator[Sequence[Exported]]:
    """Pass events on and show on standard error how far they are, if that is a terminal."""
    with click.progressbar(length=total, label="Exporting", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        for events in several:
            yield events
            bar.update(len(events))


@contextmanager
def writing_to(output: str | None) -> Iterator[TextIO]:
    """Open the file that is written, which takes its name when it is whole; or standard output."""
    if output is None:
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")  # type: ignore[union-attr]
        yield sys.stdout
        sys.stdout.flush()
        return
    with whole_file(output, 0o666, mode="w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        yield file
