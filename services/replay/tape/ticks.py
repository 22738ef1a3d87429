"""Ticks of a row: one of a tick dump, four of a candle."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.replay.tape.format import CandlePath, TapeFormat
from services.replay.tape.recorded import BadRow, RecordedTick
from services.replay.tape.times import Times
from shared.contracts.csv_table import Row
from shared.contracts.trades import is_symbol
from shared.errors import InvalidInput
from shared.money import market_units

_CANDLE: Final = ("open", "high", "low", "close")
_SEQ_LIMIT: Final = 2**63
_WHOLE: Final = re.compile(r"([0-9]{1,19})(?:\.0*)?")
"""A whole number; where some rows have none, pandas writes the others as 7.0."""
_GROUPED: Final = re.compile(r"[0-9]{1,3}(,[0-9]{2,3})*,[0-9]{3}\.[0-9]+")
"""A price with its thousands set off, as spreadsheets write it; without decimals its comma may be a decimal one."""
_CANDLE_TIME: Final = "date"
"""Name of a candle's time in Kite's files, besides ``ts``."""


class TickRows:
    """Converts the rows of one file. The names of the columns, or of the first row's fields, tell the kind of rows.

    Raises
    ------
    BadRow
        A required column is missing.
    """

    def __init__(self, tape_format: TapeFormat, names: tuple[str, ...]) -> None:
        self._format = tape_format
        self._times = Times(tape_format)
        fields = ("symbol", "ltp", "ts", "seq", "arrived", *_CANDLE)
        self._columns = {name: _among(names, tape_format.column(name)) for name in fields}
        self._is_candles = self._columns["ltp"] not in names and all(self._columns[name] in names for name in _CANDLE)
        if self._is_candles and self._columns["ts"] not in names and "ts" not in tape_format.columns:
            self._columns["ts"] = _among(names, _CANDLE_TIME)
        whole = self._columns["ts"]
        self._time = (whole,) if whole in names else tuple(_among(names, each) for each in whole.split("+"))
        self._require(names)

    def ticks(self, row: Row) -> Iterator[RecordedTick]:
        """Yield the ticks of a row; none if its symbol or day is not wanted.

        Raises
        ------
        BadRow
            It is not a tick.
        """
        if row.error is not None:
            raise BadRow(row.error)
        symbol = self._symbol(row.fields)
        if self._format.symbol not in (None, symbol):
            return
        ts_us = self._times.us("ts", self._value(row.fields, "ts"))
        if self._format.date is not None and self._times.day(ts_us) != self._format.date:
            return
        if self._is_candles:
            yield from self._candle(row, symbol, ts_us)
        else:
            seq, arrived_ms = self._seq(row.fields), self._arrived_ms(row.fields)
            yield RecordedTick(row.line, symbol, self._price(row.fields, "ltp"), ts_us, seq, arrived_ms)

    def _require(self, names: tuple[str, ...]) -> None:
        needed = ["ts", *([] if self._is_candles else ["ltp"]), *([] if self._format.symbol else ["symbol"])]
        missing = sorted(name for name in needed if not set(self._parts(name)) <= set(names))
        if missing:
            example = ",".join(f"{name}=NAME" for name in missing)
            hint = f"name them with --columns {example}" + (", or the symbol with --symbol" * ("symbol" in missing))
            raise BadRow(f"missing: {', '.join(missing)}; the file has {', '.join(names)}; {hint}")

    def _candle(self, row: Row, symbol: str, ts_us: int) -> Iterator[RecordedTick]:
        """Yield open, both extremes and close in the order of the path, at the candle's time."""
        first, high, low, last = (self._price(row.fields, name) for name in _CANDLE)
        if not low <= min(first, last) <= max(first, last) <= high:
            raise BadRow("high and low of the candle are not its extremes")
        path = self._format.candles
        low_first = last >= first if path is CandlePath.AUTO else path is CandlePath.LOW_FIRST
        between = (low, high) if low_first else (high, low)
        for nth, price in enumerate((first, *between, last)):
            yield RecordedTick(row.line, symbol, price, ts_us, nth, between=nth > 0)

    def _value(self, fields: Mapping[str, Any], name: str) -> Any:
        values = [fields.get(column) for column in self._parts(name)]
        if None in values:
            raise BadRow(f"{name}: missing")
        return values[0] if len(values) == 1 else " ".join(map(str, values))

    def _parts(self, name: str) -> tuple[str, ...]:
        """Return the columns of a field: a time may have two, as ``Date+Time``."""
        return self._time if name == "ts" else (self._columns[name],)

    def _symbol(self, fields: Mapping[str, Any]) -> str:
        symbol = fields.get(self._columns["symbol"], self._format.symbol)
        if isinstance(symbol, str) and ":" not in symbol and self._format.exchange is not None:
            symbol = f"{self._format.exchange}:{symbol}"
        if not isinstance(symbol, str) or not is_symbol(symbol):
            hint = "; say its exchange with --exchange" if isinstance(symbol, str) and ":" not in symbol else ""
            raise BadRow(f"symbol: {symbol!r} is not EXCHANGE:SYMBOL{hint}")
        return symbol

    def _price(self, fields: Mapping[str, Any], name: str) -> int:
        value = self._value(fields, name)
        if isinstance(value, str) and "," in value:
            value = _without_groups(name, value.strip())
        try:
            price = market_units(value)
        except (InvalidInput, TypeError) as error:
            raise BadRow(f"{name}: {error}") from error
        if price <= 0:
            raise BadRow(f"{name}: not above 0")
        return price

    def _seq(self, fields: Mapping[str, Any]) -> int:
        value = fields.get(self._columns["seq"])
        if value is None:
            return 0
        whole = _WHOLE.fullmatch(str(value))
        seq = -1 if whole is None else int(whole[1])
        if not 0 <= seq < _SEQ_LIMIT:
            raise BadRow(f"seq: {value!r} is not an integer of 0 to 2^63 - 1")
        return seq

    def _arrived_ms(self, fields: Mapping[str, Any]) -> int:
        value = fields.get(self._columns["arrived"])
        return 0 if value is None else self._times.us("arrived", value) // 1000


def _without_groups(name: str, text: str) -> str:
    if not _GROUPED.fullmatch(text):
        raise BadRow(f"{name}: {text!r} has a comma; decimals need a point, as 1500.25 or 1,500.25")
    return text.replace(",", "")


def _among(names: tuple[str, ...], column: str) -> str:
    """Return a column as the file writes it, in capitals or not; as it is given if none or several are alike."""
    alike = [name for name in names if name.casefold() == column.casefold()]
    return alike[0] if len(alike) == 1 else column
