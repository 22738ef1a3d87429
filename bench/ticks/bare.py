"""`python -m bench.ticks.bare SERVERS TOPIC PARTITIONS TICKS`: consume and decode, and nothing else."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

MOST_AT_ONCE = 10_000


class Fields(msgspec.Struct, gc=False):
    """Fields of a tick."""

    symbol: str
    ltp: str
    ts: str
    seq: int


def main(arguments: Sequence[str]) -> int:
    """Read so many ticks; print seconds and CPU seconds from the first of them on, as JSON."""
    servers, topic, partitions, ticks = arguments[0], arguments[1], int(arguments[2]), int(arguments[3])
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "bench-bare", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)])
    decode = msgspec.json.Decoder(Fields).decode
    first = consumer.consume(1, 30)
    began_s, began_cpu_s, read = time.monotonic(), _cpu_s(), len(first)
    while read < ticks:
        for message in consumer.consume(min(MOST_AT_ONCE, ticks - read), 0.5):  # asked for more, it waits for them
            if (error := message.error()) is not None:
                raise KafkaException(error)
            decode(message.value() or b"")
            read += 1
    sys.stdout.write(json.dumps({"ticks": read, "s": time.monotonic() - began_s, "cpu_s": _cpu_s() - began_cpu_s}))
    return 0


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
