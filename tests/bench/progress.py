"""Show what the bench is doing, on standard error, and end it if a step takes too long."""

from __future__ import annotations

import signal
import time

import click

_began = time.monotonic()


def begin(step: str, seconds: float) -> None:
    """Show that a step begins. The next one must begin within `seconds`.

    :raises SystemExit: from whatever the bench waits for then.
    """

    def end(*_: object) -> None:
        raise SystemExit(f"This step did not end within {seconds:.0f} s: {step}")

    click.echo(f"{time.monotonic() - _began:6.0f} s  {step}", err=True)
    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
