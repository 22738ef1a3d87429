"""Interpretation of the broker's answers: filled quantity decides first, the order's state second."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import ENDED_SHORT, TERMINAL
from shared.contracts.vocabulary import IntentStatus


class OrderState(StrEnum):
    """Broker's order, reduced to its fields used here; an unknown status is WORKING."""

    WORKING = "WORKING"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"


def outcome_of_fills(
    intent: ExitIntent,
    filled_total: int,
    order_state: OrderState,
    *,
    order_quantity: int | None = None,
    slot_free: bool = True,
) -> IntentStatus:
    """Return the intent's status according to the broker; its current one if nothing changes.

    Parameters
    ----------
    filled_total:
        Sum of the intent's known fills. A sum below the known one is an out-of-order answer and is ignored:
        cumulative fill never decreases.
    order_quantity:
        Quantity of the order at the broker, if known. Somebody may have lowered it there: an order complete with the
        lower one has ended, and the rest exits with a new order.
    slot_free:
        For late fills: False if another live or filled intent holds the trade's slot; the status then stays.

    An order raised at the broker may fill beyond the intent: the intent is complete then.
    """
    filled = max(intent.filled_quantity, filled_total)
    complete = filled >= intent.quantity
    if intent.status in TERMINAL:
        late = intent.status in ENDED_SHORT and intent.was_sent
        return IntentStatus.FILLED if late and complete and slot_free else intent.status
    if complete:
        return IntentStatus.FILLED
    lowered = order_state is OrderState.COMPLETE and filled == order_quantity
    return _short_of_complete(filled, OrderState.CANCELLED if lowered else order_state)


def _short_of_complete(filled: int, order_state: OrderState) -> IntentStatus:
    match order_state:
        case OrderState.WORKING | OrderState.COMPLETE:
            # COMPLETE before all fills are known: the trade book lags behind the order book.
            return IntentStatus.PARTIALLY_FILLED if filled else IntentStatus.PLACED
        case OrderState.CANCELLED:
            return IntentStatus.CANCELLED
        case OrderState.REJECTED:
            return IntentStatus.CANCELLED if filled else IntentStatus.FAILED
    assert_never(order_state)
