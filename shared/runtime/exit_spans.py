"""Spans of an exit, told by the events of its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.contracts.events import Event
from shared.contracts.exits import (
    ExitIntentApproved,
    ExitIntentCancelled,
    ExitIntentEvent,
    ExitIntentFailed,
    ExitIntentFilled,
    ExitIntentLateFill,
    ExitIntentPartiallyFilled,
    ExitIntentPlaced,
    ExitIntentRejected,
    ExitSignalPublished,
)
from shared.contracts.trades import TradeClosed, TradePartiallyClosed
from shared.ids import made_at_ms
from shared.instants import epoch_us

ATTRIBUTES = (
    "trade_id",
    "signal_id",
    "intent_id",
    "exit_intent_id",
    "symbol",
    "direction",
    "exit_reason",
    "episode_id",
    "user_broker_id",
    "quantity",
    "filled_quantity",
    "broker_order_id",
    "detected_price",
    "average_price",
    "exit_price",
    "net_pnl",
)
"""Fields of events copied to spans as `exitflow.<field>`."""


@dataclass(frozen=True, slots=True)
class SpanTerms:
    """A span.

    Attributes
    ----------
    start_ns:
        Nanoseconds since 1970.
    is_first:
        It is the first span of its exit, and the parent of the others.
    error:
        The failure; None without one.
    """

    name: str
    start_ns: int
    attributes: Mapping[str, str | int]
    is_first: bool = False
    error: str | None = None


def span_of(event: Event, began_ns: int) -> SpanTerms:
    """Return a span up to the commit of this event; `began_ns` is the start of the transaction."""
    name, start, error = _NAMES.get(type(event), (f"write {type(event).__name__}", None, None))
    return SpanTerms(
        name=name,
        start_ns=began_ns if start is None else start(event),
        attributes=_attributes(event),
        is_first=isinstance(event, ExitSignalPublished),
        error=None if error is None else error(event),
    )


def _attributes(event: Event) -> dict[str, str | int]:
    found = {name: getattr(event, name, None) for name in ATTRIBUTES}
    return {
        f"exitflow.{name}": value if isinstance(value, int) else str(value)
        for name, value in found.items()
        if value is not None
    }


def _ns(instant: datetime) -> int:
    return epoch_us(instant) * 1000


def _intent_made(event: ExitIntentEvent) -> int:
    return made_at_ms(event.intent_id) * 1_000_000


def _placed(event: ExitIntentEvent) -> int:
    return _intent_made(event) if event.placed_at is None else _ns(event.placed_at)


def _errors(event: ExitIntentRejected | ExitIntentFailed) -> str:
    return "; ".join(f"{each.code}: {each.message}" for each in event.errors) or "no error is known"


_NAMES: Mapping[type[Event], tuple[str, Callable[[Any], int] | None, Callable[[Any], str] | None]] = {
    ExitSignalPublished: ("detect exit", lambda event: _ns(event.detected_at), None),
    ExitIntentApproved: ("pass gates", _intent_made, None),
    ExitIntentRejected: ("pass gates", _intent_made, _errors),
    ExitIntentPlaced: ("place order", _intent_made, None),
    ExitIntentPartiallyFilled: ("fill order in part", _placed, None),
    ExitIntentFilled: ("fill order", _placed, None),
    ExitIntentFailed: ("place order", _intent_made, _errors),
    ExitIntentCancelled: ("cancel exit", _intent_made, None),
    ExitIntentLateFill: ("fill order late", _placed, None),
    TradeClosed: ("close trade", None, None),
    TradePartiallyClosed: ("close trade in part", None, None),
}
