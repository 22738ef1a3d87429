"""Route: the stop orders held by brokers for trades."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from services.exit_qualification.api.context import Context
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from services.exit_qualification.storage.protective_stops import MissingStop, ProtectiveStopRepository, StopFilter
from shared.contracts.exits import Timestamp
from shared.contracts.trades import Symbol, UserBrokerId
from shared.contracts.vocabulary import Direction, ProductType, ProtectiveStopStatus
from shared.http.auth import Reader
from shared.http.fields import OrderId
from shared.http.paging import Keyset, PageCursor, PageLimit
from shared.http.routing import api_router
from shared.money import Money

router = api_router(prefix="/protective-stops", tags=["exits"])

MOST_TRADES = 100
NEWEST: Keyset[ProtectiveStop, UUID] = Keyset("protective_stops", UUID, lambda stop: stop.stop_id)
MISSING: Keyset[MissingStop, UUID] = Keyset("protective_stops.missing", UUID, lambda missing: missing.trade_id)

_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
TradeIds = Annotated[
    str | None,
    Query(
        pattern=f"^{_UUID}(,{_UUID}){{0,{MOST_TRADES - 1}}}$",
        description=f"only of these trades: ids separated by commas, at most {MOST_TRADES}",
    ),
]
Standing = Annotated[bool, Query(description="only live stops")]


class ProtectiveStopView(BaseModel):
    """Stop order held by the broker for a trade, now or before."""

    model_config = ConfigDict(from_attributes=True)

    stop_id: UUID
    trade_id: UUID
    user_broker_id: str
    symbol: str
    direction: Direction = Field(description="of the trade")
    product_type: ProductType
    status: ProtectiveStopStatus
    quantity: int
    trigger_price: Money
    client_order_id: str
    broker_order_id: str | None
    error_code: str | None = Field(description="why it waits or failed")
    error_message: str | None
    end_reason: str | None = Field(description="why it ended or is being cancelled")
    created_at: Timestamp
    submitted_at: Timestamp | None = Field(description="when it was sent to the broker")
    asked_at: Timestamp | None = Field(description="when its change or cancellation was requested last")
    changes: int = Field(description="how often other terms were requested")
    armed_at: Timestamp | None = Field(description="when the broker confirmed it last")
    ended_at: Timestamp | None
    intent_id: UUID | None = Field(description="exit with its fills, once it was triggered")


class ProtectiveStopPage(BaseModel):
    """Page of protective stops; `next` is the cursor of the next page."""

    items: list[ProtectiveStopView]
    next: str | None


class MissingStopView(BaseModel):
    """Open trade without a stop at the broker although its plan asks for one."""

    model_config = ConfigDict(from_attributes=True)

    trade_id: UUID
    user_broker_id: str
    symbol: str
    direction: Direction = Field(description="of the trade")
    product_type: ProductType
    open_quantity: int
    stop: ProtectiveStopView | None = Field(description="its latest stop; null if none was written yet")


class MissingStopPage(BaseModel):
    """Page of trades without their protective stop; `next` is the cursor of the next page."""

    items: list[MissingStopView]
    next: str | None


@router.get("/missing")
def missing_stops(context: Context, _: Reader, cursor: PageCursor = None, limit: PageLimit = 100) -> MissingStopPage:
    """List open trades without the protective stop of their plan at the broker, oldest first."""
    with context.unit_of_work() as uow:
        found = ProtectiveStopRepository(uow.connection).missing(MISSING.after(cursor), limit + 1)
    page = MISSING.page(found, limit)
    return MissingStopPage(items=[MissingStopView.model_validate(each) for each in page.items], next=page.next)


@router.get("")
def protective_stops(
    context: Context,
    _: Reader,
    trade_ids: TradeIds = None,
    symbol: Symbol | None = None,
    user_broker_id: UserBrokerId | None = None,
    status: ProtectiveStopStatus | None = None,
    order_id: OrderId | None = None,
    standing: Standing = False,
    cursor: PageCursor = None,
    limit: PageLimit = 100,
) -> ProtectiveStopPage:
    """List stop orders held at brokers for trades, ended ones too, newest first; each order is one item."""
    trades = None if trade_ids is None else [UUID(trade_id) for trade_id in trade_ids.split(",")]
    wanted = StopFilter(trades, symbol, user_broker_id, status, standing, order_id)
    with context.unit_of_work() as uow:
        found = ProtectiveStopRepository(uow.connection).find(wanted, NEWEST.after(cursor), limit + 1)
    page = NEWEST.page(found, limit)
    return ProtectiveStopPage(items=[ProtectiveStopView.model_validate(stop) for stop in page.items], next=page.next)
