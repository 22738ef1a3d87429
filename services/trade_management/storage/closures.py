"""Repository of closures and their charge lines."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, text

from services.trade_management.domain.charges import Lines, charged_as
from services.trade_management.domain.closure import Closure
from services.trade_management.models import ChargeLineRow, TradeClosureRow
from shared.clock import trading_day
from shared.contracts.vocabulary import Charge, ExitReason, Leg, ProductType
from shared.ids import new_id
from shared.postgres.hot_path import fetch

_STORED = ("nth", "exit_intent_id", "exit_reason", "quantity", "exit_price", "gross_pnl", "charges", "net_pnl",
           "final", "closed_at", "target_leg")  # fmt: skip

OF_TRADES = text(f"""
-- trade_closures.of_trades
SELECT c.trade_id, {", ".join(f"c.{name}" for name in _STORED)}, t.product_type, t.entered_at
  FROM trade_closures c
  JOIN trades t ON t.trade_id = c.trade_id
 WHERE c.trade_id = ANY (CAST(:trade_ids AS uuid[]))
 ORDER BY c.nth
""")  # noqa: S608  # columns of our own

ADD = text("""
-- trade_closures.add
INSERT INTO trade_closures (closure_id, trade_id, nth, exit_intent_id, exit_reason, quantity, exit_price, gross_pnl,
                            charges, net_pnl, final, closed_at, target_leg)
SELECT * FROM unnest(CAST(:closure_id AS uuid[]), CAST(:trade_id AS uuid[]), CAST(:nth AS smallint[]),
                     CAST(:exit_intent_id AS uuid[]), CAST(:exit_reason AS text[]), CAST(:quantity AS bigint[]),
                     CAST(:exit_price AS numeric[]), CAST(:gross_pnl AS numeric[]), CAST(:charges AS numeric[]),
                     CAST(:net_pnl AS numeric[]), CAST(:final AS boolean[]), CAST(:closed_at AS timestamptz[]),
                     CAST(:target_leg AS smallint[]))
""")

ADD_LINES = text("""
-- charge_lines.add
INSERT INTO charge_lines (closure_id, leg, charge, amount)
SELECT * FROM unnest(CAST(:closure_id AS uuid[]), CAST(:leg AS text[]), CAST(:charge AS text[]),
                     CAST(:amount AS numeric[]))
""")

_LINE = ("closure_id", "leg", "charge", "amount")


class TradeClosureRepository:
    """Closures of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_trades(self, trade_ids: Sequence[UUID]) -> dict[UUID, list[Closure]]:
        """Return the closures of these trades, oldest first, without lines; omit trades without closures."""
        found: dict[UUID, list[Closure]] = {}
        for trade_id, *values in fetch(self._connection, OF_TRADES, {"trade_ids": list(trade_ids)}):
            closure = _closure(dict(zip((*_STORED, "product_type", "entered_at"), values, strict=True)))
            found.setdefault(trade_id, []).append(closure)
        return found

    def lines_of(self, trade_id: UUID) -> dict[int, dict[Leg, Lines]]:
        """Return the charges of each closure of a trade, by the closure's `nth` and leg."""
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
        ids: dict[str, list[Any]] = {
            "closure_id": [closure_id for closure_id, _, _ in made],
            "trade_id": [trade_id for _, trade_id, _ in made],
        }
        stored = {name: [getattr(closure, name) for _, _, closure in made] for name in _STORED}
        fetch(self._connection, ADD, ids | stored)
        lines = [line for closure_id, _, closure in made for line in _lines(closure_id, closure)]
        if lines:
            columns = zip(_LINE, map(list, zip(*lines, strict=True)), strict=True)
            fetch(self._connection, ADD_LINES, dict(columns))


def _closure(values: dict[str, Any]) -> Closure:
    entered_on, closed_on = trading_day(values.pop("entered_at")), trading_day(values["closed_at"])
    product = charged_as(ProductType(values.pop("product_type")), entered_on, closed_on)
    return Closure(**{**values, "exit_reason": ExitReason(values["exit_reason"])}, charged_as=product)


def _lines(closure_id: UUID, closure: Closure) -> list[tuple[UUID, Leg, Charge, Decimal]]:
    return [
        (closure_id, leg, charge, amount) for leg, of_leg in closure.lines.items() for charge, amount in of_leg.items()
    ]
