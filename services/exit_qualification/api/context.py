"""What the routes of exit-api work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy import Engine

from services.exit_qualification.manual_exit_service import ManualExitService
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
    manual_exits: ManualExitService

    def unit_of_work(self) -> UnitOfWork:
        """A transaction of its own."""
        return UnitOfWork(self.engine, self.outbox)


def _context(request: Request) -> ApiContext:
    return cast(ApiContext, request.app.state.context)


Context = Annotated[ApiContext, Depends(_context)]
Reader = Annotated[Caller, Depends(requires(Scope.READ))]
Operator = Annotated[Caller, Depends(requires(Scope.OPERATE))]
