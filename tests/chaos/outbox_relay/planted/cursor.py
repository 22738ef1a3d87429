"""A relay with a cursor instead of snapshot windows: the usual first version."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Producer

from services.outbox_relay.database.connection import Connection, connect
from services.outbox_relay.process import outboxes_of
from shared.kafka.clients import flush_or_fail, producer_config
from shared.runtime.stopping import Stop, stop_on_signals
from shared.settings import Settings, load_settings

LOOK_S = 0.01


def follow(select: str) -> None:
    """Publish the rows of `select` until SIGTERM: cursor columns, then topic, key, payload, id and sequence.

    `select` takes the cursor of the last row published, two numbers, and returns the next rows in their order. The
    cursor is kept in memory, for these bugs show without any crash.
    """
    settings, stop = load_settings(), stop_on_signals()
    (source,) = outboxes_of(settings)
    with connect(source.url, source.schema) as connection:
        _follow(connection, select, settings, stop)


def _follow(connection: Connection, select: str, settings: Settings, stop: Stop) -> None:
    producer = Producer(producer_config(settings))
    cursor = (0, 0)
    while not stop.wait(LOOK_S):
        rows = connection.execute(select, cursor).fetchall()
        for row in rows:
            _publish(producer, row)
            cursor = row[:2]
        flush_or_fail(producer)


def _publish(producer: Producer, row: tuple[Any, ...]) -> None:
    _, _, topic, key, payload, event_id, sequence = row
    producer.produce(topic, payload, key, headers=[("ce_id", event_id), ("ce_sequence", sequence)])
