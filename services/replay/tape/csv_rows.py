"""Rows of CSV: of recorded ticks, and of books of trades."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Any, Final

from services.replay.tape.recorded import BadRow
from services.replay.tape.table import Row, Table

_DELIMITERS: Final = ",;\t|"


def read_csv(lines: Iterable[str]) -> Table:
    """Return the rows below the header, the first line with text; the delimiter is the one it has most of.

    Raises
    ------
    BadRow
        There is no header, or its quotes do not match.
    """
    rest = iter(lines)
    number, first = next(((number, line) for number, line in enumerate(rest, 1) if line.strip()), (1, ""))
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        names = tuple(name.strip() for name in next(csv.reader([first], delimiter=delimiter, strict=True), []))
    except csv.Error as error:
        raise BadRow(f"the header is not CSV: {error}") from error
    if not any(names):
        raise BadRow("the header is missing; it must name the columns")
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
        elif values:
            named = zip(names, map(str.strip, values), strict=False)
            yield Row(header + reader.line_num, {name: value for name, value in named if value})
