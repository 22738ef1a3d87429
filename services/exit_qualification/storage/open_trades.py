"""OpenTradeRepository: the projection of trades.v1; its rows are the lock under which exits are decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.models import OpenTradeRow
from shared.clock import epoch_ms
from shared.contracts.trades import ExitPlan, TradeOpened
from shared.contracts.vocabulary import Direction, ProductType, TradeStatus
from shared.money import to_units

MOVE = text("""
-- open_trades.move
WITH moved AS (
  SELECT t.trade_id, home.partition
    FROM open_trades t
    JOIN unnest(CAST(:symbols AS text[]), CAST(:partitions AS integer[])) AS home (symbol, partition)
      ON home.symbol = t.symbol
   WHERE t.status = 'OPEN'
   ORDER BY t.trade_id
     FOR UPDATE OF t)
UPDATE open_trades t SET partition = moved.partition, updated_at = clock_timestamp()
  FROM moved WHERE moved.trade_id = t.trade_id
RETURNING t.trade_id
""")


@dataclass(frozen=True, slots=True)
class TradeProjection:
    """A trade as exit qualification knows it: what the engine needs, and whether it is open."""

    trade: OpenTrade
    status: TradeStatus


def open_trade(told: TradeOpened | Row[Any], plan: ExitPlan) -> OpenTrade:
    """What the engine needs of an opened trade: of its event, or of its row in ``open_trades``."""
    return OpenTrade(
        trade_id=told.trade_id,
        symbol=told.symbol,
        direction=Direction(told.direction),
        quantity=told.quantity,
        product_type=ProductType(told.product_type),
        user_broker_id=told.user_broker_id,
        entry_price=to_units(told.entry_price),
        entered_at_ms=epoch_ms(told.entered_at),
        target=None if plan.target is None else to_units(plan.target),
        stop_loss=None if plan.stop_loss is None else to_units(plan.stop_loss),
    )


class OpenTradeRepository:
    """Projected trades of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert_opened(self, events: Sequence[tuple[TradeOpened, int]]) -> None:
        """Project opened trades, each with its partition; one that is known already stays as it is."""
        if not events:
            return
        rows = [
            {
                "trade_id": event.trade_id,
                "symbol": event.symbol,
                "partition": partition,
                "user_broker_id": event.user_broker_id,
                "direction": event.direction,
                "product_type": event.product_type,
                "quantity": event.quantity,
                "entry_price": event.entry_price,
                "exit_plan": event.exit_plan.model_dump(mode="json", exclude_none=True),
                "entered_at": event.entered_at,
            }
            for event, partition in events
        ]
        self._connection.execute(insert(OpenTradeRow).on_conflict_do_nothing(), rows)

    def mark_closed(self, trade_ids: Sequence[UUID]) -> None:
        """The trades are closed; rows are locked in sorted order."""
        if not trade_ids:
            return
        self.lock(trade_ids)
        self._connection.execute(
            update(OpenTradeRow)
            .where(OpenTradeRow.trade_id == func.any(list(trade_ids)), OpenTradeRow.status == TradeStatus.OPEN)
            .values(status=TradeStatus.CLOSED, updated_at=func.clock_timestamp())
        )

    def lock(self, trade_ids: Sequence[UUID]) -> dict[UUID, TradeProjection]:
        """The trades, their rows locked in sorted order until the transaction ends; unknown ones are left out."""
        rows = self._connection.execute(
            select(*OpenTradeRow.__table__.c)
            .where(OpenTradeRow.trade_id == func.any(sorted(set(trade_ids))))
            .order_by(OpenTradeRow.trade_id)
            .with_for_update()
        )
        return {row.trade_id: TradeProjection(_of_row(row), TradeStatus(row.status)) for row in rows}

    def held_by_others(self, trade_ids: Collection[UUID]) -> set[UUID]:
        """Lock those of the trades that are free, in sorted order, and return those that another transaction holds."""
        if not trade_ids:
            return set()
        wanted = select(OpenTradeRow.trade_id).where(OpenTradeRow.trade_id == func.any(sorted(set(trade_ids))))
        free = wanted.order_by(OpenTradeRow.trade_id).with_for_update(skip_locked=True)
        locked = set(self._connection.execute(free).scalars())
        if locked.issuperset(trade_ids):
            return set()
        return set(self._connection.execute(wanted).scalars()) - locked

    def open_in(self, partitions: Sequence[int]) -> list[OpenTrade]:
        """Every open trade of these partitions."""
        rows = self._connection.execute(
            select(*OpenTradeRow.__table__.c).where(
                OpenTradeRow.partition == func.any(list(partitions)), OpenTradeRow.status == TradeStatus.OPEN
            )
        )
        return [_of_row(row) for row in rows]

    def symbols_open(self) -> list[tuple[str, int]]:
        """Return every symbol with open trades, with the partition they were projected on."""
        rows = self._connection.execute(
            select(OpenTradeRow.symbol, OpenTradeRow.partition)
            .where(OpenTradeRow.status == TradeStatus.OPEN)
            .distinct()
        )
        return [(symbol, partition) for symbol, partition in rows]

    def move(self, homes: Mapping[str, int]) -> int:
        """Move the open trades on these symbols to other partitions; return how many. Rows are locked in order."""
        if not homes:
            return 0
        values = {"symbols": list(homes), "partitions": list(homes.values())}
        return len(self._connection.execute(MOVE, values).all())


def _of_row(row: Row[Any]) -> OpenTrade:
    return open_trade(row, ExitPlan.model_validate(row.exit_plan))
