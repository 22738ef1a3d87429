"""Route: last prices of symbols."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel

from services.exit_qualification.api.context import Context, ExitApiContext
from services.exit_qualification.domain.market_facts import InstrumentTerms
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.contracts.exits import Timestamp
from shared.contracts.trades import SYMBOL_PATTERN, Symbol
from shared.errors import NotFound
from shared.http.auth import Reader
from shared.http.declared_errors import declared
from shared.http.routing import api_router
from shared.money import Money

router = api_router(prefix="/prices", tags=["prices"])

MOST_SYMBOLS = 100
_SYMBOL = SYMBOL_PATTERN.strip("^$")
Symbols = Annotated[
    str,
    Query(
        pattern=f"^{_SYMBOL}(,{_SYMBOL}){{0,{MOST_SYMBOLS - 1}}}$",
        description=f"separated by commas, at most {MOST_SYMBOLS}",
        examples=["NSE:INFY,NSE:TCS"],
    ),
]


class PriceView(BaseModel):
    """Last price of a symbol, as the engine has judged it, and its instrument's terms; null where not known.

    The price and `last_tick_at`, the time of its tick, are up to about a second old.
    """

    symbol: str
    last_price: Money | None
    tick_size: Money | None
    lot_size: int | None
    freeze_quantity: int | None = None
    last_tick_at: Timestamp | None = None


class PriceList(BaseModel):
    """Known prices of the wanted symbols, in their order."""

    items: list[PriceView]


@router.get("")
def last_prices(symbols: Symbols, context: Context, _: Reader) -> PriceList:
    """Return the last price and the terms of each symbol; unknown symbols are left out."""
    return PriceList(items=_prices(context, list(dict.fromkeys(symbols.split(",")))))


@router.get("/{symbol}", responses=declared(404))
def last_price(symbol: Annotated[Symbol, Path()], context: Context, _: Reader) -> PriceView:
    """Return the last price, the tick size, the lot size and the freeze quantity of a symbol."""
    found = _prices(context, [symbol])
    if not found:
        raise NotFound(f"no tick of {symbol} was judged yet, and its instrument is not loaded")
    return found[0]


def _prices(context: ExitApiContext, symbols: list[str]) -> list[PriceView]:
    with context.unit_of_work() as uow:
        ticks = OrderQueues(uow.connection).last_ticks(symbols)
        facts = MarketFactsRepository(uow.connection).read(symbols)
    views = (_view(symbol, ticks.get(symbol, (None, None)), facts[symbol].instrument) for symbol in symbols)
    return [view for view in views if view.model_dump(exclude={"symbol"}, exclude_none=True)]


def _view(symbol: str, tick: tuple[Decimal | None, datetime | None], instrument: InstrumentTerms) -> PriceView:
    price, at = tick
    return PriceView(
        symbol=symbol,
        last_price=price,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        freeze_quantity=instrument.freeze_quantity,
        last_tick_at=at,
    )
