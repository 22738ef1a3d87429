"""Parsing of records of the two topics: pure, from bytes to input of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, get_args

from shared.clock import EPOCH, epoch_ms
from shared.contracts.events import parse_event
from shared.contracts.ticks import parse_tick
from shared.contracts.trades import TradeClosed, TradeExitPlanChanged, TradeOpened, TradePartiallyClosed
from shared.errors import MalformedMessage

TradeRecord = TradeOpened | TradeExitPlanChanged | TradePartiallyClosed | TradeClosed
_KNOWN: Final = frozenset(event.event_type() for event in get_args(TradeRecord))


@dataclass(slots=True)
class TickRecord:
    """Tick as engine input: price in units of 1/10,000 rupee, times in microseconds since 1970.

    `arrived_ms` is the arrival time of its record, in milliseconds since 1970.
    """

    symbol: str
    price: int
    ts_us: int
    seq: int
    arrived_ms: int


def read_tick(value: bytes | None, arrived_ms: int) -> TickRecord:
    """Return the tick in a record's value.

    Raises
    ------
    MalformedMessage
        The value is not a tick, or its price is not positive.
    """
    symbol, price, ts_us, seq = parse_tick(value)
    return TickRecord(symbol, price, ts_us, seq, arrived_ms)


def read_trade(event_type: str, value: bytes | None, arrived_ms: int) -> TradeRecord | None:
    """Return the event of a trade; None for discarded events and unknown types.

    The arrival of its record limits the entry time, regardless of the clock behind `entered_at`.

    Raises
    ------
    MalformedMessage
        The record has no type, or its value does not match its type.
    """
    if not event_type:
        raise MalformedMessage("the header ce_type is missing")
    if event_type not in _KNOWN:
        return None
    event = parse_event(event_type, value)
    assert isinstance(event, TradeRecord)
    if isinstance(event, TradeOpened) and epoch_ms(event.entered_at) > arrived_ms:
        return event.model_copy(update={"entered_at": EPOCH + timedelta(milliseconds=arrived_ms)})
    return event
