"""Table: the rows of a file, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of a line, or why it has none."""

    line: int
    fields: Fields
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of a file.

    Attributes
    ----------
    names:
        Names of the columns; None for a file with rows of named fields.
    """

    names: tuple[str, ...] | None
    rows: Iterator[Row]
