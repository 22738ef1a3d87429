"""What the routes of trade-api work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy import Engine

from services.trade_management.trade_management_service import TradeManagementService
from shared.clock import Clock
from shared.http.auth import Caller, Scope, requires
from shared.outbox import Outbox
from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class ApiContext:
    """Made once when the process starts."""

    engine: Engine
    outbox: Outbox
    clock: Clock
    service: TradeManagementService

    def unit_of_work(self) -> UnitOfWork:
        """A transaction of its own."""
        return UnitOfWork(self.engine, self.outbox)


def _context(request: Request) -> ApiContext:
    return cast(ApiContext, request.app.state.context)


Context = Annotated[ApiContext, Depends(_context)]
Reader = Annotated[Caller, Depends(requires(Scope.READ))]
Trader = Annotated[Caller, Depends(requires(Scope.TRADE))]
