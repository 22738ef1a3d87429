"""Stored exits of exit qualification's database, in the form of their events, and the circuit limits of then."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy import RowMapping, TextClause, text

from services.cli.support.database_urls import service_databases
from services.replay.known_limits import KnownLimits, known_limits
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

LIMITS = text("""
-- market_quotes.of_symbols
SELECT symbol, lower_limit, upper_limit, (quoted_at AT TIME ZONE 'Asia/Kolkata')::date - DATE '1970-01-01' AS day
  FROM market_quotes
 WHERE symbol = ANY (CAST(:symbols AS text[]))
""")


def stored_limits(data_dir: Path | None, symbols: Collection[str]) -> KnownLimits:
    """Return the last circuit limits of symbols; database as of `stored_exits`."""
    rows = _rows(data_dir, LIMITS, symbols=list(symbols))
    return known_limits((row["symbol"], row["day"], row["lower_limit"], row["upper_limit"]) for row in rows)


def stored_exits(data_dir: Path | None, trade_ids: Collection[UUID]) -> list[StoredSignal]:
    """Return the stored exits of trades, in the order they were made.

    The database is the one of the stack in `data_dir`, else of the settings, else of the default stack.
    """
    rows = _rows(data_dir, SIGNALS, trade_ids=list(trade_ids))
    return in_order(stored_signal(ExitSignalPublished(**row).payload()) for row in rows)


def _rows(data_dir: Path | None, query: TextClause, **values: object) -> Sequence[RowMapping]:
    url = service_databases(data_dir)[EXIT_QUALIFICATION]
    engine = open_engine(url, EXIT_QUALIFICATION, application="exitflow-replay", limits=TOOLS)
    try:
        with engine.connect() as connection:
            return connection.execute(query, values).mappings().all()
    finally:
        engine.dispose()
