"""The metrics of a relay."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from services.outbox_relay.metrics import RelayMetrics
from services.outbox_relay.shards.acknowledgements import Run
from services.outbox_relay.shards.progress import Progress
from shared.runtime.telemetry import REGISTRY
from tests.unit.outbox_relay.clock import StandingClock

OUTBOX = "told"


def told(name: str, **labels: str) -> float | None:
    """A series of this outbox."""
    return REGISTRY.get_sample_value(name, {"outbox": OUTBOX, **labels})


def test_metrics_count_refusals_by_code_and_skip_purged_records() -> None:
    metrics = RelayMetrics(OUTBOX, StandingClock())
    for code in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.MSG_SIZE_TOO_LARGE, KafkaError._PURGE_INFLIGHT):
        metrics.refused(KafkaError(code))
    assert told("outbox_produce_errors_total", code="MSG_SIZE_TOO_LARGE") == 2
    assert told("outbox_produce_errors_total", code="_PURGE_INFLIGHT") is None


def test_remaining_lease_time_falls_without_further_reports() -> None:
    clock = StandingClock()
    metrics = RelayMetrics(OUTBOX, clock)
    metrics.holds(64, 0, clock.monotonic() + 10)
    clock.elapsed_s += 4
    assert told("outbox_lease_remaining_seconds") == 6
    clock.elapsed_s += 7
    assert told("outbox_lease_remaining_seconds") == 0


def test_latency_counts_from_the_write_of_the_row() -> None:
    metrics = RelayMetrics(OUTBOX, StandingClock())
    run = Run(lambda *_: None, Progress("1:1:"), written_at=99.8)
    run.consists_of(3, run.reaches)
    metrics.acknowledged(run, now_s=100.5)
    metrics.acknowledged(Run(lambda *_: None, Progress("2:2:"), written_at=0), now_s=100.5)
    assert told("outbox_publish_latency_seconds_count") == 1
    assert told("outbox_publish_latency_seconds_sum") == pytest.approx(0.7)
    assert told("outbox_published_total") == 3
