"""CPU time of an outbox row as a tuple, a NamedTuple and a class with slots: `python -m bench.relay.rows`."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from services.outbox_relay.records import KEY, PAYLOAD, TOPIC, Row, headers_of_row

ROWS = 2500
REPETITIONS = 50
ROUNDS = 7
YOUNG_OBJECTS = 20_000
"""The threshold of the garbage collector in the relay."""


class NamedRow(NamedTuple):
    """The candidate with names."""

    shard: int
    id: int
    topic: str
    key: str
    payload: bytes
    event_id: str
    sequence: str
    ce_type: str
    ce_source: str
    ce_subject: str
    ce_time: str
    traceparent: str
    signature: str | None
    written_us: int


class SlotsRow:
    """The one candidate without tuples."""

    __slots__ = NamedRow._fields

    def __init__(self, values: Sequence[Any]) -> None:
        (
            self.shard,
            self.id,
            self.topic,
            self.key,
            self.payload,
            self.event_id,
            self.sequence,
            self.ce_type,
            self.ce_source,
            self.ce_subject,
            self.ce_time,
            self.traceparent,
            self.signature,
            self.written_us,
        ) = values

    def headers(self) -> list[tuple[str, Any]]:
        """Return the headers, as `headers_of_row` does."""
        return [
            ("ce_specversion", "1.0"),
            ("ce_id", self.event_id),
            ("ce_sequence", self.sequence),
            ("content-type", "application/json"),
            ("ce_type", self.ce_type),
            ("ce_source", self.ce_source),
            ("ce_subject", self.ce_subject),
            ("ce_time", self.ce_time),
            ("traceparent", self.traceparent),
            ("ce_signature", self.signature),
        ]


def produce(*_: object) -> None:
    """Stand in for the client."""


def as_tuples(values: Sequence[Sequence[Any]]) -> None:
    """Do to each row the work of the relay."""
    rows: list[Row] = [tuple(each) for each in values]
    for row in rows:
        produce(row[TOPIC], row[PAYLOAD], row[KEY], headers_of_row(row))


def as_named_tuples(values: Sequence[Sequence[Any]]) -> None:
    """Do the same by names."""
    rows = [NamedRow._make(each) for each in values]
    for row in rows:
        produce(row.topic, row.payload, row.key, headers_of_row(row))


def as_slots(values: Sequence[Sequence[Any]]) -> None:
    """Do the same with attributes of a class."""
    rows = [SlotsRow(each) for each in values]
    for row in rows:
        produce(row.topic, row.payload, row.key, row.headers())


def main() -> None:
    """Print the least CPU time of each form, in microseconds for one row."""
    gc.set_threshold(YOUNG_OBJECTS)
    values = [_values(number) for number in range(ROWS)]
    forms: tuple[Callable[[Sequence[Sequence[Any]]], None], ...] = (as_tuples, as_named_tuples, as_slots)
    best = dict.fromkeys((form.__name__ for form in forms), float("inf"))
    for _ in range(ROUNDS):
        for form in forms:
            began = time.process_time()
            for _ in range(REPETITIONS):
                form(values)
            best[form.__name__] = min(best[form.__name__], time.process_time() - began)
    for name, seconds in best.items():
        sys.stdout.write(f"{name:16} {seconds / REPETITIONS / ROWS * 1e6:.3f} µs\n")


def _values(number: int) -> list[Any]:
    headers = ["io.exitflow.X.v1", "/exit", "subject", "2026-01-13T00:00:00Z", "00-a-b-01", "k:s"]
    event = ["exits.intents.v1", f"k{number % 97}", b"{}" * 400, f"event-{number}", str(number)]
    return [number % 64, number, *event, *headers, number]


if __name__ == "__main__":
    main()
