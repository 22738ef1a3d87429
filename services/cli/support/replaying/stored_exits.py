"""Stored exits of exit qualification's database, in the form of their events."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from services.cli.support.database_urls import service_databases
from services.replay.stored import StoredSignal, in_order, stored_signal
from shared.contracts.exits import ExitSignalPublished
from shared.postgres.connection_limits import TOOLS
from shared.postgres.engine import open_engine
from shared.postgres.revisions import EXIT_QUALIFICATION

SIGNALS = text("""
-- exit_signals.of_trades
SELECT signal_id, trade_id, symbol, direction, exit_reason, episode_id, detected_price, detected_at, leg
  FROM exit_signals
 WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
""")


def stored_exits(data_dir: Path | None, trade_ids: Collection[UUID]) -> list[StoredSignal]:
    """Return the stored exits of trades, in the order they were made.

    The database is the one of the stack in `data_dir`, else of the settings, else of the default stack.
    """
    url = service_databases(data_dir)[EXIT_QUALIFICATION]
    engine = open_engine(url, EXIT_QUALIFICATION, application="exitflow-replay", limits=TOOLS)
    try:
        with engine.connect() as connection:
            rows = connection.execute(SIGNALS, {"trade_ids": list(trade_ids)}).mappings().all()
    finally:
        engine.dispose()
    return in_order(stored_signal(ExitSignalPublished(**row).payload()) for row in rows)
