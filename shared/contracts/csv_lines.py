"""Lines of a CSV file as models; every wrong line is named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from shared.contracts.csv_table import Row, read_csv
from shared.contracts.events import describe
from shared.errors import InvalidInput

Line = TypeVar("Line", bound=BaseModel)


def read_csv_lines(lines: Iterable[str], model: type[Line], columns: Sequence[str], optional: int = 0) -> list[Line]:
    """Return a model for each line of a CSV file, with the line's number in its field `line`.

    Parameters
    ----------
    columns:
        Fields of the model in the file; the last `optional` of them may be left out.

    Raises
    ------
    InvalidInput
        The header lacks a column, a line is not valid, or there is none; every wrong line is named.
    """
    table = read_csv(lines)
    needed = columns[: len(columns) - optional]
    missing = [name for name in needed if name not in (table.names or ())]
    if missing:
        raise InvalidInput(f"the header lacks {', '.join(missing)}; use {','.join(columns)}")
    found, wrong = [], []
    for row in table.rows:
        try:
            found.append(_model_of(row, model, columns))
        except InvalidInput as error:
            wrong.append(f"line {row.line}: {error}")
    if wrong:
        raise InvalidInput("; ".join(wrong))
    if not found:
        raise InvalidInput("there is no line after the header")
    return found


def _model_of(row: Row, model: type[Line], columns: Sequence[str]) -> Line:
    if row.error is not None:
        raise InvalidInput(row.error)
    try:
        return model.model_validate({"line": row.line, **{name: row.fields.get(name, "") for name in columns}})
    except ValidationError as error:
        raise InvalidInput(describe(error)) from error
