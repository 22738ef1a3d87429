"""What the relay tells Prometheus, a series per outbox."""

from __future__ import annotations

from services.outbox_relay.acknowledgements import Run
from shared.telemetry import counter, gauge, histogram

PUBLISHED = counter("outbox_published", "Events that Kafka acknowledged", "outbox")
FAILURES = counter("outbox_relay_failures", "Times the relay had to begin anew, by what failed", "outbox", "code")
SHARDS_HELD = gauge("outbox_shards_held", "Shards this relay holds", "outbox")
IN_FLIGHT = gauge("outbox_in_flight", "Events sent and not acknowledged yet", "outbox")
BACKLOG = gauge("outbox_backlog", "Events of held shards not known to be published, counted up to a limit", "outbox")
OLDEST_AGE_S = gauge("outbox_oldest_unpublished_age_seconds", "About how old the oldest of the backlog is", "outbox")
LATENCY_S = histogram(
    "outbox_publish_latency_seconds", "From write to Kafka's acknowledgement, of the first event of each run", "outbox"
)


class Meters:
    """The series of one outbox."""

    def __init__(self, outbox: str) -> None:
        self._outbox = outbox
        self._published = PUBLISHED.labels(outbox)
        self._latency_s = LATENCY_S.labels(outbox)
        self._shards_held = SHARDS_HELD.labels(outbox)
        self._in_flight = IN_FLIGHT.labels(outbox)
        self._backlog = BACKLOG.labels(outbox)
        self._oldest_age_s = OLDEST_AGE_S.labels(outbox)

    def acknowledged(self, run: Run, now_s: float) -> None:
        """A run is published, seen at `now_s` on the monotonic clock."""
        self._published.inc(run.events)
        self._latency_s.observe(max(0.0, run.first_age_s) + now_s - run.sent_at)

    def holds(self, shards: int, in_flight: int) -> None:
        """What the relay has in hand."""
        self._shards_held.set(shards)
        self._in_flight.set(in_flight)

    def waits(self, backlog: int, oldest_age_s: float) -> None:
        """What is left to do."""
        self._backlog.set(backlog)
        self._oldest_age_s.set(oldest_age_s)

    def failed(self, code: str) -> None:
        """The relay lost its memory and begins anew."""
        FAILURES.labels(self._outbox, code).inc()
        self.holds(0, 0)
