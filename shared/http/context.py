"""What the routes of every API with an outbox work with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from sqlalchemy import Engine

from shared.clock import Clock
from shared.http.trace import traceparent_of
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox


@dataclass(frozen=True, kw_only=True)
class ApiContext:
    """Made once when the process starts; each request has its own `traceparent`, which its events carry on."""

    engine: Engine
    outbox: Outbox
    clock: Clock
    traceparent: str | None = None

    def unit_of_work(self) -> UnitOfWork:
        """A transaction of its own."""
        return UnitOfWork(self.engine, self.outbox, self.traceparent)


def context_of(request: Request) -> Any:
    """A dependency: the app's ``state.context``, whichever `ApiContext` that is, as this request has it."""
    return replace(request.app.state.context, traceparent=traceparent_of(request))
