"""Number of published signals, counted from the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from uuid import UUID

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import text

from shared.outbox.unit_of_work import UnitOfWork

EDGE = text("""
-- exit_signals.edge: every signal of a transaction before it is published, parked or discarded
SELECT min(pg_snapshot_xmin(snap))::text FROM outbox_shard
""")
COUNT = text("""
-- exit_signals.count_published: since the edge of the look before
SELECT exit_reason,
       count(*) FILTER (WHERE status = 'PUBLISHED' AND xid < CAST(:edge AS xid8)) AS settled,
       count(*) FILTER (WHERE status = 'PUBLISHED' AND xid >= CAST(:edge AS xid8)) AS recent,
       array_agg(signal_id) FILTER (WHERE status <> 'PUBLISHED' AND xid < CAST(:edge AS xid8)) AS held
  FROM exit_signal_status
 WHERE xid >= CAST(:since AS xid8)
 GROUP BY exit_reason
""")
RELEASED = text("""
-- exit_signals.released: parked signals replayed since
SELECT signal_id, exit_reason FROM exit_signal_status
 WHERE signal_id = ANY (CAST(:held AS uuid[])) AND status = 'PUBLISHED'
""")


class PublishedSignals(Collector):
    """Metric with the value of view `exit_signal_status`, updated step by step.

    A signal counts as published when the relay has recorded progress past it, so no process can count it at its own
    commit. The view knows the exact number, also after a restart. Each copy of the process shows the same total: take
    the maximum over copies.
    """

    def __init__(self, open_unit: Callable[[], UnitOfWork]) -> None:
        self._open_unit = open_unit
        self._since = 0
        self._settled: Counter[str] = Counter()
        self._held: set[UUID] = set()
        self._published: Counter[str] = Counter()

    def look_once(self) -> bool:
        """Count signals since the last run; return False, because the next run comes after a wait."""
        with self._open_unit() as uow:
            edge = int(uow.connection.execute(EDGE).scalar_one())
            if edge < self._since:  # transaction numbers were rebased
                self._since, self._settled, self._held = 0, Counter(), set()
            self._release(uow)
            rows = uow.connection.execute(COUNT, {"since": str(self._since), "edge": str(edge)}).all()
        recent: Counter[str] = Counter()
        for row in rows:
            self._settled[row.exit_reason] += row.settled
            recent[row.exit_reason] = row.recent
            self._held.update(row.held or ())
        self._since = edge
        self._published = self._settled + recent
        return False

    def _release(self, uow: UnitOfWork) -> None:
        """Count the parked signals replayed since the last run."""
        if not self._held:
            return
        for signal_id, reason in uow.connection.execute(RELEASED, {"held": list(self._held)}).all():
            self._held.discard(signal_id)
            self._settled[reason] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return the metric as of the last count."""
        family = CounterMetricFamily(
            "exit_signals_published", "exit signals with their event in Kafka; maximum over copies", labels=["reason"]
        )
        for reason, published in sorted(self._published.items()):
            family.add_metric([reason], published)
        yield family
