"""``painchain export``: write the events of a filter to a file or to standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

import click

from painchain.cli.common import (
    chosen_filter,
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
from painchain.exports.export import FORMATS, ExportNeedsAuditing, Format, Selection, Slice
from painchain.presentation.formatting import printable
from painchain.timeline.filter import Filter


@click.command()
@click.option(
    "--format", "key", type=click.Choice(list(FORMATS)), default="ndjson", show_default=True, help="File format."
)
@click.option(
    "--output", callback=utf8, metavar="FILE", help="Write to this file. It is created when the export is complete."
)
@click.option("--bom", is_flag=True, help="Begin CSV with a byte order mark, so that spreadsheets read it as UTF-8.")
@filter_options
@reason_option
def export(key: str, output: str | None, bom: bool, reason: str, **options: Any) -> None:
    """Write events, newest first, to a file or to standard output.

    Repeat a filter option to match any of several values. The export is recorded in the audit log.

    Exit code 1: auditing is off, the database cannot be read, or the file cannot be written.
    """
    with opened("Cannot export the events"), quiet_end():
        filter = chosen_filter(options, local_zone())
        with writing_to(output) as file:
            selection = record_export(filter, FORMATS[key], reason)
            slices = with_progress(event_export.slices(selection, FORMATS[key]), selection.events)
            for text in event_export.render(FORMATS[key], slices, bom):
                # Control characters in an event must not reach a terminal.
                file.write(printable(text.replace("\r\n", "\n")) if file.isatty() else text)


def record_export(filter: Filter, format: Format, reason: str) -> Selection:
    """Select the events and record the export, or stop."""
    now = datetime.now(UTC)
    selection = event_export.select(filter)
    try:
        with writer.writing() as event_log:
            event_export.record_export(selection, format, trail(event_log, now, reason=reason))
    except ExportNeedsAuditing as refusal:
        stop(f"Nothing was exported. {refusal}", 1)
    return selection


def with_progress(slices: Iterable[Slice], total: int) -> Iterator[Slice]:
    """Yield the slices of an export, with a progress bar if standard error is a terminal."""
    with click.progressbar(length=total, label="Exporting", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        for events in slices:
            yield events
            bar.update(events.events)


@contextmanager
def writing_to(output: str | None) -> Iterator[TextIO]:
    """Open the output file, which gets its name once it is complete; or standard output."""
    if output is None:
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")  # type: ignore[union-attr]
        yield sys.stdout
        sys.stdout.flush()
        return
    with whole_file(output, 0o666, mode="w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        yield file
