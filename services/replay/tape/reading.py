"""Reading of a tick file."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from services.replay.tape.format import TapeFormat
from services.replay.tape.recorded import BadLine, BadRow, RecordedTick
from services.replay.tape.rows import read_table
from services.replay.tape.ticks import TickRows
from shared.contracts.csv_table import Row
from shared.errors import unreadable


class Tape:
    """A tick file: CSV, JSON, candles of Kite's API or Parquet; gzip, a byte order mark and CRLF are fine.

    Attributes
    ----------
    skipped:
        Number of invalid lines left out so far, see `TapeFormat.skip_bad`.
    """

    def __init__(self, file: Path, tape_format: TapeFormat, from_line: int = 1) -> None:
        self._file = file
        self._format = tape_format
        self._from_line = from_line
        self._rows: TickRows | None = None
        self.skipped = 0

    @property
    def name(self) -> str:
        """Return the name of the file."""
        return self._file.name

    def place(self, tick: RecordedTick) -> str:
        """Return where a tick stands."""
        return f"line {tick.line}"

    def remarks(self) -> Iterator[str]:
        """Yield notes for a reader about the rows left out so far."""
        if self.skipped:
            yield f"left out {self.skipped} invalid lines"

    def __iter__(self) -> Iterator[RecordedTick]:
        """Yield the ticks in the file's order, from its start; empty lines are no lines.

        Raises
        ------
        BadLine
            A line is not a tick; all lines before it were given out.
        InvalidInput
            The file cannot be read.
        """
        self.skipped = 0
        try:
            with self._file.open("rb") as opened:
                table = read_table(self._file, opened)
                self._rows = None if table.names is None else self._of_columns(table.names)
                for row in table.rows:
                    if row.line >= self._from_line:
                        yield from self._ticks(row)
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise unreadable(self._file, error) from error

    def _of_columns(self, names: tuple[str, ...]) -> TickRows:
        try:
            return TickRows(self._format, names)
        except BadRow as error:
            raise BadLine(self._file, 1, str(error)) from error

    def _ticks(self, row: Row) -> Iterator[RecordedTick]:
        try:
            if self._rows is None:
                self._rows = TickRows(self._format, _names(row))
            yield from self._rows.ticks(row)
        except BadRow as error:
            if not self._format.skip_bad:
                raise BadLine(self._file, row.line, str(error)) from error
            self.skipped += 1


def _names(row: Row) -> tuple[str, ...]:
    if row.error is not None:
        raise BadRow(row.error)
    return tuple(row.fields)
