"""Process trade-api."""

from __future__ import annotations

from services.trade_management.api.app import create
from shared.clock import SystemClock
from shared.postgres.connection_limits import REQUESTS
from shared.postgres.engine import open_engine
from shared.postgres.health_check import watch_database
from shared.postgres.pruning import Pruned, pruning
from shared.postgres.revisions import TRADE_MANAGEMENT
from shared.runtime.health import Health
from shared.runtime.process import serve
from shared.settings import Settings

PORT = 8002


def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    url = settings.require_trade_database()
    engine = open_engine(
        url,
        TRADE_MANAGEMENT,
        application="exitflow-trade-api",
        pool_size=settings.database_pool_size,
        limits=REQUESTS.within(settings.database_statement_timeout_s),
        pooler=settings.database_pooler,
    )
    health = Health(deadline_s=settings.health_deadline_s)
    keys = pruning(engine, Pruned.IDEMPOTENCY_KEYS, settings.idempotency_keep_days, settings.prune_every_s)
    with watch_database(url, TRADE_MANAGEMENT, health, deadline_s=settings.health_deadline_s), keys:
        serve(create(settings, engine, health, SystemClock()), settings, PORT)
    engine.dispose()
