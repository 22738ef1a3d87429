"""Trades opened by the service, and intent events told of them, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from services.trade_management.domain.trade import StoredTrade, Trade
from services.trade_management.trade_management_service import Opening, TradeManagementService
from shared.clock import SystemClock, trading_day
from shared.contracts.exits import (
    ExitIntentCancelled,
    ExitIntentEvent,
    ExitIntentFilled,
    ExitIntentLateFill,
    ExitIntentPartiallyFilled,
    Fill,
)
from shared.contracts.topics import TopicNames
from shared.contracts.vocabulary import Direction, ExitReason, ProductType
from shared.exit_rules.plan import ExitPlan
from shared.ids import client_order_id, new_id
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from tests.support.signing import SIGNER

CLOCK = SystemClock()
SERVICE = TradeManagementService(CLOCK)
PLANS = {
    Direction.LONG: ExitPlan(target=Decimal(1010), stop_loss=Decimal(990)),
    Direction.SHORT: ExitPlan(target=Decimal(990), stop_loss=Decimal(1010)),
}


def unit_of_work(engine: Engine, prefix: str = "") -> UnitOfWork:
    """A transaction with events to the environment of `prefix`."""
    return UnitOfWork(engine, Outbox(TopicNames(prefix), CLOCK, SIGNER))


def open_trade(engine: Engine, direction: Direction = Direction.LONG, **more: Any) -> Trade:
    """Open and commit a trade: by default LONG 100 INFY at 1000 MIS, now."""
    entered_at: datetime = more.get("entered_at", CLOCK.now())
    plan = more.pop("plan", PLANS[direction])
    terms: dict[str, Any] = {
        "trade_id": new_id(),
        "symbol": "NSE:INFY",
        "direction": direction,
        "product_type": ProductType.MIS,
        "user_broker_id": "paper",
        "quantity": 100,
        "open_quantity": 100,
        "entry_price": Decimal(1000),
        "entered_at": entered_at,
        "entered_on": trading_day(entered_at),
    }
    trade = Trade(**(terms | more))
    with unit_of_work(engine) as uow:
        openings = [Opening(trade, plan)]
        [stored] = SERVICE.open_trades(uow, openings, SERVICE.ask_standings(uow, openings).get())
        assert isinstance(stored, StoredTrade), stored
        uow.commit()
    return trade


def execution(quantity: int = 100, price: str = "1010", *, nth: int = 1, at: datetime | None = None) -> Fill:
    """The `nth` execution of an order."""
    return Fill(
        broker_order_id="260113000000001",
        broker_trade_id=f"T{nth}",
        quantity=quantity,
        price=Decimal(price),
        filled_at=at or CLOCK.now(),
    )


class Intent:
    """An exit intent of a trade, as exit qualification would tell of it."""

    def __init__(
        self, trade: Trade, reason: ExitReason = ExitReason.TARGET, quantity: int | None = None, leg: int | None = None
    ) -> None:
        self.intent_id = new_id()
        self._facts: dict[str, Any] = {
            "trade_id": trade.trade_id,
            "intent_id": self.intent_id,
            "signal_id": new_id(),
            "user_broker_id": trade.user_broker_id,
            "symbol": trade.symbol,
            "direction": trade.direction,
            "exit_reason": reason,
            "episode_id": 1,
            "leg": leg,
            "quantity": quantity or trade.quantity,
            "client_order_id": client_order_id(self.intent_id),
            "broker_order_id": "260113000000001",
            "placed_at": CLOCK.now(),
            "occurred_at": CLOCK.now(),
        }

    def filled(self, *fills: Fill, **other: Any) -> ExitIntentFilled:
        """All of it is filled."""
        result = {"average_price": fills[0].price, "filled_at": CLOCK.now(), "time_to_fill_ms": 5}
        return ExitIntentFilled(**self._with(fills, result | other))

    def partially_filled(self, *fills: Fill) -> ExitIntentPartiallyFilled:
        """Some of it is filled."""
        return ExitIntentPartiallyFilled(**self._with(fills))

    def cancelled(self, *fills: Fill) -> ExitIntentCancelled:
        """It ended with its fills so far."""
        return ExitIntentCancelled(**self._with(fills, {"reason": "UNFILLED"}))

    def late_fill(self, *fills: Fill) -> ExitIntentLateFill:
        """Fills came after its end."""
        return ExitIntentLateFill(**self._with(fills))

    def tell(self, event: type[ExitIntentEvent], **more: Any) -> ExitIntentEvent:
        """Any other event."""
        return event(**(self._facts | more))

    def _with(self, fills: Sequence[Fill], more: dict[str, Any] | None = None) -> dict[str, Any]:
        filled = sum(fill.quantity for fill in fills)
        return {**self._facts, "filled_quantity": filled, "fills": list(fills), **(more or {})}


def rows(engine: Engine, query: str, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of a query."""
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(query), parameters).mappings()]


def stored(engine: Engine, trade_id: UUID) -> dict[str, Any]:
    """A trade's row."""
    (row,) = rows(engine, "SELECT * FROM trades WHERE trade_id = :trade_id", trade_id=trade_id)
    return row


def emitted(engine: Engine, event: str, trade_id: UUID) -> int:
    """How many events of a type, ``TradeClosed`` say, the outbox holds for a trade."""
    query = "SELECT count(*) AS n FROM outbox_event WHERE ce_type = :kind AND ce_subject = :id"
    count: int = rows(engine, query, kind=f"io.exitflow.{event}.v1", id=str(trade_id))[0]["n"]
    return count
