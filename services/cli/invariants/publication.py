"""Rule 2: the outboxes and the Kafka log are the same events, and the log has them in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from services.cli.invariants.finding import Finding, Rule, finding
from services.cli.invariants.kafka_log import LogRecord
from services.cli.invariants.outbox_rows import OutboxRow, ParkedRow
from shared.contracts.discarded import Discarded


def check_publication(rows: Sequence[OutboxRow], parked: Sequence[ParkedRow], log: Sequence[LogRecord]) -> Finding:
    """Compare every row with every record. The relay must have had its time to drain.

    A parked event is none that is lost: an operator has to decide it. A Discarded event stands for the one it replaces.
    """
    duplicates = len(log) - len({record.event_id for record in log})
    note = f"{len(log)} records, {duplicates} of them duplicate deliveries"
    waiting = {row.event_id for row in parked if not row.over}
    if parked:
        note += f", {len(waiting)} events parked, {len(parked) - len(waiting)} discarded"
    violations = [*_differences(rows, waiting, log), *_disorder(log), *_strays(log)]
    return finding(Rule.PUBLICATION, len(rows), violations, note)


def _differences(rows: Sequence[OutboxRow], waiting: set[str], log: Sequence[LogRecord]) -> Iterator[str]:
    by_id = {row.event_id: row for row in rows}
    seen = set()
    for record in log:
        row = by_id.get(record.event_id)
        if row is None:
            yield f"{record.where}: event {record.event_id or 'without id'} has no row"
            continue
        seen.add(record.event_id)
        if row.payload_hash != record.payload_hash and record.event_type != Discarded.event_type():
            yield f"{record.where}: the payload of event {row.event_id} is not the one of its row"
        if (row.topic, row.key, row.sequence) != (record.topic, record.key, record.sequence):
            yield (
                f"{record.where}: event {row.event_id} has key {record.key} and sequence {record.sequence}, "
                f"its row says {row.topic}, {row.key}, {row.sequence}"
            )
    for row in rows:
        if row.event_id not in seen and row.event_id not in waiting:
            yield f"event {row.event_id} ({row.topic}, {row.key}, {row.sequence}) was never published"


def _disorder(log: Sequence[LogRecord]) -> Iterator[str]:
    """First occurrences per topic and key must count 1, 2, 3, …; `log` is in the order of offsets."""
    seen: set[str] = set()
    last: dict[tuple[str, str], int] = defaultdict(int)
    for record in log:
        if record.event_id in seen:
            continue
        seen.add(record.event_id)
        key = (record.topic, record.key)
        if record.sequence != last[key] + 1:
            yield f"{record.where}: key {record.key} goes from {last[key]} to {record.sequence}"
        last[key] = record.sequence


def _strays(log: Sequence[LogRecord]) -> Iterator[str]:
    partitions: dict[tuple[str, str], set[int]] = defaultdict(set)
    for record in log:
        partitions[record.topic, record.key].add(record.partition)
    for (topic, key), found in partitions.items():
        if len(found) > 1:
            yield f"key {key} of {topic} is on partitions {sorted(found)}"
