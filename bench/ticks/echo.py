"""`python -m bench.ticks.echo SERVERS TICKS ANSWERS PREFIX`: read ticks, and answer those of some symbols at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from bench.ticks.bare import MOST_AT_ONCE, Fields
from bench.ticks.place import PARTITIONS
from shared.runtime.stopping import exit_on_sigterm


def main(arguments: Sequence[str]) -> None:
    """Answer ticks of symbols with the prefix by a record with the symbol, until ended."""
    servers, ticks, answers, prefix = arguments
    exit_on_sigterm()
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "bench-echo", "enable.auto.commit": False})
    consumer.assign([TopicPartition(ticks, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, "acks": "all", "enable.idempotence": True})
    decode = msgspec.json.Decoder(Fields).decode
    while True:
        producer.poll(0)
        first = consumer.poll(0.5)
        for message in [] if first is None else [first, *consumer.consume(MOST_AT_ONCE, 0)]:
            if (error := message.error()) is not None:
                raise KafkaException(error)
            symbol = decode(message.value() or b"").symbol
            if symbol.startswith(prefix):
                producer.produce(answers, msgspec.json.encode({"symbol": symbol}), symbol)


if __name__ == "__main__":
    main(sys.argv[1:])
