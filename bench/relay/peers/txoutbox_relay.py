"""txoutbox's relay as its documentation shows it, the publisher on confluent-kafka. Needs only the peers' packages."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from typing import Any

import asyncpg
from confluent_kafka import KafkaException, Producer
from txoutbox import OutboxMessage, Relay, RelayConfig
from txoutbox.adapters.postgres import PostgresStorage


class KafkaPublisher:
    """Publishes a message and returns once Kafka has acknowledged it."""

    def __init__(self, bootstrap: str, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "linger.ms": 1,
            }
        )
        threading.Thread(target=self._poll, daemon=True).start()

    async def publish(self, message: OutboxMessage) -> None:
        """Publish one record; raise KafkaException if Kafka rejects it."""
        acknowledged: asyncio.Future[None] = self._loop.create_future()

        def report(error: Any, _: Any) -> None:
            self._loop.call_soon_threadsafe(_settle, acknowledged, error)

        headers = list(message.headers.items())
        self._producer.produce(message.topic, message.payload, message.key, headers=headers, on_delivery=report)
        await acknowledged

    def _poll(self) -> None:
        while True:
            self._producer.poll(0.1)


def _settle(acknowledged: asyncio.Future[None], error: Any) -> None:
    if acknowledged.done():
        return
    if error is None:
        acknowledged.set_result(None)
    else:
        acknowledged.set_exception(KafkaException(error))


async def main() -> None:
    """Relay until SIGTERM."""
    given = json.loads(os.environ["BENCH_PEER"])
    pool = await asyncpg.create_pool(given["database"])
    publisher = KafkaPublisher(given["bootstrap"], asyncio.get_running_loop())
    relay = Relay(PostgresStorage(pool), publisher, config=RelayConfig(**given["config"]))
    await relay.run(handle_signals=True)


if __name__ == "__main__":
    asyncio.run(main())
