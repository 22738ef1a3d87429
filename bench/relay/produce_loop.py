"""The ceiling: maximum produce rate of one Python process, without anything else."""

from __future__ import annotations

import json
import os
from typing import Any

from confluent_kafka import Producer

from bench.relay import records
from bench.relay.poller import FLUSH_LIMIT_S, producer_config
from shared.ids import new_id
from shared.kafka.clients import Headers
from shared.outbox.signatures import SIGNATURE_HEADER

FULL_WAIT_S = 0.001
POLL_EVERY = 1_000
QUEUE = 50_000
"""Short against a backlog: else the loop would be over, and its core free, while most is still on its way."""


def main() -> None:
    """Make the records, then produce them as fast as the producer takes them."""
    given = json.loads(os.environ["BENCH_LOOP"])
    made = [(records.key_of(number), records.payload_of(number)) for number in range(given["events"])]
    # As many bytes as a relay's, but one set for each key: to make them for each event is a relay's work.
    headers = {key: _headers(number) for number, (key, _) in enumerate(made)}
    config = {**producer_config(given["bootstrap"]), "linger.ms": 5, "queue.buffering.max.messages": QUEUE}
    producer = Producer(config)
    for number, (key, payload) in enumerate(made):
        _produce(producer, given["topic"], payload, key, headers[key])
        if number % POLL_EVERY == 0:
            producer.poll(0)
    producer.flush(FLUSH_LIMIT_S)


def _headers(number: int) -> Headers:
    nine = records.all_headers(number, str(new_id()))
    return [*nine.items(), (SIGNATURE_HEADER, records.signature_of(number))]


def _produce(producer: Producer, topic: str, payload: bytes, key: str, headers: Any) -> None:
    while True:
        try:
            producer.produce(topic, payload, key, headers=headers)
        except BufferError:
            producer.poll(FULL_WAIT_S)
        else:
            return


if __name__ == "__main__":
    main()
