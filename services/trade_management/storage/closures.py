"""TradeClosureRepository: closures and the lines of what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from services.trade_management.domain.charges import Charge, Leg, Lines, charged_as
from services.trade_management.domain.closure import Closure
from services.trade_management.models import ChargeLineRow, TradeClosureRow, TradeRow
from shared.clock import trading_day
from shared.contracts.vocabulary import ExitReason, ProductType
from shared.ids import new_id

_STORED = ("nth", "exit_intent_id", "exit_reason", "quantity", "exit_price", "gross_pnl", "charges", "net_pnl",
           "final", "closed_at")  # fmt: skip


class TradeClosureRepository:
    """Closures of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_trades(self, trade_ids: Sequence[UUID]) -> dict[UUID, list[Closure]]:
        """The closures of these trades, first first, without their lines; a trade without any is left out."""
        columns = [TradeClosureRow.__table__.c[name] for name in ("trade_id", *_STORED)]
        query = (
            select(*columns, TradeRow.product_type, TradeRow.entered_at)
            .join(TradeRow, TradeRow.trade_id == TradeClosureRow.trade_id)
            .where(TradeClosureRow.trade_id == func.any(list(trade_ids)))
            .order_by(TradeClosureRow.nth)
        )
        found: dict[UUID, list[Closure]] = {}
        for row in self._connection.execute(query).mappings():
            values: dict[str, Any] = dict(row)
            found.setdefault(values.pop("trade_id"), []).append(_closure(values))
        return found

    def lines_of(self, trade_id: UUID) -> dict[int, dict[Leg, Lines]]:
        """What each closure of a trade cost, by the closure's `nth` and leg."""
        query = (
            select(TradeClosureRow.nth, ChargeLineRow.leg, ChargeLineRow.charge, ChargeLineRow.amount)
            .join(ChargeLineRow, ChargeLineRow.closure_id == TradeClosureRow.closure_id)
            .where(TradeClosureRow.trade_id == trade_id)
            .order_by(TradeClosureRow.nth, ChargeLineRow.leg, ChargeLineRow.charge)
        )
        found: dict[int, dict[Leg, Lines]] = {}
        for nth, leg, charge, amount in self._connection.execute(query):
            found.setdefault(nth, {}).setdefault(Leg(leg), {})[Charge(charge)] = amount
        return found

    def add(self, closures: Sequence[tuple[UUID, Closure]]) -> None:
        """Store (trade_id, closure) pairs with their lines."""
        made = [(new_id(), trade_id, closure) for trade_id, closure in closures]
        if not made:
            return
        rows = [
            {"closure_id": closure_id, "trade_id": trade_id, **{name: getattr(closure, name) for name in _STORED}}
            for closure_id, trade_id, closure in made
        ]
        self._connection.execute(insert(TradeClosureRow).values(rows))
        lines = [line for closure_id, _, closure in made for line in _lines(closure_id, closure)]
        if lines:
            self._connection.execute(insert(ChargeLineRow).values(lines))


def _closure(values: dict[str, Any]) -> Closure:
    entered_on, closed_on = trading_day(values.pop("entered_at")), trading_day(values["closed_at"])
    product = charged_as(ProductType(values.pop("product_type")), entered_on, closed_on)
    return Closure(**{**values, "exit_reason": ExitReason(values["exit_reason"])}, charged_as=product)


def _lines(closure_id: UUID, closure: Closure) -> list[dict[str, Any]]:
    return [
        {"closure_id": closure_id, "leg": leg, "charge": charge, "amount": amount}
        for leg, lines in closure.lines.items()
        for charge, amount in lines.items()
    ]
