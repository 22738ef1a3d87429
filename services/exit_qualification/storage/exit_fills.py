"""Repository of executions at the broker, each stored once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from services.exit_qualification.domain.exit_fill import ExitFill
from services.exit_qualification.domain.level_index import RuleKey
from shared.contracts.exits import Fill
from shared.contracts.vocabulary import ExitReason
from shared.postgres.hot_path import Answer, ask, fetch

_NAMES = ", ".join(field.name for field in fields(ExitFill))

LEG_TOTALS = text("""
-- exit_fills.totals_of_legs
SELECT i.trade_id, i.exit_reason, i.leg, sum(f.quantity) AS filled
  FROM exit_fills f
  JOIN exit_intents i ON i.intent_id = f.intent_id
 WHERE f.trade_id = ANY (CAST(:trade_ids AS uuid[])) AND i.leg IS NOT NULL
 GROUP BY i.trade_id, i.exit_reason, i.leg
""")

TOTALS_OF_TRADES = text("""
-- exit_fills.totals_of_trades
SELECT trade_id, sum(quantity) FROM exit_fills WHERE trade_id = ANY (CAST(:trade_ids AS uuid[])) GROUP BY trade_id
""")


RECORD = text(f"""
-- exit_fills.record
INSERT INTO exit_fills ({_NAMES})
SELECT {_NAMES} FROM json_populate_recordset(CAST(NULL AS exit_fills), CAST(:fills AS json))
ON CONFLICT DO NOTHING
RETURNING broker_trade_id
""")  # noqa: S608  # the fields of our own class

_FILLS = "SELECT intent_id, broker_order_id, broker_trade_id, quantity, price, filled_at FROM exit_fills"
OF_INTENTS = text(f"""
-- exit_fills.of_intents
{_FILLS} WHERE intent_id = ANY (CAST(:intent_ids AS uuid[])) ORDER BY filled_at, broker_trade_id
""")
OF_TRADE = text(f"""
-- exit_fills.of_trade
{_FILLS} WHERE trade_id = :trade_id ORDER BY filled_at, broker_trade_id
""")


class ExitFillRepository:
    """Fills of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, fills: Sequence[ExitFill]) -> int:
        """Store the new fills; return their number."""
        return self.ask_record(fills).get() if fills else 0

    def ask_record(self, fills: Sequence[ExitFill]) -> Answer[int]:
        """Do what `record` does; within a pipeline do not wait for it."""
        return ask(self._connection, RECORD, {"fills": msgspec.json.encode(fills).decode()}, len)

    def of_intent(self, intent_id: UUID) -> list[Fill]:
        """Return all fills of an intent in order of time, in the format of events."""
        return self.of_intents([intent_id]).get(intent_id, [])

    def of_intents(self, intent_ids: Sequence[UUID]) -> dict[UUID, list[Fill]]:
        """Return all fills of these intents in order of time; omit intents without fills."""
        return self.ask_of_intents(intent_ids).get()

    def ask_of_intents(self, intent_ids: Sequence[UUID]) -> Answer[dict[UUID, list[Fill]]]:
        """Ask for the result of `of_intents`."""
        return ask(self._connection, OF_INTENTS, {"intent_ids": list(intent_ids)}, _by_intent)

    def ask_of_trade(self, trade_id: UUID) -> Answer[dict[UUID, list[Fill]]]:
        """Ask for all fills of a trade's intents, in order of time."""
        return ask(self._connection, OF_TRADE, {"trade_id": trade_id}, _by_intent)

    def totals_of_trades(self, trade_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return the filled quantity of each of these trades; omit trades without fills."""
        return self.ask_totals_of_trades(trade_ids).get() if trade_ids else {}

    def ask_totals_of_trades(self, trade_ids: Collection[UUID]) -> Answer[dict[UUID, int]]:
        """Ask for the result of `totals_of_trades`."""
        return ask(self._connection, TOTALS_OF_TRADES, {"trade_ids": list(trade_ids)}, _totals)

    def totals_of_legs(self, trade_ids: Collection[UUID]) -> dict[RuleKey, int]:
        """Return the filled quantity of each leg of these trades; omit legs without fills."""
        if not trade_ids:
            return {}
        rows = fetch(self._connection, LEG_TOTALS, {"trade_ids": sorted(trade_ids)})
        return {RuleKey(trade_id, ExitReason(reason), leg): int(filled) for trade_id, reason, leg, filled in rows}


def _totals(rows: Sequence[tuple[UUID, int]]) -> dict[UUID, int]:
    return {trade_id: int(total) for trade_id, total in rows}


def _by_intent(rows: Sequence[tuple[Any, ...]]) -> dict[UUID, list[Fill]]:
    found: dict[UUID, list[Fill]] = defaultdict(list)
    for intent_id, order_id, trade_id, quantity, price, filled_at in rows:
        found[intent_id].append(
            Fill(
                broker_order_id=order_id,
                broker_trade_id=trade_id,
                quantity=quantity,
                price=price,
                filled_at=filled_at,
            )
        )
    return found
