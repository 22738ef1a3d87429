"""Route: profit and loss."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated

from fastapi import Query

from services.trade_management.api.context import Context
from services.trade_management.api.views import PnlView
from services.trade_management.storage.pnl import PnlRepository
from shared.contracts.trades import Symbol
from shared.http.auth import Reader
from shared.http.routing import api_router

router = api_router(tags=["pnl"])

Day = Annotated[
    date | None,
    Query(ge=date(1970, 1, 2), le=date(2199, 12, 30), description="trading day (Asia/Kolkata) of the closure"),
]


@router.get("/pnl")
def pnl(context: Context, _: Reader, day: Day = None, symbol: Symbol | None = None) -> PnlView:
    """Return totals over closed trades."""
    with context.unit_of_work() as uow:
        totals = PnlRepository(uow.connection).of_closed_trades(day, symbol)
    return PnlView(day=day, symbol=symbol, **asdict(totals))
