"""Instruments: the part of a broker's instruments file needed for exits, and its reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.contracts.csv_table import Row, read_csv
from shared.contracts.events import describe
from shared.contracts.trades import Symbol
from shared.errors import InvalidInput
from shared.exit_rules.prices import Price

NEEDED_COLUMNS: Final = ("exchange", "tradingsymbol")
MOST_INSTRUMENTS: Final = 1000
"""Instruments in one request."""


def _none_if_empty(value: Any) -> Any:
    """Return None for the marks of an unknown value in instruments files: an empty text or 0."""
    return None if value in ("", 0, "0") or (isinstance(value, float | Decimal) and value == 0) else value


Quantity = Annotated[Annotated[int, Field(ge=1, le=2**53)] | None, BeforeValidator(_none_if_empty)]


class Instrument(BaseModel):
    """One instrument. A missing field keeps its stored value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: Symbol
    instrument_type: Annotated[
        Annotated[str, Field(pattern=r"^[A-Z0-9]{1,10}$")] | None, BeforeValidator(_none_if_empty)
    ] = None
    tick_size: Annotated[Price | None, BeforeValidator(_none_if_empty)] = None
    lot_size: Quantity = None
    freeze_quantity: Quantity = None
    expiry: Annotated[Annotated[date, Field(ge=date(1970, 1, 1))] | None, BeforeValidator(_none_if_empty)] = None


def instrument_of(row: Mapping[str, Any]) -> Instrument:
    """Return the instrument in a row of a broker's file, by the names of Kite's columns.

    Raises
    ------
    InvalidInput
        The row is not an instrument.
    """
    fields = {name: row[name] for name in Instrument.model_fields if name != "symbol" and row.get(name) is not None}
    if isinstance(fields.get("tick_size"), float):
        fields["tick_size"] = Decimal(str(fields["tick_size"]))
    try:
        return Instrument(symbol=f"{row.get('exchange')}:{row.get('tradingsymbol')}", **fields)
    except ValidationError as error:
        raise InvalidInput(describe(error)) from error


def read_instruments_csv(lines: Iterable[str]) -> Iterator[tuple[int, Instrument | InvalidInput]]:
    """Yield line numbers with the instrument of each line of a CSV file, or with the line's error.

    Raises
    ------
    InvalidInput
        The header lacks a column.
    """
    table = read_csv(lines)
    missing = [name for name in NEEDED_COLUMNS if name not in (table.names or ())]
    if missing:
        raise InvalidInput(f"the header lacks {', '.join(missing)}; use the columns of Kite's instruments file")
    for row in table.rows:
        try:
            yield row.line, _instrument_in(row)
        except InvalidInput as error:
            yield row.line, error


def _instrument_in(row: Row) -> Instrument:
    if row.error is not None:
        raise InvalidInput(row.error)
    return instrument_of(row.fields)
