"""Repository of closures and their charge lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select, text

from services.trade_management.domain.charges import Lines, charged_as
from services.trade_management.domain.closure import Closure
from services.trade_management.models import TradeClosureRow
from shared.clock import trading_day
from shared.contracts.vocabulary import Charge, ExitReason, Leg, ProductType
from shared.ids import new_id
from shared.postgres.hot_path import Answer, ask, columns_of, send

_STORED = ("nth", "exit_intent_id", "exit_reason", "quantity", "exit_price", "gross_pnl", "charges", "net_pnl",
           "final", "closed_at", "target_leg")  # fmt: skip
_stored = attrgetter(*_STORED)

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
                            charges, net_pnl, final, closed_at, target_leg, lines)
SELECT closure_id, trade_id, nth, exit_intent_id, exit_reason, quantity, exit_price, gross_pnl, charges, net_pnl, final,
       closed_at, target_leg, CAST(lines AS jsonb)
  FROM unnest(CAST(:closure_id AS uuid[]), CAST(:trade_id AS uuid[]), CAST(:nth AS smallint[]),
              CAST(:exit_intent_id AS uuid[]), CAST(:exit_reason AS text[]), CAST(:quantity AS bigint[]),
              CAST(:exit_price AS numeric[]), CAST(:gross_pnl AS numeric[]), CAST(:charges AS numeric[]),
              CAST(:net_pnl AS numeric[]), CAST(:final AS boolean[]), CAST(:closed_at AS timestamptz[]),
              CAST(:target_leg AS smallint[]), CAST(:lines AS text[]))
       AS i(closure_id, trade_id, nth, exit_intent_id, exit_reason, quantity, exit_price, gross_pnl, charges, net_pnl,
            final, closed_at, target_leg, lines)
""")


class TradeClosureRepository:
    """Closures of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_trades(self, trade_ids: Sequence[UUID]) -> dict[UUID, list[Closure]]:
        """Return the closures of these trades, oldest first, without lines; omit trades without closures."""
        return self.ask_of_trades(trade_ids).get()

    def ask_of_trades(self, trade_ids: Sequence[UUID]) -> Answer[dict[UUID, list[Closure]]]:
        """Ask for the result of `of_trades`."""
        return ask(self._connection, OF_TRADES, {"trade_ids": list(trade_ids)}, _by_trade)

    def lines_of(self, trade_id: UUID) -> dict[int, dict[Leg, Lines]]:
        """Return the charges of each closure of a trade, by the closure's `nth` and leg."""
        query = select(TradeClosureRow.nth, TradeClosureRow.lines).where(TradeClosureRow.trade_id == trade_id)
        return {nth: _read_lines(stored) for nth, stored in self._connection.execute(query)}

    def add(self, closures: Sequence[tuple[UUID, Closure]]) -> None:
        """Store (trade_id, closure) pairs with their lines."""
        if not closures:
            return
        columns: dict[str, list[Any]] = {
            "closure_id": [new_id() for _ in closures],
            "trade_id": [trade_id for trade_id, _ in closures],
            "lines": [msgspec.json.encode(closure.lines).decode() for _, closure in closures],
        }
        stored = columns_of(_STORED, [_stored(closure) for _, closure in closures])
        send(self._connection, ADD, columns | stored)


def _by_trade(rows: Sequence[tuple[Any, ...]]) -> dict[UUID, list[Closure]]:
    found: dict[UUID, list[Closure]] = {}
    for trade_id, *values in rows:
        closure = _closure(dict(zip((*_STORED, "product_type", "entered_at"), values, strict=True)))
        found.setdefault(trade_id, []).append(closure)
    return found


def _closure(values: dict[str, Any]) -> Closure:
    entered_on, closed_on = trading_day(values.pop("entered_at")), trading_day(values["closed_at"])
    product = charged_as(ProductType(values.pop("product_type")), entered_on, closed_on)
    return Closure(**{**values, "exit_reason": ExitReason(values["exit_reason"])}, charged_as=product)


def _read_lines(stored: Mapping[str, Mapping[str, str]]) -> dict[Leg, Lines]:
    return {
        Leg(leg): {Charge(charge): Decimal(amount) for charge, amount in sorted(of_leg.items())}
        for leg, of_leg in sorted(stored.items())
    }
