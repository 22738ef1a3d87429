"""The claim-and-mark poller: claim a batch, produce it, wait for Kafka, mark it.

Each batch takes two UPDATEs in separate transactions. The first sets a lease, for another copy to take over claims
of a dead one; the second follows the acknowledgement of every record.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any

import psycopg
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from psycopg.rows import tuple_row

IDLE_S = 0.005
FLUSH_LIMIT_S = 60
_CLAIM = """
WITH claimed AS (
  UPDATE outbox SET claimed_until = clock_timestamp() + interval '30 seconds'
   WHERE id IN (SELECT id FROM outbox WHERE published_at IS NULL AND claimed_until < clock_timestamp()
                 ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
  RETURNING id, topic, key, headers, payload
)
SELECT * FROM claimed ORDER BY id
"""
_MARK = "UPDATE outbox SET published_at = clock_timestamp() WHERE id = ANY(%s)"


class Poller:
    """One copy."""

    def __init__(self, connection: psycopg.Connection, producer: Producer, batch: int) -> None:
        self._connection = connection
        self._producer = producer
        self._batch = batch
        self._refused: KafkaError | None = None

    def publish_some(self) -> int:
        """Publish at most a batch; how many events it was.

        Raises
        ------
        KafkaException
            A record was not acknowledged; nothing of its batch is marked.
        """
        rows = self._connection.execute(_CLAIM, (self._batch,)).fetchall()
        if rows:
            self._produce(rows)
            self._connection.execute(_MARK, ([row[0] for row in rows],))
        return len(rows)

    def _produce(self, rows: Sequence[tuple[Any, ...]]) -> None:
        for _, topic, key, headers, payload in rows:
            self._producer.produce(topic, payload, key, headers=headers, on_delivery=self._note)
        if self._producer.flush(FLUSH_LIMIT_S) or self._refused:
            raise KafkaException(self._refused or KafkaError(KafkaError._TIMED_OUT))

    def _note(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._refused = error


def main() -> None:
    """Poll until SIGTERM."""
    given = json.loads(os.environ["BENCH_POLLER"])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    producer = Producer(producer_config(given["bootstrap"]))
    with psycopg.connect(given["database"], autocommit=True, row_factory=tuple_row) as connection:
        poller = Poller(connection, producer, given["batch"])
        while not stop.is_set():
            if not poller.publish_some():
                stop.wait(IDLE_S)


def producer_config(bootstrap: str) -> dict[str, Any]:
    """Return the configuration of every Python producer of this bench, unless its library differs."""
    return {
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "linger.ms": 1,
    }


if __name__ == "__main__":
    main()
