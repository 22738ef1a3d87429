"""Context of the routes of every API with an outbox."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from sqlalchemy import Engine

from shared.clock import Clock
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.runtime.trace import valid_traceparent


@dataclass(frozen=True, kw_only=True)
class ApiContext:
    """Created once at process start; each request gets its own `traceparent`, copied into its events."""

    engine: Engine
    outbox: Outbox
    clock: Clock
    traceparent: str | None = None

    def unit_of_work(self) -> UnitOfWork:
        """Return a new unit of work."""
        return UnitOfWork(self.engine, self.outbox, self.traceparent)


async def context_of(request: Request) -> Any:
    """Return the app's ``state.context``, of any `ApiContext` class, with this request's trace (a dependency)."""
    context = request.app.state.context
    traceparent = valid_traceparent(request.headers.get("traceparent"))
    return context if traceparent is None else replace(context, traceparent=traceparent)
