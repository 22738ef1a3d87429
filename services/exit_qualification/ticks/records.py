"""What records of the two topics say: pure, from bytes to facts the engine can take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from shared.clock import EPOCH
from shared.contracts.events import parse_event
from shared.contracts.ticks import parse_tick
from shared.contracts.trades import TradeClosed, TradeOpened, TradePartiallyClosed
from shared.errors import MalformedMessage
from shared.kafka import murmur2_partition

_MICROSECOND: Final = timedelta(microseconds=1)
_LATEST: Final = datetime(2255, 1, 1, tzinfo=EPOCH.tzinfo)
_KNOWN: Final = frozenset(event.event_type() for event in (TradeOpened, TradePartiallyClosed, TradeClosed))
_SYMBOLS_REMEMBERED: Final = 100_000

MOST_AHEAD_MS: Final = 60_000


@dataclass(slots=True)
class TickRecord:
    """A tick as the engine takes it: price in units of 1/10,000 rupee, times in microseconds since 1970.

    `arrived_ms` is when Kafka's record was made, in milliseconds since 1970.
    """

    symbol: str
    price: int
    ts_us: int
    seq: int
    arrived_ms: int = 0


@lru_cache(maxsize=_SYMBOLS_REMEMBERED)
def home_partition(symbol: str, partitions: int) -> int:
    """The one partition on which a symbol's ticks and trades meet."""
    return murmur2_partition(symbol.encode(), partitions)


def read_tick(value: bytes | None, arrived_ms: int = 0) -> TickRecord:
    """The tick in a record's value.

    Raises
    ------
    MalformedMessage
        Not a tick, a price of zero or less, or a time that no market has.
    """
    symbol, price, ts_us, seq = parse_tick(value)
    return TickRecord(symbol, price, ts_us, seq, arrived_ms)


def require_not_ahead(tick: TickRecord, now_ms: int) -> None:
    """Refuse a tick from the future: accepted, it would make every true tick of its symbol stale until then.

    Raises
    ------
    MalformedMessage
        Its time is more than a minute after `now_ms`, milliseconds since 1970.
    """
    if tick.ts_us > (now_ms + MOST_AHEAD_MS) * 1000:
        raise MalformedMessage(f"ts: {tick.symbol} is more than {MOST_AHEAD_MS // 1000} s ahead of the clock")


TradeRecord = TradeOpened | TradePartiallyClosed | TradeClosed


def read_trade(event_type: str, value: bytes | None) -> TradeRecord | None:
    """The event of a trade; None for one that was discarded and for a type of event that is not known here.

    Raises
    ------
    MalformedMessage
        The record does not say its type, or is not what its type says.
    """
    if not event_type:
        raise MalformedMessage("the header ce_type is missing")
    if event_type not in _KNOWN:
        return None
    event = parse_event(event_type, value)
    assert isinstance(event, TradeOpened | TradePartiallyClosed | TradeClosed)
    if isinstance(event, TradeOpened):
        _require_sane("entered_at", event.entered_at)
    return event


def _require_sane(field: str, instant: datetime) -> None:
    """Refuse what the database could store but never give back."""
    if not EPOCH <= instant < _LATEST:
        raise MalformedMessage(f"{field}: not a time between {EPOCH.year} and {_LATEST.year}")
