"""Rows of a Parquet file; needs the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Final

from shared.contracts.csv_table import Row, Table
from shared.errors import InvalidInput

_ROWS_AT_ONCE: Final = 10_000
_NEEDED: Final = "reading Parquet needs the package pyarrow: pip install 'exitflow[parquet]'"


def read_parquet(path: Path, opened: IO[bytes]) -> Table:
    """Return the rows of an open file; a null or a NaN is a missing field.

    Raises
    ------
    InvalidInput
        It is no Parquet, or pyarrow is not installed; of a damaged part, when its rows are read.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InvalidInput(f"{path}: {_NEEDED}") from error
    try:
        file = parquet.ParquetFile(opened)
    except pyarrow.ArrowException as error:
        raise _not_read(path, error) from error
    return Table(tuple(file.schema_arrow.names), _rows(pyarrow, path, file))


def _rows(arrow: ModuleType, path: Path, file: Any) -> Iterator[Row]:
    number = 0
    try:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            table = arrow.Table.from_batches([batch])
            for fields in table.cast(_in_microseconds(arrow, table.schema), safe=False).to_pylist():
                number += 1
                yield Row(number, {name: value for name, value in fields.items() if not _is_missing(value)})
    except arrow.ArrowException as error:
        raise _not_read(path, error) from error


def _in_microseconds(arrow: ModuleType, schema: Any) -> Any:
    """Return a schema without nanoseconds: pandas writes them, and a datetime cannot hold them."""
    for nth, field in enumerate(schema):
        if arrow.types.is_timestamp(field.type) and field.type.unit == "ns":
            schema = schema.set(nth, field.with_type(arrow.timestamp("us", field.type.tz)))
        elif field.type == arrow.time64("ns"):
            schema = schema.set(nth, field.with_type(arrow.time64("us")))
    return schema


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # a NaN differs from itself; in pandas it is a missing number


def _not_read(path: Path, error: Exception) -> InvalidInput:
    return InvalidInput(f"{path} cannot be read as Parquet: {error}")
