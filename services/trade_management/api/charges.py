"""Routes: charge schedules, and charges of contract notes."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from services.trade_management.api.context import Context
from services.trade_management.domain.charges import Rate, Rounding, Segment, Side
from services.trade_management.storage.charge_schedules import ChargeScheduleRepository
from shared.clock import trading_day
from shared.contracts.charges import MOST_NOTE_LINES, ContractNoteLine
from shared.contracts.vocabulary import Charge, Leg, ProductType
from shared.http.auth import Operator, Reader
from shared.http.fields import Reason
from shared.http.routing import api_router
from shared.money import Money
from shared.postgres.audit import Act

router = api_router(prefix="/charges", tags=["charges"])


class RateView(BaseModel):
    """Rate of a charge: `rate` of the order's value (GST: of brokerage, exchange and SEBI) plus `flat`, per order."""

    exchange: str
    segment: Segment
    product_type: ProductType
    charge: Charge
    side: Side
    rate: str
    flat: Money
    maximum: Money | None
    rounding: Rounding
    enabled: bool
    effective_from: date
    effective_to: date | None = Field(description="first day without the rate")
    source: str


class ChargeScheduleView(BaseModel):
    """Rates in force on a day, by exchange, segment, product and charge."""

    day: date
    items: list[RateView]


class FinaliseCharges(BaseModel):
    """Lines of contract notes. A leg is given whole: a charge of it without a line is zero."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lines: list[ContractNoteLine] = Field(min_length=1, max_length=MOST_NOTE_LINES)
    reason: Reason
    replace: bool = Field(False, strict=True, description="replace final charges of an earlier note")
    dry_run: bool = Field(False, strict=True, description="check the lines and store nothing")


class FinalisedLegView(BaseModel):
    """Final charges of a leg; `changed` is false if they were stored before."""

    model_config = ConfigDict(from_attributes=True)

    trade_id: UUID
    leg: Leg
    charges: Money
    changed: bool


class FinalisedCharges(BaseModel):
    """Result for each leg in the lines, in their order."""

    items: list[FinalisedLegView]


@router.get("/schedules")
def schedules(
    context: Context,
    _: Reader,
    day: Annotated[date | None, Query(description="today in Asia/Kolkata by default")] = None,
) -> ChargeScheduleView:
    """Return the charge rates in force on a day, with their sources."""
    on = day or trading_day(context.clock.now())
    with context.unit_of_work() as uow:
        rates = ChargeScheduleRepository(uow.connection).all().rates
    held = [_view(rate) for rate in rates if rate.in_force_on(on)]
    held.sort(key=lambda it: (it.exchange, it.segment, it.product_type, list(Charge).index(it.charge), it.side))
    return ChargeScheduleView(day=on, items=held)


@router.post("/finalise")
def finalise(body: FinaliseCharges, context: Context, caller: Operator) -> FinalisedCharges:
    """Make charges of closed trades final, from contract notes; all lines or none.

    Lines stored before change nothing. Each wrong line is named in `errors`. A trade is FINAL once both of
    its legs are.
    """
    act = Act(caller.name, body.reason)
    with context.unit_of_work() as uow:
        found = context.charge_finalisation.finalise(uow, body.lines, act, replace=body.replace, dry_run=body.dry_run)
        uow.commit()
    return FinalisedCharges(items=[FinalisedLegView.model_validate(each) for each in found])


def _view(rate: Rate) -> RateView:
    return RateView(
        exchange=rate.market.exchange,
        segment=rate.market.segment,
        product_type=rate.product_type,
        charge=rate.charge,
        side=rate.side,
        rate=f"{rate.rate.normalize():f}",
        flat=rate.flat,
        maximum=rate.maximum,
        rounding=rate.rounding,
        enabled=rate.enabled,
        effective_from=rate.effective_from,
        effective_to=rate.effective_to,
        source=rate.source,
    )
