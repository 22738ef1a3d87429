"""`python -m bench.ticks.feed SERVERS TOPIC PER_S SECONDS`: send quiet ticks at a rate, as a market feed does.

A feed fills batches. A batch for nearly every tick would measure the broker's handling of requests. Ticks would then
wait in the producer instead of the log: 3.4 s at 17,000 ticks a second on two cores.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from confluent_kafka import Producer

from bench.ticks.market import Mood, payload, steps, symbol_name

LINGER_MS = 10
SLICE_S = 0.005


def main(arguments: Sequence[str]) -> int:
    """Send for so many seconds; print how many ticks were acknowledged, and the seconds."""
    servers, topic, per_s, seconds = arguments[0], arguments[1], float(arguments[2]), float(arguments[3])
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": LINGER_MS,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    ticks = [(payload(step), symbol_name(step.symbol)) for step in steps(int(per_s * seconds), Mood.QUIET)]
    began_s, sent = time.monotonic(), 0
    while sent < len(ticks):
        due = int((time.monotonic() - began_s) * per_s)
        for value, key in ticks[sent:due]:
            producer.produce(topic, value, key)
        sent = min(max(sent, due), len(ticks))
        producer.poll(SLICE_S)
    producer.flush(60)
    sys.stdout.write(json.dumps({"ticks": sent - len(producer), "s": time.monotonic() - began_s}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
