"""Routes of the instruments."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from services.exit_qualification.api.context import Context
from services.exit_qualification.storage.instruments import FILE, InstrumentRepository
from shared.contracts.exits import Timestamp
from shared.contracts.instruments import MOST_INSTRUMENTS, Instrument
from shared.contracts.trades import Symbol
from shared.errors import NotFound
from shared.http.auth import Operator, Reader
from shared.http.declared_errors import declared
from shared.http.fields import Reason
from shared.http.routing import api_router
from shared.postgres.audit import Act, audit

router = api_router(prefix="/instruments", tags=["instruments"])


class PutInstruments(BaseModel):
    """Instruments to add or change; a missing field keeps its stored value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruments: list[Instrument] = Field(min_length=1, max_length=MOST_INSTRUMENTS)
    reason: Reason


class RefreshInstruments(BaseModel):
    """Request to load the instruments of every broker now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Reason


class InstrumentLoadView(BaseModel):
    """Last load of the instruments of a source: a broker, or `file`."""

    model_config = ConfigDict(from_attributes=True)

    source: str
    requested_at: Timestamp | None
    loaded_at: Timestamp | None
    instruments: int
    skipped: int = Field(description="rows of the last load not of our kinds")
    error: str | None


class InstrumentLoads(BaseModel):
    """Last load of every source."""

    items: list[InstrumentLoadView]


@router.get("", responses=declared(404))
def instrument(context: Context, _: Reader, symbol: Annotated[Symbol, Query()]) -> Instrument:
    """Return an instrument."""
    with context.unit_of_work() as uow:
        found = InstrumentRepository(uow.connection).get(symbol)
    if found is None:
        raise NotFound(f"no instrument {symbol}; load the broker's instruments")
    return found


@router.get("/loads")
def loads(context: Context, _: Reader) -> InstrumentLoads:
    """Return when the instruments of each source were loaded last."""
    with context.unit_of_work() as uow:
        return _loads(InstrumentRepository(uow.connection))


@router.put("")
def put_instruments(body: PutInstruments, context: Context, caller: Operator) -> InstrumentLoads:
    """Add or change instruments, e.g. the freeze quantities of an exchange."""
    with context.unit_of_work() as uow:
        repository = InstrumentRepository(uow.connection)
        repository.upsert(body.instruments)
        repository.record(FILE, instruments=len(body.instruments))
        act = Act(caller.name, body.reason)
        audit(uow.connection, act, "instruments.put", FILE, after={"instruments": len(body.instruments)})
        uow.commit()
        return _loads(repository)


@router.put("/refresh")
def refresh(body: RefreshInstruments, context: Context, caller: Operator) -> InstrumentLoads:
    """Ask exit-orders to load the instruments of every broker now. `loaded_at` passes `requested_at` once it did."""
    with context.unit_of_work() as uow:
        repository = InstrumentRepository(uow.connection)
        repository.request_loads()
        audit(uow.connection, Act(caller.name, body.reason), "instruments.refresh", "all brokers")
        answer = _loads(repository)
        uow.commit()
    return answer


def _loads(repository: InstrumentRepository) -> InstrumentLoads:
    return InstrumentLoads(items=[InstrumentLoadView.model_validate(load) for load in repository.loads()])
