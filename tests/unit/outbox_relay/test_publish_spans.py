"""Spans of published records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from services.outbox_relay.publish_spans import MOST_PER_S, PublishSpans
from services.outbox_relay.shards.acknowledgements import Run
from shared.ids import new_traceparent
from shared.outbox.after_commit import Published, Tracer
from tests.unit.outbox_relay.clock import StandingClock
from tests.unit.outbox_relay.test_acknowledgements import run_of

TRACE = new_traceparent()
ROW = (3, 9, "topic", "key", b"{}", "id-1", "7", "type", "/source", "subject", "time", TRACE, "k:s", 1_000_000)


class Listening:
    """Tracer with a list of its spans."""

    def __init__(self) -> None:
        self.records: list[Published] = []

    def published(self, records: Iterable[Published]) -> None:
        self.records += records


def sent(events: int) -> Run:
    """Return a run with its rows."""
    run = run_of(events, events)
    run.rows = [ROW] * events
    return run


def test_record_is_traced_with_row_time_in_unix_epoch() -> None:
    listening = Listening()
    PublishSpans(cast(Tracer, listening), StandingClock()).published([run_of(4, 4), sent(1)])
    year_2000_ns = 946_684_800 * 1_000_000_000
    assert listening.records == [Published("topic", "id-1", "type", TRACE, year_2000_ns + 1_000_000_000)]


def test_drain_limits_spans_per_second() -> None:
    listening, clock = Listening(), StandingClock()
    spans = PublishSpans(cast(Tracer, listening), clock)
    for _ in range(3):
        spans.published([sent(MOST_PER_S // 2 + 1)])
    assert len(listening.records) == MOST_PER_S
    clock.elapsed_s += 1
    spans.published([sent(1)])
    assert len(listening.records) == MOST_PER_S + 1
