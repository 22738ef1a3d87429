"""Progress of a command that reads a file of unknown length."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


def line_progress() -> Progress:
    """Return a progress display on standard error; its tasks have the field `line`, the last one read."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("line {task.fields[line]}"),
        TimeElapsedColumn(),
        transient=True,
        console=Console(stderr=True),
    )
