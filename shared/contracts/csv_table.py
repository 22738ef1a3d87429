"""CSV as people have it: the columns and the rows of a file, whatever its delimiter."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import InvalidInput

_DELIMITERS: Final = ",;\t|"


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of a line, without empty ones; or why it has none."""

    line: int
    fields: Mapping[str, Any]
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


def read_csv(lines: Iterable[str]) -> Table:
    """Return the rows below the header, the first line with text. The most frequent delimiter there counts.

    A row with more fields than columns is an error: its fields may be under the wrong names. A row without any text
    is left out, as spreadsheets write them below the last line.

    Raises
    ------
    InvalidInput
        There is no header, its quotes do not match, or it names a column twice: either could be meant.
    """
    rest = iter(lines)
    number, first = next(((number, line) for number, line in enumerate(rest, 1) if line.strip()), (1, ""))
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        names = tuple(name.strip() for name in next(csv.reader([first], delimiter=delimiter, strict=True), []))
    except csv.Error as error:
        raise InvalidInput(f"the header is not CSV: {error}") from error
    if not any(names):
        raise InvalidInput("the header is missing; it must name the columns")
    if twice := sorted(name for name, count in Counter(names).items() if name and count > 1):
        raise InvalidInput(f"the header names {', '.join(twice)} twice")
    return Table(names, _rows(csv.reader(rest, delimiter=delimiter, strict=True), names, header=number))


def _rows(reader: Any, names: tuple[str, ...], header: int) -> Iterator[Row]:
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(header + reader.line_num, {}, str(error))
            continue
        if len(values) > len(names):
            yield Row(header + reader.line_num, {}, "more fields than the header has")
        elif any(map(str.strip, values)):
            named = zip(names, map(str.strip, values), strict=False)
            yield Row(header + reader.line_num, {name: value for name, value in named if value})
