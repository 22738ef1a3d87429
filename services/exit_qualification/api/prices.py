"""Route: last prices of symbols."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel

from services.exit_qualification.api.context import Context
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.contracts.exits import Timestamp
from shared.contracts.trades import Symbol
from shared.errors import NotFound
from shared.http.auth import Reader
from shared.http.declared_errors import declared
from shared.http.routing import api_router
from shared.money import Money

router = api_router(prefix="/prices", tags=["prices"])


class PriceView(BaseModel):
    """Last price of a symbol, as the engine has judged it, its tick size and its lot size; null where not known.

    The price and `last_tick_at`, the time of its tick, are up to about a second old.
    """

    symbol: str
    last_price: Money | None
    tick_size: Money | None
    lot_size: int | None
    last_tick_at: Timestamp | None = None


@router.get("/{symbol}", responses=declared(404))
def last_price(symbol: Annotated[Symbol, Path()], context: Context, _: Reader) -> PriceView:
    """Return the last price, the tick size and the lot size of a symbol."""
    with context.unit_of_work() as uow:
        price, at = OrderQueues(uow.connection).last_ticks([symbol]).get(symbol, (None, None))
        instrument = MarketFactsRepository(uow.connection).read([symbol])[symbol].instrument
    if price is None and instrument.tick_size is None and instrument.lot_size is None:
        raise NotFound(f"no tick of {symbol} was judged yet, and its instrument is not loaded")
    return PriceView(
        symbol=symbol,
        last_price=price,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        last_tick_at=at,
    )
