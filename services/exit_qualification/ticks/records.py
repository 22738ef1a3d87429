"""Parsing of trade events: pure, from bytes to events."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, get_args

from shared.contracts.discarded import Discarded
from shared.contracts.events import parse_event
from shared.contracts.trades import (
    TradeAdjusted,
    TradeChargesChanged,
    TradeClosed,
    TradeExitPlanChanged,
    TradeOpened,
    TradePartiallyClosed,
)
from shared.errors import MalformedMessage
from shared.instants import EPOCH, epoch_ms

TradeRecord = TradeOpened | TradeExitPlanChanged | TradeAdjusted | TradePartiallyClosed | TradeClosed
_KNOWN: Final = frozenset(event.event_type() for event in get_args(TradeRecord))
WITHOUT_EFFECT: Final = frozenset({Discarded.event_type(), TradeChargesChanged.event_type()})
"""Known types without an effect on exits."""


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
