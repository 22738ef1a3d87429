"""Candles as Kite's API answers them: an object with a list of values for each candle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from shared.contracts.csv_table import Row, Table

_NAMES: Final = ("date", "open", "high", "low", "close", "volume", "oi")


def has_candles(text: str) -> bool:
    """Return whether a text is an answer with candles."""
    return _candles_in(text) is not None


def read_candles(answers: Iterable[str]) -> Table:
    """Return the candles of answers, numbered from 1; empty texts are none."""
    return Table(_NAMES, _rows(text for text in answers if text.strip()))


def _rows(answers: Iterable[str]) -> Iterator[Row]:
    number = 0
    for text in answers:
        candles = _candles_in(text)
        for values in [None] if candles is None else candles:
            number += 1
            yield _row(number, values)


def _row(number: int, values: Any) -> Row:
    if not isinstance(values, list) or len(values) > len(_NAMES):
        return Row(number, {}, "not a candle of Kite")
    named = zip(_NAMES, values, strict=False)
    return Row(number, {name: value for name, value in named if value is not None})


def _candles_in(text: str) -> Sequence[Any] | None:
    try:
        told = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    data = told.get("data") if isinstance(told, dict) else None
    candles = data.get("candles") if isinstance(data, dict) else None
    return candles if isinstance(candles, list) else None
