"""Route: open trades whose last price is nearest to their stop loss."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from services.exit_qualification.api.context import Context
from services.exit_qualification.storage.nearest_stops import nearest_stops
from shared.contracts.exits import Timestamp
from shared.contracts.trades import Symbol, UserBrokerId
from shared.contracts.vocabulary import Direction
from shared.http.auth import Reader
from shared.http.routing import api_router
from shared.money import Money

router = api_router(prefix="/exits/nearest", tags=["exits"])

MOST = 100


class NearStopView(BaseModel):
    """Open trade with the stop loss of its plan and the last price, up to about a second old."""

    model_config = ConfigDict(from_attributes=True)

    trade_id: UUID
    symbol: str
    direction: Direction
    user_broker_id: str
    stop_loss: Money
    last_price: Money
    priced_at: Timestamp | None
    distance: Money = Field(description="rupees that the last price must still move; 0 or less if it is met")


class NearStopList(BaseModel):
    """Trades, the nearest first."""

    items: list[NearStopView]


@router.get("")
def nearest(
    context: Context,
    _: Reader,
    symbol: Symbol | None = None,
    user_broker_id: UserBrokerId | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST, description="trades at most")] = 25,
) -> NearStopList:
    """List open trades by the distance of the last price to their stop loss, in shares of the price.

    Trailing stops and trades without a tick are not among them: `GET /exits/why/{trade_id}` has every rule of a trade.
    """
    with context.unit_of_work() as uow:
        found = nearest_stops(uow.connection, symbol=symbol, user_broker_id=user_broker_id, limit=limit)
    return NearStopList(items=[NearStopView.model_validate(each) for each in found])
