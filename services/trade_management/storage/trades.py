"""Repository of trades."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, Select, literal, select, text, tuple_

from services.trade_management.domain.adjustment import TradeTerms
from services.trade_management.domain.closure import TradeHistory
from services.trade_management.domain.trade import StoredTrade, Trade
from services.trade_management.models import TradeRow
from shared.clock import trading_day
from shared.contracts.vocabulary import Direction, ExitReason, ProductType, TradeStatus
from shared.errors import NotFound
from shared.postgres.hot_path import Answer, ask, columns_of, fetch, send
from shared.postgres.named_rows import in_status

_FACTS = ("trade_id", "symbol", "direction", "product_type", "user_broker_id", "quantity", "open_quantity",
          "entry_price", "entered_at", "status")  # fmt: skip
"""Columns of a `Trade`, but for its trading day."""
_facts_of = attrgetter(*_FACTS)

LOCK = text(f"""
-- trades.lock: rows held by another transaction are left out: they hold up no other trade
SELECT {", ".join(_FACTS)} FROM trades WHERE trade_id = ANY(CAST(:trade_ids AS uuid[]))
 ORDER BY trade_id
   FOR UPDATE SKIP LOCKED
""")  # noqa: S608  # columns of our own

OPEN_QUANTITIES = text(f"""
-- trades.open_quantities
SELECT trade_id, open_quantity FROM trades WHERE trade_id = ANY(CAST(:trade_ids AS uuid[]))
   AND {in_status("trades", "OPEN")}
""")  # noqa: S608  # a condition of our own

EXISTING = text("""
-- trades.existing
SELECT trade_id FROM trades WHERE trade_id = ANY(CAST(:trade_ids AS uuid[]))
""")

REDUCE = text("""
-- trades.reduce: open quantities go down, trades without any are closed with their result
UPDATE trades
   SET open_quantity = u.open_quantity, status = CASE WHEN u.open_quantity = 0 THEN 'CLOSED' ELSE 'OPEN' END,
       exit_price = u.exit_price, exit_reason = u.exit_reason, gross_pnl = u.gross_pnl, charges = u.charges,
       net_pnl = u.gross_pnl - u.charges, closed_at = u.closed_at, exit_intent_id = u.exit_intent_id,
       updated_at = clock_timestamp(), version = version + 1
  FROM unnest(CAST(:trade_id AS uuid[]), CAST(:open_quantity AS bigint[]), CAST(:exit_price AS numeric[]),
              CAST(:exit_reason AS text[]), CAST(:gross_pnl AS numeric[]), CAST(:charges AS numeric[]),
              CAST(:closed_at AS timestamptz[]), CAST(:exit_intent_id AS uuid[]))
       AS u(trade_id, open_quantity, exit_price, exit_reason, gross_pnl, charges, closed_at, exit_intent_id)
 WHERE trades.trade_id = u.trade_id
""")

PLANS = text("""
-- trades.plans
SELECT trade_id, exit_plan FROM trades WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
""")

LOCK_ROWS = text("""
-- trades.lock_rows: waits for another transaction's locks
SELECT trade_id FROM trades WHERE trade_id = ANY(CAST(:trade_ids AS uuid[])) ORDER BY trade_id FOR UPDATE
""")

OPEN_OF_SYMBOL = text("""
-- trades.open_of_symbol
SELECT trade_id FROM trades
 WHERE symbol = :symbol AND status = 'OPEN' AND entered_at < :entered_before
 ORDER BY trade_id
""")

LOCK_OPEN = text("""
-- trades.lock_open: of a symbol; waits for another transaction's locks
SELECT trade_id FROM trades
 WHERE symbol = :symbol AND status = 'OPEN' AND entered_at < :entered_before
 ORDER BY trade_id
   FOR UPDATE
""")

CHANGE_TERMS = text(f"""
-- trades.change_terms: of open trades
UPDATE trades
   SET symbol = :symbol, quantity = :quantity, open_quantity = :open_quantity, entry_price = :entry_price,
       exit_plan = :exit_plan, plan_version = plan_version + 1, updated_at = clock_timestamp(), version = version + 1
 WHERE trade_id = :trade_id AND {in_status("trades", "OPEN")}
""")  # noqa: S608  # a condition of our own

CHANGE_CHARGES = text(f"""
-- trades.change_charges: of closed trades
UPDATE trades
   SET charges = u.charges, net_pnl = gross_pnl - u.charges, charges_final = u.final, updated_at = clock_timestamp(),
       version = version + 1
  FROM unnest(CAST(:trade_id AS uuid[]), CAST(:charges AS numeric[]), CAST(:final AS boolean[]))
       AS u(trade_id, charges, final)
 WHERE trades.trade_id = u.trade_id AND {in_status("trades", "CLOSED")}
""")  # noqa: S608  # a condition of our own

_COLUMNS = tuple(column for column in TradeRow.__table__.columns if column.name != "version")
_COLUMN_NAMES = tuple(column.name for column in _COLUMNS)
CHANGE_PLAN = text(f"""
-- trades.change_plan
UPDATE trades
   SET exit_plan = CAST(:exit_plan AS jsonb), plan_version = plan_version + 1, updated_at = clock_timestamp(),
       version = version + 1
 WHERE trade_id = CAST(:trade_id AS uuid)
RETURNING {", ".join(_COLUMN_NAMES)}
""")  # noqa: S608  # columns of our own
INSERT = text(f"""
-- trades.insert
INSERT INTO trades ({", ".join(_FACTS)}, exit_plan)
SELECT {", ".join(_FACTS)}, CAST(exit_plan AS jsonb)
  FROM unnest(CAST(:trade_id AS uuid[]), CAST(:symbol AS text[]), CAST(:direction AS text[]),
              CAST(:product_type AS text[]), CAST(:user_broker_id AS text[]), CAST(:quantity AS bigint[]),
              CAST(:open_quantity AS bigint[]), CAST(:entry_price AS numeric[]), CAST(:entered_at AS timestamptz[]),
              CAST(:status AS text[]), CAST(:exit_plan AS text[]))
         WITH ORDINALITY AS i({", ".join(_FACTS)}, exit_plan, n)
 ORDER BY n
RETURNING {", ".join(_COLUMN_NAMES)}
""")  # noqa: S608  # columns of our own
_DIRECTIONS: Final = {each.value: each for each in Direction}
_PRODUCTS: Final = {each.value: each for each in ProductType}
_STATUSES: Final = {each.value: each for each in TradeStatus}
_RESULT = ("trade_id", "open_quantity", "exit_price", "exit_reason", "gross_pnl", "charges", "closed_at",
           "exit_intent_id")  # fmt: skip


@dataclass(frozen=True, slots=True)
class WantedTrades:
    """Filter of the trade list: trades after `after` (created_at, trade_id), newest first."""

    status: TradeStatus | None
    symbol: str | None
    after: tuple[datetime, UUID] | None
    limit: int


class TradeRepository:
    """Trades of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, trades: Sequence[tuple[Trade, str]]) -> dict[UUID, StoredTrade]:
        """Store new trades with their plans as JSON, in order; return them as stored."""
        if not trades:
            return {}
        columns = columns_of(_FACTS, [_facts_of(trade) for trade, _ in trades])
        rows = fetch(self._connection, INSERT, columns | {"exit_plan": [plan for _, plan in trades]})
        return {row[0]: _stored(dict(zip(_COLUMN_NAMES, row, strict=True))) for row in rows}

    def open_quantities(self, trade_ids: Collection[UUID]) -> dict[UUID, int]:
        """Return the open quantities of those of these trades that are open."""
        rows = fetch(self._connection, OPEN_QUANTITIES, {"trade_ids": list(trade_ids)})
        return {trade_id: int(quantity) for trade_id, quantity in rows}

    def get(self, trade_id: UUID) -> StoredTrade:
        """Return a trade.

        Raises
        ------
        NotFound
            The trade does not exist.
        """
        return self._one(select(*_COLUMNS).where(TradeRow.trade_id == trade_id), trade_id)

    def lock_row(self, trade_id: UUID) -> StoredTrade:
        """Return a trade and lock its row until the transaction ends; wait for another transaction's lock.

        Raises
        ------
        NotFound
            The trade does not exist.
        """
        return self._one(select(*_COLUMNS).where(TradeRow.trade_id == trade_id).with_for_update(), trade_id)

    def change_plan(self, trade_id: UUID, exit_plan: dict[str, Any]) -> StoredTrade:
        """Replace the plan of a locked trade, raise the plan's version and return the trade."""
        [row] = fetch(self._connection, CHANGE_PLAN, {"trade_id": trade_id, "exit_plan": Jsonb(exit_plan)})
        return _stored(dict(zip(_COLUMN_NAMES, row, strict=True)))

    def lock_rows(self, trade_ids: Collection[UUID]) -> dict[UUID, StoredTrade]:
        """Return the existing trades and lock their rows in order until the transaction ends; wait for other locks."""
        self._connection.execute(LOCK_ROWS, {"trade_ids": sorted(trade_ids)})
        return self.of_ids(trade_ids)

    def of_ids(self, trade_ids: Collection[UUID]) -> dict[UUID, StoredTrade]:
        """Return the existing trades."""
        rows = self._connection.execute(select(*_COLUMNS).where(TradeRow.trade_id.in_(trade_ids)))
        return {row.trade_id: _stored(dict(row._mapping)) for row in rows}

    def open_of_symbol(self, symbol: str, entered_before: datetime) -> list[UUID]:
        """Return the open trades on a symbol entered before a time, without a lock."""
        wanted = {"symbol": symbol, "entered_before": entered_before}
        return list(self._connection.execute(OPEN_OF_SYMBOL, wanted).scalars())

    def lock_open(self, symbol: str, entered_before: datetime) -> list[StoredTrade]:
        """Return the open trades on a symbol entered before a time, locked in order until the transaction ends."""
        wanted = {"symbol": symbol, "entered_before": entered_before}
        found = self.of_ids(self._connection.execute(LOCK_OPEN, wanted).scalars().all())
        return [found[trade_id] for trade_id in sorted(found)]

    def change_terms(self, terms: Mapping[UUID, TradeTerms]) -> None:
        """Store the terms of locked open trades and raise the versions of their plans."""
        rows = [
            {**asdict(each), "exit_plan": Jsonb(each.exit_plan), "trade_id": trade_id}
            for trade_id, each in terms.items()
        ]
        if rows:
            self._connection.execute(CHANGE_TERMS, rows)

    def change_charges(self, charges: Mapping[UUID, tuple[Decimal | None, bool]]) -> None:
        """Store charges of closed trades, and whether all of them are final."""
        amounts, finals = zip(*charges.values(), strict=True)
        values = {"trade_id": list(charges), "charges": list(amounts), "final": list(finals)}
        self._connection.execute(CHANGE_CHARGES, values)

    def plans_of(self, trade_ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
        """Return the exit plans of these trades."""
        if not trade_ids:
            return {}
        return dict(fetch(self._connection, PLANS, {"trade_ids": sorted(trade_ids)}))

    def page(self, wanted: WantedTrades) -> list[StoredTrade]:
        """Return at most `limit` trades, newest first."""
        query = select(*_COLUMNS).order_by(TradeRow.created_at.desc(), TradeRow.trade_id.desc()).limit(wanted.limit)
        if wanted.status is not None:
            # In the text: with a parameter no plan could use the index of open trades alone.
            query = query.where(TradeRow.status == literal(wanted.status.value, literal_execute=True))
        if wanted.symbol is not None:
            query = query.where(TradeRow.symbol == wanted.symbol)
        if wanted.after is not None:
            query = query.where(tuple_(TradeRow.created_at, TradeRow.trade_id) < tuple_(*wanted.after))
        return [_stored(dict(row._mapping)) for row in self._connection.execute(query)]

    def ask_lock(self, trade_ids: Sequence[UUID]) -> Answer[dict[UUID, Trade]]:
        """Lock the existing trades that others have not locked, until the transaction ends, without waiting."""
        values = {"trade_ids": list(trade_ids)}
        return ask(self._connection, LOCK, values, lambda rows: {row[0]: _locked(row) for row in rows})

    def existing(self, trade_ids: Collection[UUID]) -> set[UUID]:
        """Return the existing trades, locked or not."""
        if not trade_ids:
            return set()
        return {trade_id for (trade_id,) in fetch(self._connection, EXISTING, {"trade_ids": sorted(trade_ids)})}

    def reduce(self, histories: Sequence[TradeHistory]) -> None:
        """Store the remaining quantity of these locked trades, and the result of closed ones."""
        if not histories:
            return
        send(self._connection, REDUCE, columns_of(_RESULT, map(_result, histories)))

    def _one(self, wanted: Select[Any], trade_id: UUID) -> StoredTrade:
        row = self._connection.execute(wanted).one_or_none()
        if row is None:
            raise NotFound(f"trade {trade_id} not found")
        return _stored(dict(row._mapping))


def _stored(row: Mapping[str, Any]) -> StoredTrade:
    reason = row["exit_reason"]
    return StoredTrade(**_facts({**row, "exit_reason": None if reason is None else ExitReason(reason)}))


def _locked(row: tuple[Any, ...]) -> Trade:
    """Return the trade of a row of `_FACTS`; by position, since a batch of fills locks hundreds."""
    trade_id, symbol, direction, product_type, user_broker_id, quantity, open_quantity, price, entered_at, status = row
    return Trade(
        trade_id,
        symbol,
        _DIRECTIONS[direction],
        _PRODUCTS[product_type],
        user_broker_id,
        quantity,
        open_quantity,
        price,
        entered_at,
        trading_day(entered_at),
        _STATUSES[status],
    )


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "direction": Direction(row["direction"]),
        "product_type": ProductType(row["product_type"]),
        "status": TradeStatus(row["status"]),
        "entered_on": trading_day(row["entered_at"]),
    }


def _result(history: TradeHistory) -> tuple[Any, ...]:
    trade = history.trade
    if trade.status is TradeStatus.OPEN:
        return (trade.trade_id, trade.open_quantity, *[None] * 6)
    last = history.closures[-1]
    return (
        trade.trade_id,
        0,
        history.exit_price(),
        last.exit_reason,
        history.gross_pnl(),
        history.charges(),
        last.closed_at,
        last.exit_intent_id,
    )
