"""Parsing of trade events: pure, from bytes to events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder

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


class Reduced(Struct, frozen=True, gc=False):
    """`TradePartiallyClosed` as far as exits need it; the others of its fields take most of the time to read."""

    trade_id: UUID
    symbol: str


class Closed(Reduced, frozen=True, gc=False):
    """`TradeClosed`."""


TradeRecord = TradeOpened | TradeExitPlanChanged | TradeAdjusted | Reduced
_PLANNED: Final = frozenset(event.event_type() for event in (TradeOpened, TradeExitPlanChanged, TradeAdjusted))
_REDUCING: Final[Mapping[str, Decoder[Reduced]]] = {
    TradePartiallyClosed.event_type(): Decoder(Reduced),
    TradeClosed.event_type(): Decoder(Closed),
}
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
    if event_type in _REDUCING:
        return _reduced(event_type, value or b"")
    if event_type not in _PLANNED:
        return None
    event = parse_event(event_type, value)
    assert isinstance(event, TradeOpened | TradeExitPlanChanged | TradeAdjusted)
    if isinstance(event, TradeOpened) and epoch_ms(event.entered_at) > arrived_ms:
        return event.model_copy(update={"entered_at": EPOCH + timedelta(milliseconds=arrived_ms)})
    return event


def _reduced(event_type: str, value: bytes) -> Reduced:
    try:
        return _REDUCING[event_type].decode(value)
    except ValidationError as error:
        raise MalformedMessage(f"{event_type}: {error}") from error
    except (DecodeError, RecursionError) as error:
        raise MalformedMessage(f"{event_type}: not JSON: {error}") from error
