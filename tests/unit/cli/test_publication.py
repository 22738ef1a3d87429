"""Records are compared with the kept rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from services.checker.finding import Finding
from services.checker.kafka_log import LogRecord, Removed
from services.checker.outbox_rows import OutboxRow
from services.checker.publication import check_publication

KEPT_FROM = datetime(2026, 1, 13, tzinfo=UTC)
LATER = KEPT_FROM + timedelta(hours=1)
DROPPED = {"t": KEPT_FROM}


def record(n: int, written_at: datetime | None) -> LogRecord:
    """The nth record of a key."""
    return LogRecord("t", 0, n, "k", f"e{n}", "Happened", n, b"", written_at)


def row_of(found: LogRecord) -> OutboxRow:
    """The row of the record."""
    return OutboxRow(found.event_id, found.topic, found.key, found.sequence, found.payload_hash)


def judged(written_at: datetime | None, kept_from: Mapping[str, datetime] = DROPPED) -> Finding:
    """A record without a row, before one with a row."""
    dropped, kept = record(1, written_at), record(2, LATER)
    return check_publication([row_of(kept)], [], [dropped, kept], kept_from)


def test_record_older_than_kept_rows_is_counted_not_judged() -> None:
    found = judged(KEPT_FROM - timedelta(hours=1))
    assert found.holds
    assert found.note.endswith("; older than the kept ones: 1 record not judged")


def test_rowless_record_is_convicted_if_kept_undated_or_nothing_dropped() -> None:
    of_another_topic = {"another": KEPT_FROM}
    for found in (judged(LATER), judged(None), judged(KEPT_FROM - timedelta(days=1), of_another_topic)):
        assert [line for line in found.violations if "e1 has no row" in line]
        assert "not judged" not in found.note


def test_kept_day_rows_are_compared_at_any_age() -> None:
    early = record(1, KEPT_FROM - timedelta(days=1))
    altered = OutboxRow("e1", "t", "k", 1, b"another")
    assert not check_publication([altered], [], [early], DROPPED).holds


REMOVED = Removed(frozenset({("t", 0)}), {"t": 1})


def test_rows_whose_records_kafka_removed_are_counted_and_not_judged() -> None:
    rows = [row_of(record(n, LATER)) for n in (1, 2, 3)] + [OutboxRow("o1", "t", "other", 1, b"")]
    found = check_publication(rows, [], [record(3, LATER)], {}, REMOVED)
    assert found.holds, found
    assert found.note.endswith("; removed from Kafka: 3 rows not judged")


def test_record_missing_behind_first_remaining_one_is_convicted() -> None:
    rows = [row_of(record(n, LATER)) for n in (1, 2, 3, 4)]
    found = check_publication(rows, [], [record(2, LATER), record(4, LATER)], {}, REMOVED)
    assert [line for line in found.violations if "e3" in line]
    assert [line for line in found.violations if "goes from 2 to 4" in line]


def test_rows_are_judged_where_nothing_was_removed() -> None:
    rows = [row_of(record(n, LATER)) for n in (1, 2)]
    for removed in (Removed(), Removed(frozenset({("t", 1)}), {"t": 1})):
        assert not check_publication(rows, [], [record(2, LATER)], {}, removed).holds
