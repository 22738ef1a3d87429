"""Recorded ticks: CSV with the header ``symbol,ltp,ts,seq``, or JSON lines."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from shared.contracts.events import describe
from shared.contracts.ticks import Tick, parse_tick
from shared.errors import InvalidInput, MalformedMessage

CSV_COLUMNS = frozenset({"symbol", "ltp", "ts"})


@dataclass(frozen=True)
class RecordedTick:
    """A tick and its line number in the file, from 1."""

    line: int
    tick: Tick


class BadLine(InvalidInput):
    """An invalid line of a tick file."""

    code = "bad_line"

    def __init__(self, file: Path, line: int, what: str) -> None:
        super().__init__(f"{file}: line {line}: {what}")
        self.line = line


def read_ticks(file: Path, from_line: int = 1) -> Iterator[RecordedTick]:
    """Yield the ticks of a file in order; skip empty lines.

    Parameters
    ----------
    from_line:
        Lines before it are not read as ticks.

    Raises
    ------
    BadLine
        A line that is no tick; all lines before it were given out.
    InvalidInput
        The file cannot be read, or it is CSV with another header.
    """
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            start = lines.read(1)
            lines.seek(0)
            yield from (_json_lines if start == "{" else _csv)(file, lines, from_line)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error


def _json_lines(file: Path, lines: Iterator[str], from_line: int) -> Iterator[RecordedTick]:
    for number, line in enumerate(lines, 1):
        if number < from_line or not line.strip():
            continue
        try:
            yield RecordedTick(number, Tick.of(parse_tick(line.encode())))
        except MalformedMessage as error:
            raise BadLine(file, number, str(error)) from error


def _csv(file: Path, lines: Iterator[str], from_line: int) -> Iterator[RecordedTick]:
    reader = csv.DictReader(lines, strict=True)
    _require_header(file, reader.fieldnames or ())
    try:
        for row in reader:
            if reader.line_num >= from_line:
                yield RecordedTick(reader.line_num, _tick_of_row(file, reader.line_num, row))
    except csv.Error as error:
        raise BadLine(file, reader.line_num, str(error)) from error


def _require_header(file: Path, names: object) -> None:
    missing = CSV_COLUMNS.difference(names if isinstance(names, list | tuple) else ())
    if missing:
        raise BadLine(file, 1, f"the header must be symbol,ltp,ts,seq; missing: {', '.join(sorted(missing))}")


def _tick_of_row(file: Path, line: int, row: dict[str | None, str | None]) -> Tick:
    if None in row:
        raise BadLine(file, line, "more fields than the header has")
    try:
        return Tick.model_validate_strings({name: value for name, value in row.items() if value})
    except ValidationError as error:
        raise BadLine(file, line, describe(error)) from error
