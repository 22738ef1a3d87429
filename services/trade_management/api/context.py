"""What the routes of trade-api work with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy import Engine

from services.trade_management.trade_management_service import TradeManagementService
from shared.clock import Clock
from shared.http.auth import Caller, Scope, requires
from shared.http.trace import traceparent_of
from shared.outbox import Outbox
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class ApiContext:
    """Made once when the process starts; each request has its own `traceparent`, which its events carry on."""

    engine: Engine
    outbox: Outbox
    clock: Clock
    service: TradeManagementService
    traceparent: str | None = None

    def unit_of_work(self) -> UnitOfWork:
        """A transaction of its own."""
        return UnitOfWork(self.engine, self.outbox, self.traceparent)


def _context(request: Request) -> ApiContext:
    return replace(cast(ApiContext, request.app.state.context), traceparent=traceparent_of(request))


Context = Annotated[ApiContext, Depends(_context)]
Reader = Annotated[Caller, Depends(requires(Scope.READ))]
Trader = Annotated[Caller, Depends(requires(Scope.TRADE))]
