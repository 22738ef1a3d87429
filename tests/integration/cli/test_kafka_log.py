"""The checker reads the whole log, as it lies there."""

from __future__ import annotations

from services.checker.kafka_log import read_log
from shared.clock import SystemClock
from shared.contracts.topics import EXIT_INTENTS, TRADES, TopicNames
from shared.kafka.clients import Headers, flush_or_fail, open_producer
from shared.settings import Settings


def test_every_record_of_every_partition_is_read_in_order(settings: Settings, topics: TopicNames) -> None:
    producer = open_producer(settings)
    for n in range(1, 501):
        headers: Headers = [("ce_id", f"event-{n}"), ("ce_type", "t"), ("ce_sequence", str(n))]
        producer.produce(topics.on_cluster(EXIT_INTENTS), key=f"key-{n % 7}", value=b"{}", headers=headers)
    producer.produce(topics.on_cluster(TRADES), key="k", value=b"x")
    flush_or_fail(producer)
    log = read_log(settings, SystemClock())
    assert {record.event_id for record in log} == {"", *(f"event-{n}" for n in range(1, 501))}
    assert log == sorted(log, key=lambda record: (record.topic, record.partition, record.offset))
    assert len({record.partition for record in log}) > 1
    [stranger] = [record for record in log if record.key == "k"]
    assert (stranger.sequence, stranger.payload) == (0, b"x")


def test_an_empty_log_is_read_at_once(settings: Settings, topics: TopicNames) -> None:
    assert read_log(settings, SystemClock()) == []
