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
    A hold with a version outlasts its seconds until then. Orders at the broker go on. With `hold_s` 0 the holds end,
    those with a version only if it is given; without `hold_s` nothing changes.
    """
    with context.unit_of_work() as uow:
        holds = TradeHoldRepository(uow.connection)
        before = holds.held(body.trade_ids)
        if body.hold_s is not None:
            holds.hold(body.trade_ids, body.hold_s, body.versions)
        uow.commit()
    with context.unit_of_work() as uow:  # after the commit: claims from now on see the hold
        standings = TradeHoldRepository(uow.connection).standings(body.trade_ids)
    return HeldTrades(
        items=[
            HeldTrade(
                trade_id=each.trade_id,
                is_live=each.is_live,
                filled_quantity=each.filled_quantity,
                was_held=each.trade_id in before,
            )
            for each in standings
        ]
    )
