"""Rows as records."""

from __future__ import annotations

from services.outbox_relay import records
from services.outbox_relay.parking.parked_events import DecidedEvent
from services.outbox_relay.records import COLUMNS, batches_of, headers_of_row

HEADERS = ("io.x.v1", "/source", "subject", "2026-01-13T00:00:00Z", "00-a-b-01", "k:s")
ROW = (3, 9, "topic", "key", b"{}", "id-1", "7", *HEADERS)


def test_the_headers_are_those_of_cloudevents_and_of_the_trace() -> None:
    assert headers_of_row((*ROW, 0.1)) == [
        ("ce_specversion", "1.0"),
        ("ce_id", "id-1"),
        ("ce_sequence", "7"),
        ("content-type", "application/json"),
        ("ce_type", "io.x.v1"),
        ("ce_source", "/source"),
        ("ce_subject", "subject"),
        ("ce_time", "2026-01-13T00:00:00Z"),
        ("traceparent", "00-a-b-01"),
        ("ce_signature", "k:s"),
    ]


def test_event_from_before_signing_goes_out_unsigned() -> None:
    assert headers_of_row((*ROW[:12], None, 0.1)) == headers_of_row((*ROW, 0.1))[:-1]


def test_replayed_event_keeps_its_original_headers() -> None:
    event = DecidedEvent(
        "id-1", 3, "topic", "key", 7, *HEADERS, "k:discarded", b"{}", "REPLAY", "ops-desk", None, "why"
    )
    assert event.record() == ("topic", "key", b"{}", headers_of_row((*ROW, 0.1)))


def test_batches_are_of_one_shard_and_not_too_long() -> None:
    rows = [(1, 1), (1, 2), (1, 3), (2, 4), (3, 5)]
    assert [list(batch) for batch in batches_of(rows, 2)] == [[(1, 1), (1, 2)], [(1, 3)], [(2, 4)], [(3, 5)]]


def test_the_indexes_are_those_of_the_selected_columns() -> None:
    columns = [column.strip().removeprefix("e.").removesuffix("::text") for column in COLUMNS.split(",")]
    named = {name: columns[getattr(records, name.upper())] for name in columns[:7]}
    assert named == {name: name for name in columns[:7]}
    assert columns[records.HEADERS] == ["ce_type", "ce_source", "ce_subject", "ce_time", "traceparent", "signature"]
    assert columns[records.WRITTEN_US :] == ["created_at"]
    assert (columns[records.CE_TYPE], columns[records.TRACEPARENT]) == ("ce_type", "traceparent")
