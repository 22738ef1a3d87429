"""ConsumerGaps: records missed by a consumer, stored until an operator acknowledges them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from shared.kafka.topic_watch import RECORDS_MISSED, Change
from shared.kafka.topics import Bounds, Partition
from shared.postgres.audit import Act, audit

ANY_PARTITION = -1

RECORD = text("""
-- consumer_gaps.record: a grown gap is open again
INSERT INTO consumer_gaps AS g (consumer, topic, topic_id, partition, kind, first_offset, missed)
SELECT :consumer, * FROM unnest(CAST(:topics AS text[]), CAST(:topic_ids AS text[]), CAST(:partitions AS integer[]),
                                CAST(:kinds AS text[]), CAST(:first_offsets AS bigint[]), CAST(:missed AS bigint[]))
ON CONFLICT (consumer, topic_id, partition, kind, first_offset) DO UPDATE
   SET missed = EXCLUDED.missed, acknowledged_at = NULL
 WHERE EXCLUDED.missed > g.missed
""")
OPEN = text("""
-- consumer_gaps.open
SELECT gap_id, consumer, topic, topic_id, partition, kind, first_offset, missed, noticed_at
  FROM consumer_gaps
 WHERE acknowledged_at IS NULL AND consumer = :consumer
 ORDER BY gap_id
""")
ACKNOWLEDGE = text("""
-- consumer_gaps.acknowledge
UPDATE consumer_gaps SET acknowledged_at = clock_timestamp()
 WHERE acknowledged_at IS NULL AND consumer = :consumer
   AND (CAST(:gap_ids AS bigint[]) IS NULL OR gap_id = ANY (CAST(:gap_ids AS bigint[])))
RETURNING gap_id, topic, partition, first_offset, missed
""")


@dataclass(frozen=True, slots=True)
class Gap:
    """Records known or suspected to be missed.

    Attributes
    ----------
    partition:
        `ANY_PARTITION` where a whole topic was replaced.
    first_offset:
        The first of them.
    missed:
        Count of records known as missed; of a replaced topic, at least so many.
    """

    topic: str
    topic_id: str
    partition: int
    kind: Change
    first_offset: int
    missed: int


@dataclass(frozen=True, slots=True)
class OpenGap:
    """An unacknowledged gap."""

    gap_id: int
    gap: Gap
    noticed_at: datetime


class ConsumerGaps:
    """The gaps of one consumer, within the caller's transaction."""

    def __init__(self, connection: Connection, consumer: str) -> None:
        self._connection = connection
        self._consumer = consumer

    def record(self, gaps: Sequence[Gap]) -> None:
        """Store gaps; an already stored gap changes only if it has grown."""
        if not gaps:
            return
        values = {
            "topics": [gap.topic for gap in gaps],
            "topic_ids": [gap.topic_id for gap in gaps],
            "partitions": [gap.partition for gap in gaps],
            "kinds": [gap.kind.value for gap in gaps],
            "first_offsets": [gap.first_offset for gap in gaps],
            "missed": [gap.missed for gap in gaps],
        }
        self._connection.execute(RECORD, {"consumer": self._consumer, **values})

    def open(self) -> list[OpenGap]:
        """Return unacknowledged gaps, oldest first."""
        rows = self._connection.execute(OPEN, {"consumer": self._consumer})
        return [
            OpenGap(
                row.gap_id,
                Gap(row.topic, row.topic_id, row.partition, Change(row.kind), row.first_offset, row.missed),
                row.noticed_at,
            )
            for row in rows
        ]

    def acknowledge(self, act: Act, gap_ids: Sequence[int] | None = None) -> list[int]:
        """Close the open gaps named, or all, and return their ids. Audited."""
        ids = None if gap_ids is None else list(gap_ids)
        rows = self._connection.execute(ACKNOWLEDGE, {"consumer": self._consumer, "gap_ids": ids}).all()
        closed = sorted(row.gap_id for row in rows)
        if closed:
            missed = sum(row.missed for row in rows)
            audit(self._connection, act, "gaps.acknowledge", self._consumer, after={"gaps": closed, "missed": missed})
        return closed


def resume(
    stored: Mapping[Partition, int | None],
    bounds: Mapping[Partition, Bounds],
    topic_ids: Mapping[str, str],
    *,
    is_new: bool,
) -> tuple[dict[Partition, int], list[Gap]]:
    """Return each partition's start offset, and the gaps before it.

    A partition without a stored offset is read from its beginning. For a topic new to the consumer (`is_new`), records
    removed earlier are no gap. An offset beyond the end is kept: some brokers report a wrong end, so only Kafka's
    rejection counts.
    """
    positions, gaps = {}, []
    for partition, at in stored.items():
        beginning = bounds[partition].beginning
        expected = beginning if at is None and is_new else at or 0
        if expected < beginning:
            topic, number = partition
            gaps.append(Gap(topic, topic_ids[topic], number, Change.REMOVED, expected, beginning - expected))
        positions[partition] = max(expected, beginning)
    return positions, gaps


def count(gaps: Sequence[Gap]) -> None:
    """Count stored gaps in the metrics."""
    for gap in gaps:
        RECORDS_MISSED.labels(gap.topic).inc(gap.missed)
