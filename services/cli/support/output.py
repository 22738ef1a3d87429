"""Output of commands: JSON for programs, tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 200
"""Columns of a table without a terminal's limit."""


def console() -> Console:
    """Return the standard output console; wide without a terminal, to write whole lines to files."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def show_json(data: Any) -> None:
    """Print `data` as indented JSON."""
    print(json.dumps(data, indent=2))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print a table; None is shown as an empty cell, numbers stand on the right."""
    console().print(table_of(columns, rows, title=title))


def show_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """Print names and values, one pair a line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(name, cell(value))
    console().print(grid)


def table_of(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> Table:
    """Create a table with one heading per column."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(cell, row))
    return table


def cell(value: Any) -> str:
    """Format a value for a table cell, without interpreting markup."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        value = json.dumps(value)
    return str(value).replace("[", "\\[")


def note(message: str) -> None:
    """Print one line for people to standard error, apart from output for programs."""
    print(message, file=sys.stderr)
