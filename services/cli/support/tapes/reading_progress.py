"""Progress of a command reading recorded ticks."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


def reading_progress() -> Progress:
    """Return a progress display on standard error, if it is a terminal.

    Its tasks have the field `place`, as ``line 12``.
    """
    stderr = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[place]}"),
        TimeElapsedColumn(),
        transient=True,
        console=stderr,
        disable=not stderr.is_terminal,
    )
