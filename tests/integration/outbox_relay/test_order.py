"""Every committed event is published, in order per key; any other, never."""

from __future__ import annotations

from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, assert_published_in_order
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import running_relay


def test_a_record_carries_the_cloudevents_headers(writer: Writer, exit_relay: Settings, log: KafkaLog) -> None:
    with running_relay(exit_relay):
        writer.write("one")
        (record,) = log.wait_for(1)
    assert record.key == "one"
    assert record.value == b'{"name":"one","note":""}'
    assert record.headers.keys() == {
        "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_sequence", "content-type",
        "traceparent", "ce_signature",
    }  # fmt: skip
    assert record.headers["ce_specversion"] == "1.0"
    assert record.headers["content-type"] == "application/json"
    assert record.headers["ce_type"] == "io.exitflow.Happened.v1"
    assert writer.committed() == {record.headers["ce_id"]: ("one", int(record.headers["ce_sequence"]))}


def test_concurrent_writers_that_roll_back_are_published_in_order(
    writer: Writer, exit_relay: Settings, log: KafkaLog
) -> None:
    with running_relay(exit_relay):
        with writer.long_transaction("late"):
            writer.write_concurrently(seed=7, writers=8, transactions=120, keys=40)
            others = len(writer.committed())
            log.wait_for(others)
        records = log.wait_for(others + 1)
    assert_published_in_order(records, writer.committed())
    assert len(records) == len(writer.committed()), "without a fault nothing is published twice"
    assert not [r for r in records if r.key == "never-published"]


def test_backlog_larger_than_in_flight_limit_keeps_order(writer: Writer, exit_relay: Settings, log: KafkaLog) -> None:
    for _ in range(40):
        writer.write(*[f"key-{n % 17}" for n in range(100)])
    with running_relay(exit_relay.model_copy(update={"relay_batch_size": 37})):
        records = log.wait_for(4000)
    assert_published_in_order(records, writer.committed())
    assert len(records) == 4000
