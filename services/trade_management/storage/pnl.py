"""Repository of sums over closed trades."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import Connection, func, select

from services.trade_management.models import TradeRow
from shared.clock import TRADING_ZONE
from shared.contracts.vocabulary import TradeStatus


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
        query = select(
            func.count(),
            func.sum(TradeRow.gross_pnl),
            func.sum(TradeRow.charges),
            func.sum(TradeRow.net_pnl),
        ).where(TradeRow.status == TradeStatus.CLOSED)
        if symbol is not None:
            query = query.where(TradeRow.symbol == symbol)
        if day is not None:
            start = datetime.combine(day, time(), TRADING_ZONE)
            query = query.where(TradeRow.closed_at >= start, TradeRow.closed_at < start + timedelta(days=1))
        count, *sums = self._connection.execute(query).one()
        gross, charges, net = (amount or Decimal(0) for amount in sums)
        return Pnl(count, gross, charges, net)
