"""Pruning: delete deduplication rows once no duplicate can arrive any more."""

from __future__ import annotations

import logging
import threading
from enum import StrEnum

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.postgres.failures import reason
from shared.postgres.row_locks import limit_lock_waits
from shared.runtime.stopping import Stop
from shared.runtime.telemetry import counter

log = logging.getLogger(__name__)

ROWS_PER_BATCH = 1000
MOST_BATCHES = 200
"""Most batches of one round; the rest has its turn in the next."""

PRUNED = counter("pruned_rows", "rows removed because of their age", "table")
FAILURES = counter("pruning_failures", "failures of pruning", "table")


class Pruned(StrEnum):
    """Tables with rows pruned by age."""

    INBOX = "inbox"
    IDEMPOTENCY_KEYS = "idempotency_keys"


STATEMENTS = {
    Pruned.INBOX: text("""
-- pruning.inbox: rows held by another transaction are left for the next round
DELETE FROM inbox WHERE (consumer, event_id) IN (
  SELECT consumer, event_id FROM inbox WHERE at < clock_timestamp() - make_interval(days => :days)
   ORDER BY at LIMIT :limit FOR UPDATE SKIP LOCKED)
"""),
    Pruned.IDEMPOTENCY_KEYS: text("""
-- pruning.idempotency_keys: rows held by another transaction are left for the next round
DELETE FROM idempotency_keys WHERE (scope, key) IN (
  SELECT scope, key FROM idempotency_keys WHERE created_at < clock_timestamp() - make_interval(days => :days)
   ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED)
"""),
}


def prune(engine: Engine, table: Pruned, keep_days: int, stop: threading.Event) -> int:
    """Remove rows older than `keep_days`, in short transactions; return how many.

    Raises
    ------
    SQLAlchemyError
        The database does not answer, or refuses; batches before stay removed.
    """
    total = 0
    for _ in range(MOST_BATCHES):
        with engine.begin() as connection:
            limit_lock_waits(connection)
            removed = connection.execute(STATEMENTS[table], {"days": keep_days, "limit": ROWS_PER_BATCH}).rowcount
        total += removed
        PRUNED.labels(table).inc(removed)
        if removed < ROWS_PER_BATCH or stop.is_set():
            break
    return total


class Pruning:
    """Prune a table: at once, then every `every_s` seconds. Several copies may do it."""

    def __init__(self, engine: Engine, table: Pruned, keep_days: int, every_s: float) -> None:
        self._engine = engine
        self._table = table
        self._keep_days = keep_days
        self._every_s = every_s

    def run(self, stop: Stop) -> None:
        """Prune until `stop` is set; log failures of the database and try again next time."""
        while not stop.is_set():
            try:
                removed = prune(self._engine, self._table, self._keep_days, stop)
                if removed:
                    log.info("%s: %d rows older than %d days removed", self._table, removed, self._keep_days)
            except SQLAlchemyError as error:
                FAILURES.labels(self._table).inc()
                log.warning("%s is not pruned: %s", self._table, reason(error))
            stop.wait(self._every_s)
