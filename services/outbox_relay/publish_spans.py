"""Spans of published records, where a collector is configured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from services.outbox_relay.records import CE_TYPE, EVENT_ID, TOPIC, TRACEPARENT, WRITTEN_US, Row
from services.outbox_relay.shards.acknowledgements import Run
from shared.clock import Clock
from shared.outbox.after_commit import Published, Tracer

MOST_PER_S: Final = 2_000
"""Spans of a second; a span costs some thirty microseconds, and more would be dropped on the way to the collector."""
_EPOCH_US: Final = 946_684_800_000_000
"""PostgreSQL's epoch, the year 2000, in microseconds since 1970."""


class PublishSpans:
    """Makes the spans of acknowledged runs sent with their rows, the first ones of each second.

    A drain at full speed costs so many spans a second and no more.
    """

    def __init__(self, tracer: Tracer, clock: Clock) -> None:
        self._tracer = tracer
        self._clock = clock
        self._second = 0
        self._left = MOST_PER_S

    def published(self, runs: Iterable[Run]) -> None:
        """Make the spans of runs just acknowledged by Kafka."""
        second = int(self._clock.monotonic())
        if second != self._second:
            self._second, self._left = second, MOST_PER_S
        if self._left:
            self._tracer.published(self._within_budget(row for run in runs for row in run.rows))

    def _within_budget(self, rows: Iterable[Row]) -> Iterator[Published]:
        for row in rows:
            if not self._left:
                return
            self._left -= 1
            yield Published(
                topic=row[TOPIC],
                event_id=row[EVENT_ID],
                event_type=row[CE_TYPE],
                traceparent=row[TRACEPARENT],
                written_ns=(row[WRITTEN_US] + _EPOCH_US) * 1000,
            )
