"""Market ticks, the only records in another format than CloudEvents."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import from_json

from shared.clock import EPOCH, rfc3339
from shared.contracts.trades import Symbol, is_symbol
from shared.errors import InvalidInput, MalformedMessage
from shared.money import MarketMoney, from_units, market_units

_SECOND_TEXT: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
_REST_TEXT: Final = r"(?:\.([0-9]{1,9}))?(?:Z|\+00:00)"
_SECOND: Final = re.compile(_SECOND_TEXT)
_REST: Final = re.compile(_REST_TEXT)
_SECOND_LENGTH: Final = len("2026-01-13T03:45:00")
_END_S: Final = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
_SECONDS_REMEMBERED: Final = 1024
_SYMBOLS_REMEMBERED: Final = 100_000
_SEQ_LIMIT: Final = 2**63


class TickFields(NamedTuple):
    """A tick as whole numbers: the price in 1/10,000 rupee, the time in microseconds since 1970."""

    symbol: str
    price: int
    ts_us: int
    seq: int


def parse_tick(value: bytes | None) -> TickFields:
    """Return the tick in a record's value.

    Raises
    ------
    MalformedMessage
        Not JSON, a field missing or out of range; a price of zero or less is malformed too.
    """
    try:
        fields = from_json(value or b"", allow_inf_nan=False)
    except ValueError as error:
        raise MalformedMessage(f"tick: not JSON: {error}") from error
    return tick_fields(fields)


def tick_fields(fields: Any) -> TickFields:
    """Return the tick in a record's decoded JSON; ignore unknown fields.

    Raises
    ------
    MalformedMessage
        A field is missing or out of range.
    """
    if not isinstance(fields, dict):
        raise MalformedMessage("tick: not a JSON object")
    return TickFields(
        _symbol(fields.get("symbol")), _price(fields.get("ltp")), instant_us(fields.get("ts")), _seq(fields.get("seq"))
    )


def instant_us(text: object) -> int:
    """Return microseconds since 1970 of RFC 3339 text in UTC; further digits are dropped.

    No other form is accepted: a number may be seconds or milliseconds, a text without a zone any zone's.

    Raises
    ------
    MalformedMessage
        Not such a text, or not a time between 1970 and 2199.
    """
    if not isinstance(text, str):
        raise MalformedMessage("tick: ts: not RFC 3339 text in UTC such as 2026-01-13T03:45:00.123Z")
    rest = _REST.fullmatch(text, _SECOND_LENGTH)
    if rest is None:
        raise MalformedMessage("tick: ts: not RFC 3339 text in UTC such as 2026-01-13T03:45:00.123Z")
    fraction = rest[1]
    return _epoch_s(text[:_SECOND_LENGTH]) * 1_000_000 + (int(fraction[:6].ljust(6, "0")) if fraction else 0)


@lru_cache(maxsize=_SECONDS_REMEMBERED)
def _epoch_s(text: str) -> int:
    try:
        seconds = int(datetime.fromisoformat(f"{text}+00:00").timestamp()) if _SECOND.fullmatch(text) else -1
    except ValueError as error:
        raise MalformedMessage(f"tick: ts: {error}") from error
    if not 0 <= seconds < _END_S:
        raise MalformedMessage("tick: ts: not RFC 3339 text of a time between 1970 and 2199")
    return seconds


@lru_cache(maxsize=_SYMBOLS_REMEMBERED)
def _known_symbol(symbol: str) -> str:
    if not is_symbol(symbol):
        raise MalformedMessage("tick: symbol: not EXCHANGE:SYMBOL")
    return symbol


def _symbol(symbol: object) -> str:
    if not isinstance(symbol, str):
        raise MalformedMessage("tick: symbol: missing or not a text")
    return _known_symbol(symbol)


def _price(amount: Any) -> int:
    try:
        price = market_units(amount)
    except InvalidInput as error:
        raise MalformedMessage(f"tick: ltp: {error}") from error
    if price <= 0:
        raise MalformedMessage("tick: ltp: not above 0")
    return price


def _seq(seq: object) -> int:
    if seq is None:
        return 0
    if type(seq) is not int or not 0 <= seq < _SEQ_LIMIT:
        raise MalformedMessage("tick: seq: not an integer of 0 to 2^63 - 1")
    return seq


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
        ts = EPOCH + timedelta(microseconds=fields.ts_us)
        return cls.model_construct(symbol=fields.symbol, ltp=from_units(fields.price), ts=ts, seq=fields.seq)
