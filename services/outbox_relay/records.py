"""A row of the outbox as a record of Kafka: CloudEvents 1.0 in binary mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from shared.kafka.clients import Headers
from shared.outbox.signatures import SIGNATURE_HEADER

Row = tuple[Any, ...]
"""A row of `COLUMNS`. Decision 31 says why it is a plain tuple: a typed row costs more than the drain can spare."""

COLUMNS = """\
e.shard, e.id, e.topic, e.key, e.payload, e.event_id::text, e.sequence::text,
       e.ce_type, e.ce_source, e.ce_subject, e.ce_time, e.traceparent, e.signature, e.created_at"""
"""Columns of the outbox `e` for rows; the texts are ready for the wire."""

SHARD, ID, TOPIC, KEY, PAYLOAD, EVENT_ID, SEQUENCE = range(7)
HEADERS = slice(7, 13)
"""Headers in columns: ce_type, ce_source, ce_subject, ce_time, traceparent, signature."""
CE_TYPE, TRACEPARENT, WRITTEN_US = 7, 11, 13
WINDOW_END = 14
"""The column of the window's end, behind those of a row, in `READ_NEWS` alone."""

Key = tuple[str, str]
"""Topic and key: the order holds within them."""

MICROSECOND_S = 1e-6
"""Times of PostgreSQL are microseconds since its epoch, the year 2000."""

_SPECVERSION = ("ce_specversion", "1.0")
_CONTENT_TYPE = ("content-type", "application/json")


def headers_of_row(row: Row) -> Headers:
    """Return the record's headers. Runs once per event, so constant parts are prepared once."""
    _, _, _, _, _, event_id, sequence, ce_type, source, subject, time, traceparent, signature, _ = row
    headers: Headers = [
        _SPECVERSION,
        ("ce_id", event_id),
        ("ce_sequence", sequence),
        _CONTENT_TYPE,
        ("ce_type", ce_type),
        ("ce_source", source),
        ("ce_subject", subject),
        ("ce_time", time),
        ("traceparent", traceparent),
    ]
    if signature is not None:  # rows from before events were signed have none
        headers.append((SIGNATURE_HEADER, signature))
    return headers


def batches_of(rows: Sequence[Row], longest: int) -> Iterator[Sequence[Row]]:
    """Cut rows into batches: consecutive rows of one shard, at most `longest` each."""
    if rows and rows[0][SHARD] == rows[-1][SHARD] and len(rows) <= longest:
        yield rows
        return
    for _, group in groupby(rows, key=itemgetter(SHARD)):
        of_shard = list(group)
        for start in range(0, len(of_shard), longest):
            yield of_shard[start : start + longest]
