"""Repository of sums over closed trades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Select, func, select

from services.trade_management.models import TradeRow
from shared.clock import TRADING_ZONE
from shared.contracts.vocabulary import TradeStatus

SUMS = (func.count(), func.sum(TradeRow.gross_pnl), func.sum(TradeRow.charges), func.sum(TradeRow.net_pnl))


class PnlGroup(StrEnum):
    """What totals are given for."""

    SYMBOL = "symbol"
    ACCOUNT = "user_broker_id"
    REASON = "exit_reason"


_GROUP_COLUMNS = {
    PnlGroup.SYMBOL: TradeRow.symbol,
    PnlGroup.ACCOUNT: TradeRow.user_broker_id,
    PnlGroup.REASON: TradeRow.exit_reason,
}


@dataclass(frozen=True, slots=True)
class Pnl:
    """Rupees over `count` closed trades."""

    count: int
    gross_pnl: Decimal
    charges: Decimal
    net_pnl: Decimal


class PnlRepository:
    """Profit and loss as one transaction sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_closed_trades(self, day: date | None = None, symbol: str | None = None) -> Pnl:
        """Return totals over closed trades, filtered by closing day (Asia/Kolkata) and symbol if given."""
        return _pnl(self._connection.execute(_closed(select(*SUMS), day, symbol)).one())

    def by(self, group: PnlGroup, day: date | None = None, symbol: str | None = None) -> dict[str, Pnl]:
        """Return the same totals for each symbol, account or reason, the most profitable first."""
        column = _GROUP_COLUMNS[group]
        query = _closed(select(column, *SUMS), day, symbol).group_by(column)
        rows = self._connection.execute(query.order_by(func.sum(TradeRow.net_pnl).desc(), column))
        return {name: _pnl(sums) for name, *sums in rows}


def _closed(query: Select[*tuple[Any, ...]], day: date | None, symbol: str | None) -> Select[*tuple[Any, ...]]:
    query = query.where(TradeRow.status == TradeStatus.CLOSED)
    if symbol is not None:
        query = query.where(TradeRow.symbol == symbol)
    if day is not None:
        start = datetime.combine(day, time(), TRADING_ZONE)
        query = query.where(TradeRow.closed_at >= start, TradeRow.closed_at < start + timedelta(days=1))
    return query


def _pnl(row: Sequence[Any]) -> Pnl:
    count, *sums = row
    gross, charges, net = (amount or Decimal(0) for amount in sums)
    return Pnl(count, gross, charges, net)
