"""Queries for comparing a broker's account with our trades: positions needed by trades, fills of exits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Connection, text

from services.exit_qualification.domain.external_fills import HeldTrade
from services.exit_qualification.domain.intent_state_machine import AT_BROKER
from services.exit_qualification.domain.switches import UserBroker
from shared.contracts.vocabulary import Direction

PositionKey = tuple[str, str]
"""Symbol and product of a position."""

_REMAINING = "t.quantity - coalesce((SELECT sum(f.quantity) FROM exit_fills f WHERE f.trade_id = t.trade_id), 0)"
NEEDED = text(f"""
-- broker_positions.needed: net quantity for open trades, by account, symbol and product
SELECT t.user_broker_id, t.symbol, t.product_type,
       sum(CASE t.direction WHEN 'LONG' THEN 1 ELSE -1 END * greatest(0, {_REMAINING}))::bigint AS quantity
  FROM open_trades t
 WHERE t.status = 'OPEN'
   AND (CAST(:user_broker_ids AS text[]) IS NULL OR t.user_broker_id = ANY (CAST(:user_broker_ids AS text[])))
 GROUP BY t.user_broker_id, t.symbol, t.product_type
""")  # noqa: S608  # a constant
BEYOND = text("""
-- broker_positions.beyond: net quantity filled on a day beyond the trades of an account, by symbol and product
SELECT t.symbol, t.product_type,
       sum(CASE t.direction WHEN 'LONG' THEN 1 ELSE -1 END * (filled.quantity - t.quantity))::bigint AS quantity
  FROM (SELECT DISTINCT trade_id FROM exit_fills
         WHERE broker = :broker AND account = :account AND trading_day = :day) AS of_day
  JOIN open_trades t ON t.trade_id = of_day.trade_id
 CROSS JOIN LATERAL (SELECT sum(f.quantity) AS quantity FROM exit_fills f WHERE f.trade_id = t.trade_id) AS filled
 WHERE filled.quantity > t.quantity
 GROUP BY t.symbol, t.product_type
""")
HELD_TRADES = text(f"""
-- broker_positions.held_trades: open trades of a position, with the quantities left by their fills
SELECT t.trade_id, t.direction, t.entered_at, ({_REMAINING})::bigint AS remaining
  FROM open_trades t
 WHERE t.status = 'OPEN' AND t.user_broker_id = :user_broker_id AND t.symbol = :symbol AND t.product_type = :product
 ORDER BY t.trade_id
""")  # noqa: S608  # a constant
OURS = text("""
-- broker_positions.ours: our orders in an account's book, by the broker's id or by their tag
SELECT broker_order_id AS name FROM exit_intents
 WHERE broker_order_id = ANY (CAST(:order_ids AS text[])) AND user_broker_id = :user_broker_id
   AND exit_reason <> 'EXTERNAL'
UNION
SELECT client_order_id FROM exit_intents WHERE client_order_id = ANY (CAST(:tags AS text[]))
UNION
SELECT client_order_id FROM protective_stops WHERE client_order_id = ANY (CAST(:tags AS text[]))
""")
RECORDED = text("""
-- broker_positions.recorded: quantity and parts of each fill taken by exits
SELECT broker_order_id, split_part(broker_trade_id, '/', 1) AS broker_trade_id,
       sum(quantity)::bigint AS quantity, count(*) AS pieces
  FROM exit_fills
 WHERE broker = :broker AND account = :account AND trading_day = ANY (CAST(:days AS date[]))
   AND broker_order_id = ANY (CAST(:order_ids AS text[]))
 GROUP BY 1, 2
""")
AT_WORK = text("""
-- broker_positions.at_work: possible further fills of an account's orders, but for some exits
SELECT symbol, product_type, direction, sum(quantity - filled_quantity)::bigint AS quantity
  FROM exit_intents
 WHERE user_broker_id = :user_broker_id AND status = ANY (:at_broker) AND deleted_at IS NULL
   AND intent_id <> ALL (CAST(:but_for AS uuid[]))
 GROUP BY symbol, product_type, direction
""")
ONE_AT_A_TIME = text("""
-- broker_positions.one_at_a_time: one transaction adopts fills of an account
SELECT pg_try_advisory_xact_lock(hashtextextended('external fills ' || :broker || ' ' || :account, 0))
""")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Quantity of a fill taken by exits, and in how many parts."""

    quantity: int = 0
    pieces: int = 0


class BrokerPositionRepository:
    """Comparisons of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def needed(self, user_broker_ids: Collection[str] | None = None) -> dict[str, dict[PositionKey, int]]:
        """Return the net quantities needed by open trades, by user broker; of some user brokers if they are given."""
        found: dict[str, dict[PositionKey, int]] = {}
        wanted = None if user_broker_ids is None else sorted(user_broker_ids)
        for row in self._connection.execute(NEEDED, {"user_broker_ids": wanted}):
            found.setdefault(row.user_broker_id, {})[row.symbol, row.product_type] = row.quantity
        return found

    def beyond(self, account: UserBroker, day: date) -> dict[PositionKey, int]:
        """Return the net quantities by which late fills of a day exceed their trades: positions lack so much."""
        found = self._connection.execute(BEYOND, {"broker": account.broker, "account": account.account, "day": day})
        return {(row.symbol, row.product_type): row.quantity for row in found}

    def at_work(self, user_broker_id: str, *, but_for: Sequence[UUID]) -> dict[tuple[str, str, Direction], int]:
        """Return what the account's orders may still fill, by symbol, product and direction of the trades."""
        wanted = {"user_broker_id": user_broker_id, "at_broker": sorted(AT_BROKER), "but_for": list(but_for)}
        return {
            (row.symbol, row.product_type, Direction(row.direction)): row.quantity
            for row in self._connection.execute(AT_WORK, wanted)
        }

    def held_trades(self, user_broker_id: str, key: PositionKey) -> list[HeldTrade]:
        """Return the open trades of a position."""
        wanted = {"user_broker_id": user_broker_id, "symbol": key[0], "product": key[1]}
        return [
            HeldTrade(row.trade_id, Direction(row.direction), max(0, row.remaining), row.entered_at)
            for row in self._connection.execute(HELD_TRADES, wanted)
        ]

    def ours(self, user_broker_id: str, order_ids: Collection[str], tags: Collection[str]) -> set[str]:
        """Return those order ids and tags that belong to our exits."""
        wanted = {"user_broker_id": user_broker_id, "order_ids": list(order_ids), "tags": list(tags)}
        return set(self._connection.execute(OURS, wanted).scalars())

    def recorded(
        self, account: UserBroker, days: Collection[date], order_ids: Sequence[str]
    ) -> dict[tuple[str, str], Recorded]:
        """Return the exits' quantities from the fills of these orders, by order id and trade id."""
        wanted = {
            "broker": account.broker,
            "account": account.account,
            "days": sorted(days),
            "order_ids": list(order_ids),
        }
        rows = self._connection.execute(RECORDED, wanted)
        return {(row.broker_order_id, row.broker_trade_id): Recorded(row.quantity, row.pieces) for row in rows}

    def may_adopt(self, account: UserBroker) -> bool:
        """Return False while another transaction adopts fills of this account; True holds others off."""
        wanted = {"broker": account.broker, "account": account.account}
        return bool(self._connection.execute(ONE_AT_A_TIME, wanted).scalar_one())
