"""Prometheus metrics of the relay, one series per outbox; `docs/architecture/outbox-relay.md` explains them."""

from __future__ import annotations

from confluent_kafka import KafkaError

from services.outbox_relay.shards.acknowledgements import Run
from shared.clock import Clock
from shared.runtime.telemetry import counter, gauge, histogram

PUBLISHED = counter(
    "outbox_published",
    "Events acknowledged by Kafka, with all before them in their shard; parked ones when replayed or discarded",
    "outbox",
)
PUBLISH_LATENCY_S = histogram(
    "outbox_publish_latency_seconds",
    "From the write of an event's row to Kafka's acknowledgement of it and all before it, the first of each run",
    "outbox",
)
PRODUCE_ERRORS = counter("outbox_produce_errors", "Records refused by Kafka or its client", "outbox", "code")
SESSIONS = counter("outbox_relay_sessions", "Times the relay began with an empty memory", "outbox")
FAILURES = counter("outbox_relay_failures", "Failed relay sessions, by error code", "outbox", "code")
IN_FLIGHT = gauge("outbox_in_flight_events", "Events sent and not acknowledged yet", "outbox")
SHARDS_HELD = gauge("outbox_shards_held", "Shards held by this relay", "outbox")
LEASE_REMAINING_S = gauge(
    "outbox_lease_remaining_seconds", "Until the leases of this relay run out; 0 if it holds none", "outbox"
)

_THROWN_AWAY = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})


class RelayMetrics:
    """One outbox's series about this relay."""

    def __init__(self, outbox: str, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._leases_end_at = 0.0
        self._published = PUBLISHED.labels(outbox)
        self._latency_s = PUBLISH_LATENCY_S.labels(outbox)
        self._sessions = SESSIONS.labels(outbox)
        self._shards_held = SHARDS_HELD.labels(outbox)
        self._in_flight = IN_FLIGHT.labels(outbox)
        LEASE_REMAINING_S.labels(outbox).set_function(self._lease_remaining_s)

    def begins(self) -> None:
        """Record the start of a session."""
        self._sessions.inc()

    def acknowledged(self, run: Run, now_s: float) -> None:
        """Count a published run; `now_s` is its time on the monotonic clock."""
        if run.events:
            self.published(run.events)
            self._latency_s.observe(max(0.0, now_s - run.written_at))

    def published(self, events: int) -> None:
        """Count published events; Discarded ones in place of others count too."""
        self._published.inc(events)

    def refused(self, error: KafkaError) -> None:
        """Count a record rejected by Kafka; records dropped by the relay itself do not count."""
        if error.code() not in _THROWN_AWAY:
            PRODUCE_ERRORS.labels(self._outbox, error.name()).inc()

    def holds(self, shards: int, in_flight: int, leases_end_at: float) -> None:
        """Record the events and shards held, and the leases' end on the monotonic clock."""
        self._shards_held.set(shards)
        self._in_flight.set(in_flight)
        self._leases_end_at = leases_end_at if shards else 0.0

    def failed(self, code: str) -> None:
        """Count a failed session; the next one restarts from the database."""
        FAILURES.labels(self._outbox, code).inc()
        self.holds(0, 0, 0)

    def _lease_remaining_s(self) -> float:
        """Compute the remaining lease at each scrape, so a hung relay shows its leases running out."""
        return max(0.0, self._leases_end_at - self._clock.monotonic())
