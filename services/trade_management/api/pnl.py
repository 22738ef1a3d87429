"""Route: profit and loss."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated

from fastapi import Query

from services.trade_management.api.context import Context
from services.trade_management.api.views import PnlGroupView, PnlView
from services.trade_management.storage.pnl import PnlGroup, PnlRepository
from shared.contracts.trades import Symbol
from shared.http.auth import Reader
from shared.http.routing import api_router

router = api_router(tags=["pnl"])

Day = Annotated[
    date | None,
    Query(ge=date(1970, 1, 2), le=date(2199, 12, 30), description="trading day (Asia/Kolkata) of the closure"),
]


@router.get("/pnl")
def pnl(
    context: Context, _: Reader, day: Day = None, symbol: Symbol | None = None, group_by: PnlGroup | None = None
) -> PnlView:
    """Return totals over closed trades, and with `group_by` the totals of each group, the most profitable first."""
    with context.unit_of_work() as uow:
        repository = PnlRepository(uow.connection)
        totals = repository.of_closed_trades(day, symbol)
        groups = {} if group_by is None else repository.by(group_by, day, symbol)
    found = [PnlGroupView(group=name, **asdict(sums)) for name, sums in groups.items()]
    return PnlView(day=day, symbol=symbol, group_by=group_by, groups=found, **asdict(totals))
