"""Repository of exit fills, each stored once."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from services.trade_management.domain.fills import Fill
from shared.clock import trading_day
from shared.contracts.vocabulary import ExitReason
from shared.postgres.hot_path import Answer, ask, columns_of, send

_STORED = ("intent_id", "broker_order_id", "broker_trade_id", "exit_reason", "quantity", "price", "filled_at", "late",
           "target_leg")  # fmt: skip
_stored = attrgetter(*_STORED)

OF_TRADES = text(f"""
-- trade_fills.of_trades
SELECT trade_id, {", ".join(_STORED)}
  FROM trade_fills WHERE trade_id = ANY(CAST(:trade_ids AS uuid[]))
 ORDER BY trade_id, recorded_at, filled_at, broker_trade_id
""")  # noqa: S608  # columns of our own

RECORD = text("""
-- trade_fills.record
INSERT INTO trade_fills (trade_id, intent_id, broker_order_id, broker_trade_id, exit_reason, quantity, price,
                         filled_at, late, target_leg)
SELECT * FROM unnest(CAST(:trade_id AS uuid[]), CAST(:intent_id AS uuid[]), CAST(:broker_order_id AS text[]),
                     CAST(:broker_trade_id AS text[]), CAST(:exit_reason AS text[]), CAST(:quantity AS bigint[]),
                     CAST(:price AS numeric[]), CAST(:filled_at AS timestamptz[]), CAST(:late AS boolean[]),
                     CAST(:target_leg AS smallint[]))
""")


class TradeFillRepository:
    """Fills of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_trades(self, trade_ids: Sequence[UUID]) -> dict[UUID, list[Fill]]:
        """Return all fills of these trades in recording order; omit trades without fills."""
        return self.ask_of_trades(trade_ids).get()

    def ask_of_trades(self, trade_ids: Sequence[UUID]) -> Answer[dict[UUID, list[Fill]]]:
        """Ask for the result of `of_trades`."""
        return ask(self._connection, OF_TRADES, {"trade_ids": list(trade_ids)}, _by_trade)

    def record(self, fills: Sequence[tuple[UUID, Fill]]) -> None:
        """Store (trade_id, fill) pairs, at least one; one already stored for another trade is an `IntegrityError`."""
        columns = columns_of(_STORED, [_stored(fill) for _, fill in fills])
        send(self._connection, RECORD, columns | {"trade_id": [trade_id for trade_id, _ in fills]})


def _by_trade(rows: Sequence[tuple[Any, ...]]) -> dict[UUID, list[Fill]]:
    found: dict[UUID, list[Fill]] = {}
    for trade_id, *values in rows:
        found.setdefault(trade_id, []).append(_fill(dict(zip(_STORED, values, strict=True))))
    return found


def _fill(values: dict[str, Any]) -> Fill:
    reason = ExitReason(values["exit_reason"])
    return Fill(**{**values, "exit_reason": reason, "trading_day": trading_day(values["filled_at"])})
