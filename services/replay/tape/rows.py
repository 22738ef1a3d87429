"""Rows of a tick file: CSV, JSON lines, a JSON array or Parquet, plain or gzipped."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from gzip import GzipFile
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, cast

import msgspec

from services.replay.tape.recorded import BadLine
from shared.errors import InvalidInput

_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"
_DELIMITERS: Final = ",;\t|"
_PARQUET_NEEDED: Final = "reading Parquet needs the package pyarrow: pip install 'exitflow[parquet]'"
_ROWS_AT_ONCE: Final = 10_000

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


def read_table(file: Path, opened: IO[bytes]) -> Table:
    """Return the rows of an open file; its first bytes tell its format.

    Raises
    ------
    BadLine
        It is CSV without a header.
    InvalidInput
        It is Parquet, and pyarrow is not installed.
    """
    start = opened.read(4)
    opened.seek(0)
    if start == _PARQUET:
        return _parquet(opened)
    plain = GzipFile(fileobj=opened) if start.startswith(_GZIP) else opened
    text = TextIOWrapper(cast("IO[bytes]", plain), encoding="utf-8-sig", newline="")
    first = next((line for line in text if line.strip()), "")
    lines = chain([first], text)
    if first.lstrip().startswith("["):
        return Table(None, _json_array(file, lines))
    if first.lstrip().startswith("{"):
        return Table(None, _json_lines(lines))
    return _csv(file, first, lines)


def _json_lines(lines: Iterator[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _json_row(number, line)


def _json_row(number: int, line: str) -> Row:
    try:
        fields = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        return Row(number, {}, f"not JSON: {error}")
    return _of_object(number, fields)


def _json_array(file: Path, lines: Iterator[str]) -> Iterator[Row]:
    try:
        elements = msgspec.json.decode("".join(lines), type=list[Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadLine(file, 1, f"not a JSON array: {error}") from error
    for number, element in enumerate(elements, 1):
        yield _of_object(number, element)


def _of_object(number: int, fields: Any) -> Row:
    return Row(number, fields) if isinstance(fields, dict) else Row(number, {}, "not a JSON object")


def _csv(file: Path, first: str, lines: Iterator[str]) -> Table:
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    names = tuple(name.strip() for name in next(reader, []))
    if not any(names):
        raise BadLine(file, 1, "the header is missing; it must name the columns, e.g. symbol,ltp,ts,seq")
    return Table(names, _csv_rows(reader, names))


def _csv_rows(reader: Any, names: tuple[str, ...]) -> Iterator[Row]:
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(reader.line_num, {}, str(error))
            continue
        if len(values) > len(names):
            yield Row(reader.line_num, {}, "more fields than the header has")
        elif values:
            named = zip(names, map(str.strip, values), strict=False)
            yield Row(reader.line_num, {name: value for name, value in named if value})


def _parquet(opened: IO[bytes]) -> Table:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise InvalidInput(_PARQUET_NEEDED) from error
    table = parquet.ParquetFile(opened)
    return Table(tuple(table.schema_arrow.names), _parquet_rows(table))


def _parquet_rows(table: Any) -> Iterator[Row]:
    number = 0
    for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE):
        for fields in batch.to_pylist():
            number += 1
            yield Row(number, {name: value for name, value in fields.items() if value is not None})
