"""Route: holds of trades while trade management changes their terms."""

from __future__ import annotations

from services.exit_qualification.api.context import Context
from services.exit_qualification.api.views import HeldTrade, HeldTrades, HoldTrades
from services.exit_qualification.storage.trade_holds import TradeHoldRepository
from shared.http.auth import Executor
from shared.http.routing import api_router

router = api_router(prefix="/exits", tags=["exits"])


@router.post("/hold")
def hold_trades(body: HoldTrades, context: Context, _: Executor) -> HeldTrades:
    """Send no exit of these trades for a while, and tell how their exits stand. Needs scope `execute`.

    Trade management holds trades before a corporate action changes them, and exit-ticks ends the hold with the change.
    Orders at the broker go on. With `hold_s` 0 the holds end; without it nothing changes.
    """
    if body.hold_s is not None:
        with context.unit_of_work() as uow:
            TradeHoldRepository(uow.connection).hold(body.trade_ids, body.hold_s)
            uow.commit()
    with context.unit_of_work() as uow:  # after the commit: claims from now on see the hold
        standings = TradeHoldRepository(uow.connection).standings(body.trade_ids)
    return HeldTrades(items=[HeldTrade.model_validate(each) for each in standings])
