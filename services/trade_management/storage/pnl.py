"""Repository of sums over closed trades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select, tuple_

from services.trade_management.models import TradeRow
from shared.clock import TRADING_ZONE
from shared.contracts.vocabulary import ExitReason, ProductType, TradeStatus

SUMS = (
    func.count(),
    func.sum(TradeRow.gross_pnl),
    func.sum(TradeRow.charges),
    # Not the sum of net_pnl: it leaves out trades with unknown charges.
    func.sum(TradeRow.gross_pnl) - func.coalesce(func.sum(TradeRow.charges), 0),
    func.count().filter(TradeRow.charges.is_(None)),
    func.max(TradeRow.closed_at),
)


class PnlGroup(StrEnum):
    """Grouping of totals."""

    DAY = "day"
    SYMBOL = "symbol"
    ACCOUNT = "user_broker_id"
    REASON = "exit_reason"
    PRODUCT = "product_type"


_GROUP_COLUMNS = {
    PnlGroup.DAY: func.to_char(func.timezone(str(TRADING_ZONE), TradeRow.closed_at), "YYYY-MM-DD"),
    PnlGroup.SYMBOL: TradeRow.symbol,
    PnlGroup.ACCOUNT: TradeRow.user_broker_id,
    PnlGroup.REASON: TradeRow.exit_reason,
    PnlGroup.PRODUCT: TradeRow.product_type,
}


@dataclass(frozen=True, slots=True)
class PnlFilter:
    """Closed trades meeting every given condition; `day` is the closing day in Asia/Kolkata."""

    day: date | None = None
    symbol: str | None = None
    user_broker_id: str | None = None
    exit_reason: ExitReason | None = None
    product_type: ProductType | None = None


@dataclass(frozen=True, slots=True)
class Pnl:
    """Rupees over `count` closed trades; net P&L is gross P&L less the known charges.

    Attributes
    ----------
    unknown_charges:
        Number of these trades with unknown charges.
    last_closed_at:
        When the last of them closed; None without any.
    """

    count: int
    gross_pnl: Decimal
    charges: Decimal
    net_pnl: Decimal
    unknown_charges: int
    last_closed_at: datetime | None

    def __add__(self, other: Pnl) -> Pnl:
        return Pnl(
            self.count + other.count,
            self.gross_pnl + other.gross_pnl,
            self.charges + other.charges,
            self.net_pnl + other.net_pnl,
            self.unknown_charges + other.unknown_charges,
            max(filter(None, (self.last_closed_at, other.last_closed_at)), default=None),
        )


NOTHING: Final = Pnl(0, Decimal(0), Decimal(0), Decimal(0), 0, None)


class PnlRepository:
    """Profit and loss as one transaction sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_closed_trades(self, wanted: PnlFilter) -> Pnl:
        """Return totals over closed trades."""
        return _pnl(self._connection.execute(_closed(select(*SUMS), wanted)).one())

    def by(self, kinds: Sequence[PnlGroup], wanted: PnlFilter) -> dict[PnlGroup, dict[str, Pnl]]:
        """Return the same totals for the groups of each kind; the trades are read once for all kinds.

        Days are in order, other groups with the most profitable first.
        """
        columns = [_GROUP_COLUMNS[kind] for kind in kinds]
        # GROUPING of a column is 0 in the rows grouped by it.
        query = _closed(select(*map(func.grouping, columns), *columns, *SUMS), wanted)
        rows = self._connection.execute(query.group_by(func.grouping_sets(*map(tuple_, columns))))
        found: dict[PnlGroup, dict[str, Pnl]] = {kind: {} for kind in kinds}
        count = len(columns)
        for row in rows:
            flags, names, sums = row[:count], row[count : 2 * count], row[2 * count :]
            position = flags.index(0)
            found[kinds[position]][names[position]] = _pnl(sums)
        return {kind: _in_order(kind, groups) for kind, groups in found.items()}


def _in_order(kind: PnlGroup, groups: dict[str, Pnl]) -> dict[str, Pnl]:
    if kind is PnlGroup.DAY:
        return dict(sorted(groups.items()))
    return dict(sorted(groups.items(), key=lambda each: (-each[1].net_pnl, each[0])))


def _closed(query: Select[*tuple[Any, ...]], wanted: PnlFilter) -> Select[*tuple[Any, ...]]:
    query = query.where(TradeRow.status == TradeStatus.CLOSED)
    for name in ("symbol", "user_broker_id", "exit_reason", "product_type"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(TradeRow.__table__.c[name] == value)
    if wanted.day is not None:
        start = datetime.combine(wanted.day, time(), TRADING_ZONE)
        query = query.where(TradeRow.closed_at >= start, TradeRow.closed_at < start + timedelta(days=1))
    return query


def _pnl(row: Sequence[Any]) -> Pnl:
    count, *sums, unknown, last_closed_at = row
    gross, charges, net = (amount or Decimal(0) for amount in sums)
    return Pnl(count, gross, charges, net, unknown, last_closed_at)
