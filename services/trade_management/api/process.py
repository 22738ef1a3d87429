"""Process ``trade-api``."""

from __future__ import annotations

from fastapi import FastAPI

from services.trade_management.api.app import create
from shared.postgres.connection_limits import REQUESTS
from shared.postgres.pruning import Pruned
from shared.postgres.revisions import TRADE_MANAGEMENT
from shared.runtime.catalogue import TRADE_API
from shared.runtime.process import ProcessSpec, RunningProcess


def build(process: RunningProcess) -> FastAPI:
    """Return the API on its database."""
    settings = process.settings
    engine = process.open_database(settings.require_trade_database(), TRADE_MANAGEMENT, REQUESTS)
    process.prune(engine, Pruned.IDEMPOTENCY_KEYS, settings.idempotency_keep_days)
    return create(settings, engine, process.health, process.clock)


PROCESS = ProcessSpec(TRADE_API, build)
