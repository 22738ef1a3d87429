"""Rows of a tick file: CSV, JSON lines, a JSON array, candles of Kite's API or Parquet, plain or gzipped."""

from __future__ import annotations

from collections.abc import Iterator
from gzip import GzipFile
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, cast

import msgspec

from services.replay.tape.kite_candles import has_candles, read_candles
from services.replay.tape.parquet_rows import read_parquet
from services.replay.tape.recorded import BadLine
from shared.contracts.csv_table import Row, Table, read_csv
from shared.errors import InvalidInput

_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"


def read_table(file: Path, opened: IO[bytes]) -> Table:
    """Return the rows of an open file; its first bytes tell its format.

    Raises
    ------
    BadLine
        It is CSV without a header.
    InvalidInput
        It is Parquet and damaged, or pyarrow is not installed.
    """
    plain = cast("IO[bytes]", GzipFile(fileobj=opened)) if _starts_with(_GZIP, opened) else opened
    if _starts_with(_PARQUET, plain):
        return read_parquet(file, plain)
    lines, first = _begin(TextIOWrapper(plain, encoding="utf-8-sig", newline=""))
    if first.startswith("["):
        return Table(None, _json_array(file, lines))
    if first.startswith("{"):
        return _json_objects(lines, first)
    try:
        return read_csv(lines)
    except InvalidInput as error:
        raise BadLine(file, 1, f"{error}, e.g. symbol,ltp,ts,seq") from error


def _starts_with(magic: bytes, opened: IO[bytes]) -> bool:
    start = opened.read(len(magic))
    opened.seek(0)
    return start == magic


def _begin(text: Iterator[str]) -> tuple[Iterator[str], str]:
    """Return all lines, and the first one with text without the spaces before it."""
    read: list[str] = []
    for line in text:
        read.append(line)
        if line.strip():
            break
    return chain(read, text), read[-1].lstrip() if read else ""


def _json_objects(lines: Iterator[str], first: str) -> Table:
    """Return the rows of JSON lines, or of answers of Kite with candles: one on a line, or one on several lines."""
    if first.strip() == "{":
        whole = list(lines)
        answer = "".join(whole)
        return read_candles([answer]) if has_candles(answer) else Table(None, _json_lines(iter(whole)))
    return read_candles(lines) if has_candles(first) else Table(None, _json_lines(lines))


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
