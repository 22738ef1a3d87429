"""Event of stop orders held by brokers for trades."""

from __future__ import annotations

from uuid import UUID

from shared.contracts.events import ExitEvent, register
from shared.contracts.exits import Timestamp
from shared.contracts.topics import EXIT_INTENTS
from shared.contracts.vocabulary import Direction, ProtectiveStopStatus
from shared.money import Money


@register
class ProtectiveStopChanged(ExitEvent):
    """The broker confirmed, ended or triggered a protective stop, or a placing of it failed."""

    topic = EXIT_INTENTS

    stop_id: UUID
    """The protective stop; each order at the broker has one."""
    user_broker_id: str
    """The account of the order."""
    symbol: str
    """Exchange and trading symbol."""
    direction: Direction
    """The direction of the trade, not of the stop order."""
    status: ProtectiveStopStatus
    """ARMED: the broker holds it with these terms. TRIGGERED: `intent_id` is the exit with its fills."""
    quantity: int
    """Quantity of the stop order."""
    trigger_price: Money
    """Price at which the broker sends it to the market."""
    client_order_id: str
    """The tag of the order at the broker."""
    broker_order_id: str | None = None
    """The order at the broker, once known."""
    intent_id: UUID | None = None
    """The exit with the fills of the order, once it was triggered."""
    reason: str | None = None
    """Why it ended, e.g. EXIT, TRADE_CLOSED, PLAN_CHANGED, DAY_ENDED, BY_BROKER, REJECTED_BY_BROKER."""
    message: str | None = None
    """Why it ended, for people."""
    occurred_at: Timestamp
    """When this step was committed."""

    @property
    def subject(self) -> str:
        """Return the stop's id."""
        return str(self.stop_id)
