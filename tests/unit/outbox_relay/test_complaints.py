"""The logged ones of librdkafka's errors."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from shared.kafka.client_logging import QUIET_S, Complaints
from tests.unit.outbox_relay.clock import StandingClock

AWAY = KafkaError(KafkaError._TRANSPORT, "away")


def test_outage_is_logged_at_once_then_occasionally(caplog: pytest.LogCaptureFixture) -> None:
    clock = StandingClock()
    complaints = Complaints(clock)
    for _ in range(16):
        complaints.hear(AWAY)
        clock.elapsed_s += QUIET_S / 8
    assert [record.getMessage() for record in caplog.records] == [
        "Kafka: away",
        "Kafka: away (7 more errors before)",
    ]


def test_a_fatal_error_is_always_logged(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(StandingClock())
    complaints.hear(AWAY)
    complaints.hear(KafkaError(KafkaError._FATAL, "fenced", fatal=True))
    assert "fenced" in caplog.messages[-1]
