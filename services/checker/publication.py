"""Rule 2: the outboxes and the Kafka log are the same events, and the log has them in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from services.checker.finding import Finding, Rule, finding
from services.checker.kafka_log import LogRecord, Removed
from services.checker.outbox_rows import OutboxRow, ParkedRow
from shared.contracts.discarded import Discarded
from shared.wording import plural

CLOCKS_DIFFER = timedelta(minutes=1)
"""A record is dated by its service, its row by the database."""


def check_publication(
    rows: Sequence[OutboxRow],
    parked: Sequence[ParkedRow],
    log: Sequence[LogRecord],
    kept_from: Mapping[str, datetime],
    removed: Removed = Removed(),  # immutable
) -> Finding:
    """Compare every row with every record. The relay must have had time to drain.

    A parked event is not lost: an operator has to decide it. A Discarded event stands for the one it replaces. A record
    older than its topic's `kept_from` needs no row, since old rows are dropped. Where Kafka removed records, rows
    before the first record of their key are not judged, nor is the start of a key's sequence.
    """
    duplicates = len(log) - len({record.event_id for record in log})
    note = f"{plural(len(log), 'record')}, duplicate deliveries among them: {duplicates}"
    waiting = {row.event_id for row in parked if not row.over}
    if parked:
        note += f", {plural(len(waiting), 'event')} parked, {len(parked) - len(waiting)} discarded"
    outdated = _outdated(rows, log, kept_from)
    if outdated:
        note += f"; older than the kept ones: {plural(len(outdated), 'record')} not judged"
    judged = [record for record in log if record.where not in outdated]
    first = _first_sequences(log, removed)
    gone = {row.event_id for row in rows if _is_gone(row, first, removed)}
    if gone:
        note += f"; removed from Kafka: {plural(len(gone), 'row')} not judged"
    violations = [*_differences(rows, waiting | gone, judged), *_disorder(log, first), *_strays(log)]
    return finding(Rule.PUBLICATION, len(rows), violations, note)


def _outdated(rows: Sequence[OutboxRow], log: Sequence[LogRecord], kept_from: Mapping[str, datetime]) -> set[str]:
    """Return the positions of records whose rows may have been dropped."""
    kept = {row.event_id for row in rows}
    return {
        record.where
        for record in log
        if record.event_id not in kept
        and record.written_at is not None
        and record.topic in kept_from
        and record.written_at < kept_from[record.topic] + CLOCKS_DIFFER
    }


def _first_sequences(log: Sequence[LogRecord], removed: Removed) -> dict[tuple[str, str], int]:
    """Return the lowest remaining sequence of each key with possibly removed records."""
    first: dict[tuple[str, str], int] = {}
    for record in log:
        key = (record.topic, record.key)
        if removed.may_have_had(*key):
            first[key] = min(record.sequence, first.get(key, record.sequence))
    return first


def _is_gone(row: OutboxRow, first: Mapping[tuple[str, str], int], removed: Removed) -> bool:
    """Return True if the row's record may have been removed: it precedes the first remaining one of its key."""
    left = first.get((row.topic, row.key))
    return removed.may_have_had(row.topic, row.key) and (left is None or row.sequence < left)


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


def _disorder(log: Sequence[LogRecord], first: Mapping[tuple[str, str], int]) -> Iterator[str]:
    """Require first occurrences of a key to count 1, 2, 3, … or on from `first`; `log` is in offset order."""
    seen: set[str] = set()
    last: dict[tuple[str, str], int] = defaultdict(int, {key: sequence - 1 for key, sequence in first.items()})
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
