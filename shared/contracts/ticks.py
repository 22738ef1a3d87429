"""Market ticks, the only records in another format than CloudEvents."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder as JsonDecoder
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from shared.clock import rfc3339
from shared.contracts.trades import Symbol, is_symbol
from shared.errors import InvalidInput, MalformedMessage
from shared.instants import EPOCH
from shared.money import Amount, MarketMoney, from_units, market_units

_SECOND_TEXT: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
_REST_TEXT: Final = r"(?:\.([0-9]{1,9}))?(?:Z|\+00:00)"
_SECOND: Final = re.compile(_SECOND_TEXT)
_REST: Final = re.compile(_REST_TEXT)
_SECOND_LENGTH: Final = len("2026-01-13T03:45:00")
_END_S: Final = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
_MOST_REMEMBERED: Final = 100_000
_LONGEST_REMEMBERED: Final = 32
_SEQ_LIMIT: Final = 2**63
_NOT_AN_INSTANT: Final = "tick: ts: not RFC 3339 text in UTC such as 2026-01-13T03:45:00.123Z"

TickFields = tuple[str, int, int, int]
"""A tick as symbol and whole numbers: the price in 1/10,000 rupee, the time in microseconds since 1970, and seq."""


class TickRecord(Struct, gc=False):
    """A tick's JSON; unknown fields are ignored, however large or deep, and a seq of null is absent."""

    symbol: str
    ltp: str | int | float
    ts: str
    seq: int | None = None


_decode: Final = JsonDecoder(TickRecord).decode


def parse_tick(value: bytes | None) -> TickFields:
    """Return the tick in a record's value.

    Raises
    ------
    MalformedMessage
        Not JSON, a field missing or out of range; a price of zero or less is malformed too.
    """
    value = value or b""
    try:
        if not value.isascii():
            value.decode()  # the decoder skips unknown fields without looking at their text
        told = _decode(value)
    except ValidationError as error:
        raise MalformedMessage(f"tick: {error}") from error
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"tick: not JSON: {error}") from error
    ts, seq = told.ts, told.seq
    if seq is None:
        seq = 0
    elif not 0 <= seq < _SEQ_LIMIT:
        raise MalformedMessage("tick: seq: not an integer of 0 to 2^63 - 1")
    return (
        _SYMBOLS[told.symbol],
        _PRICES[told.ltp],
        _SECONDS_US[ts[:_SECOND_LENGTH]] + _FRACTIONS_US[ts[_SECOND_LENGTH:]],
        seq,
    )


class _Memo(dict[Any, Any]):
    """Results of a pure function for the keys seen lately; a lookup of a known key runs no Python code.

    Emptied when full, to bound its size. Long texts and large numbers are not kept.
    """

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        self._compute = compute

    def __missing__(self, key: Any) -> Any:
        result = self._compute(key)
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        if len(key) <= _LONGEST_REMEMBERED if isinstance(key, str) else isinstance(key, float):
            self[key] = result
        return result


def instant_us(text: object) -> int:
    """Return microseconds since 1970 of RFC 3339 text in UTC; further digits are dropped.

    No other form is accepted: a number may be seconds or milliseconds, a text without a zone any zone's.

    Raises
    ------
    MalformedMessage
        Not such a text, or not a time between 1970 and 2199.
    """
    if not isinstance(text, str):
        raise MalformedMessage(_NOT_AN_INSTANT)
    return _second_us(text[:_SECOND_LENGTH]) + _fraction_us(text[_SECOND_LENGTH:])


def _second_us(text: str) -> int:
    try:
        seconds = int(datetime.fromisoformat(f"{text}+00:00").timestamp()) if _SECOND.fullmatch(text) else -1
    except ValueError as error:
        raise MalformedMessage(f"tick: ts: {error}") from error
    if not 0 <= seconds < _END_S:
        raise MalformedMessage("tick: ts: not RFC 3339 text of a time between 1970 and 2199")
    return seconds * 1_000_000


def _fraction_us(text: str) -> int:
    rest = _REST.fullmatch(text)
    if rest is None:
        raise MalformedMessage(_NOT_AN_INSTANT)
    return int((rest[1] or "0")[:6].ljust(6, "0"))


def _symbol(symbol: str) -> str:
    if not is_symbol(symbol):
        raise MalformedMessage("tick: symbol: not EXCHANGE:SYMBOL")
    return symbol


def _price(amount: Amount) -> int:
    try:
        price = market_units(amount)
    except InvalidInput as error:
        raise MalformedMessage(f"tick: ltp: {error}") from error
    if price <= 0:
        raise MalformedMessage("tick: ltp: not above 0")
    return price


_SYMBOLS: Final[dict[str, str]] = _Memo(_symbol)
_PRICES: Final[dict[Amount, int]] = _Memo(_price)
_SECONDS_US: Final[dict[str, int]] = _Memo(_second_us)
_FRACTIONS_US: Final[dict[str, int]] = _Memo(_fraction_us)


def _market_time(told: object) -> datetime:
    if isinstance(told, datetime) and told.tzinfo is not None:
        return told
    try:
        return EPOCH + timedelta(microseconds=instant_us(told))
    except MalformedMessage as error:
        raise ValueError(str(error)) from error


def _absent_when_null(seq: object) -> object:
    return 0 if seq is None else seq


MarketTime = Annotated[
    datetime,
    BeforeValidator(_market_time),
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "pattern": f"^{_SECOND_TEXT}{_REST_TEXT}$".replace("(?:", "(")}
    ),
]
"""A pydantic field type: RFC 3339 text in UTC and nothing else."""


class Tick(BaseModel):
    """The last traded price of a symbol. `(ts, seq)` orders the ticks of a symbol."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    symbol: Symbol
    ltp: Annotated[MarketMoney, Field(gt=Decimal(0))]
    ts: MarketTime
    seq: Annotated[int, BeforeValidator(_absent_when_null), Field(ge=0, lt=_SEQ_LIMIT)] = 0

    @classmethod
    def of(cls, fields: TickFields) -> Tick:
        """Build a tick from fields already converted to whole numbers."""
        symbol, price, ts_us, seq = fields
        ts = EPOCH + timedelta(microseconds=ts_us)
        return cls.model_construct(symbol=symbol, ltp=from_units(price), ts=ts, seq=seq)
