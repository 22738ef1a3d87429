"""Lines of a CSV file as models; every wrong line is named."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

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
    reader = csv.DictReader(lines)
    needed = columns[: len(columns) - optional]
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise InvalidInput(f"the header lacks {', '.join(missing)}; use {','.join(columns)}")
    found, wrong = [], []
    for row in reader:
        try:
            values = {name: (row.get(name) or "").strip() for name in columns}
            found.append(model.model_validate({"line": reader.line_num, **values}))
        except ValidationError as error:
            wrong.append(f"line {reader.line_num}: {describe(error)}")
    if wrong:
        raise InvalidInput("; ".join(wrong))
    if not found:
        raise InvalidInput("there is no line after the header")
    return found
