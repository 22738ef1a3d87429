"""Trades for tests, put where a test needs them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from services.exit_qualification.storage.open_trades import OpenedTrade, OpenTradeRepository
from shared.clock import SystemClock
from shared.contracts.trades import TradeClosed, TradeOpened, TradePartiallyClosed
from shared.contracts.vocabulary import Direction, ProductType
from shared.exit_rules.plan import ExitPlan
from shared.ids import new_id


def opened(
    direction: Direction = Direction.LONG,
    *,
    symbol: str = "NSE:INFY",
    entry: str = "1000.00",
    target: str | None = "1010.00",
    stop_loss: str | None = "990.00",
    quantity: int = 100,
    plan: dict[str, Any] | None = None,
    **more: Any,
) -> TradeOpened:
    """Return a TradeOpened: by default LONG 100 INFY at 1000, target 1010, stop 990, at user broker ``paper``.

    `plan` is an exit plan as on the wire, in the place of target and stop.
    """
    facts: dict[str, Any] = {
        "trade_id": new_id(),
        "symbol": symbol,
        "direction": direction,
        "product_type": ProductType.MIS,
        "user_broker_id": "paper",
        "quantity": quantity,
        "entry_price": Decimal(entry),
        "exit_plan": ExitPlan.model_validate(plan or {"target": target, "stop_loss": stop_loss}),
        "entered_at": SystemClock().now(),
    }
    return TradeOpened(**(facts | more))


def project(connection: Connection, *events: TradeOpened, partition: int = 0) -> None:
    """Put opened trades into ``open_trades`` and commit, as the tick worker would have."""
    OpenTradeRepository(connection).insert_opened([OpenedTrade(event, partition, entered_tick=0) for event in events])
    connection.commit()


def closed(event: TradeOpened) -> TradeClosed:
    """Return the event at the end of a trade."""
    facts = event.model_dump() | {
        "exit_intent_id": new_id(),
        "exit_price": "1010.00",
        "exit_reason": "TARGET",
        "gross_pnl": "1.00",
        "charges": "0.00",
        "net_pnl": "1.00",
        "closed_at": event.entered_at,
    }
    return TradeClosed.model_validate(facts)


def partially_closed(event: TradeOpened) -> TradePartiallyClosed:
    """Return the event after the sale of all but one of a trade's shares."""
    facts = closed(event).model_dump() | {"closed_quantity": event.quantity - 1, "open_quantity": 1}
    return TradePartiallyClosed.model_validate(facts | {"quantity": event.quantity})
