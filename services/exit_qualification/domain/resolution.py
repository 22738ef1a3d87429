"""Decisions of operators about an exit's order, and what they may not contradict. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from services.exit_qualification.domain.intent import ExitIntent
from shared.errors import InvalidInput

CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""Tolerance for the broker's clock, and for times read in whole minutes."""


class Resolution(StrEnum):
    """An operator's finding at the broker about an exit's order."""

    FILLED = "filled"
    FAILED = "failed"
    NOT_PLACED = "not_placed"


@dataclass(frozen=True, slots=True)
class KnownFill:
    """Execution of an exit's order, read at the broker by an operator or stored. Price in rupees."""

    broker_trade_id: str
    quantity: int
    price: Decimal
    filled_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """Outcome of an exit as decided by an operator, with the fills of its order and the broker's id of it."""

    resolution: Resolution
    fills: Sequence[KnownFill] = ()
    broker_order_id: str | None = None


def refuse_contradictions(intent: ExitIntent, decision: Decision, stored: Sequence[KnownFill], now: datetime) -> None:
    """Refuse a decision that contradicts itself, the exit, or the fills stored for it.

    Raises
    ------
    InvalidInput
        Naming the contradiction.
    """
    if decision.resolution is Resolution.FILLED:
        _refuse_quantities(intent, decision, stored)
    elif decision.fills:
        raise InvalidInput("an order with fills did not fail; resolve it as `filled`")
    elif decision.resolution is Resolution.NOT_PLACED and (stored or intent.broker_order_id is not None):
        raise InvalidInput(f"the broker has the order as {intent.broker_order_id}; it was placed")
    known = intent.broker_order_id
    if known is not None and decision.broker_order_id not in (None, known):
        raise InvalidInput(f"the order of this exit is {known}, not {decision.broker_order_id}")
    _refuse_other_facts(decision, stored)
    _refuse_times(intent, decision, now)


def _refuse_quantities(intent: ExitIntent, decision: Decision, stored: Sequence[KnownFill]) -> None:
    new = {fill.broker_trade_id: fill.quantity for fill in decision.fills}
    total = sum(({fill.broker_trade_id: fill.quantity for fill in stored} | new).values())
    if len(new) < len(decision.fills):
        raise InvalidInput("two fills have the same broker_trade_id")
    if not new and not stored:
        raise InvalidInput("send the fills of the order: `filled` needs at least one")
    if total > intent.quantity:
        raise InvalidInput(f"the fills are of {total} shares, the order of {intent.quantity}")
    if decision.broker_order_id is None and intent.broker_order_id is None:
        raise InvalidInput("send broker_order_id: the broker's id of the order is not known here")


def _refuse_other_facts(decision: Decision, stored: Sequence[KnownFill]) -> None:
    """Refuse other facts of a stored fill: the stored ones would count in silence."""
    known = {fill.broker_trade_id: fill for fill in stored}
    for fill in decision.fills:
        before = known.get(fill.broker_trade_id)
        if before is not None and (fill.quantity, fill.price) != (before.quantity, before.price):
            raise InvalidInput(f"fill {fill.broker_trade_id} is stored as {before.quantity} at {before.price}")


def _refuse_times(intent: ExitIntent, decision: Decision, now: datetime) -> None:
    """Refuse fills from before the order or from the future: their day identifies them, in the broker's books too."""
    sent_at = intent.submitted_at or intent.created_at
    for fill in decision.fills:
        if fill.filled_at < sent_at - CLOCKS_DIFFER:
            raise InvalidInput(f"fill {fill.broker_trade_id} is older than the order, sent at {sent_at.isoformat()}")
        if fill.filled_at > now + CLOCKS_DIFFER:
            raise InvalidInput(f"fill {fill.broker_trade_id} is in the future")
