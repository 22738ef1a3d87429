"""Ticks to readable intents: a burst of exits by one tick, and single exits under a stream of ticks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from bench.ticks.kafka_path import LIMIT_S
from bench.ticks.market import ENTRY, Step, money, payload
from bench.ticks.place import PARTITIONS, Place, copy_same
from shared.clock import Clock
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.errors import Unavailable
from shared.money import SCALE

BURST_SYMBOL = "NSE:BURST"
PROBE_EVERY_S = 0.02
SLICE_S = 0.005
TARGET = ENTRY + 10 * SCALE


@dataclass(frozen=True)
class Burst:
    """Seconds from the tick until the first and the last of its exits could be read."""

    exits: int
    first_s: float
    last_s: float


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a tick until its exit could be read, under a stream of other ticks."""

    ticks_per_s: float
    p50_ms: float
    p99_ms: float
    probes: int


def measure_burst(place: Place, exits: int, clock: Clock) -> Burst:
    """Exit so many trades by one tick."""
    copy_same(place, exits, BURST_SYMBOL, money(TARGET))
    with place.working(), _reader(place) as intents:
        _tick(place, BURST_SYMBOL, TARGET, 1)
        began_s, seen, first_s = clock.monotonic(), 0, 0.0
        while seen < exits:
            seen += len(_intents(intents))
            now_s = clock.monotonic() - began_s
            first_s = first_s or (now_s if seen else 0.0)
            if now_s > LIMIT_S:
                raise Unavailable(f"{seen} of {exits} exits could be read")
        return Burst(exits, first_s, clock.monotonic() - began_s)


def measure_latency(place: Place, ticks: list[Step], per_s: float, probes: int, clock: Clock) -> Latency:
    """Send ticks at a rate, among them one every 20 ms that exits a trade of a symbol without others."""
    names = [f"NSE:PROBE{number}" for number in range(probes)]
    for name in names:
        copy_same(place, 1, name, money(TARGET))
    with place.working(), _reader(place) as intents:
        producer = place.producer()
        sent_s: dict[str, float] = {}
        waits_ms: list[float] = []
        began_s, sent = clock.monotonic(), 0
        while len(waits_ms) < probes:
            passed_s = clock.monotonic() - began_s
            for step in ticks[sent : int(passed_s * per_s)]:
                producer.produce(place.ticks, payload(step), f"NSE:BENCH{step.symbol:04d}")
                sent += 1
            if len(sent_s) < min(probes, passed_s / PROBE_EVERY_S):
                name = names[len(sent_s)]
                producer.produce(place.ticks, _payload(name, TARGET, 1), name)
                sent_s[name] = clock.monotonic()
            producer.poll(0)
            waits_ms += [(clock.monotonic() - sent_s[symbol]) * 1000 for symbol in _intents(intents, SLICE_S)]
            if passed_s > LIMIT_S:
                raise Unavailable(f"{len(waits_ms)} of {probes} exits could be read")
        rate = sent / (clock.monotonic() - began_s)
    waits_ms.sort()
    return Latency(rate, waits_ms[probes // 2], waits_ms[int(probes * 0.99)], probes)


@contextmanager
def _reader(place: Place) -> Iterator[Consumer]:
    topic = TopicNames(place.settings.kafka_topic_prefix).on_cluster(EXIT_INTENTS)
    consumer = Consumer({"bootstrap.servers": place.settings.kafka_bootstrap_servers, "group.id": "bench-reader"})
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    try:
        yield consumer
    finally:
        consumer.close()


def _intents(consumer: Consumer, wait_s: float = 0.05) -> list[str]:
    """Return the symbols of the intents read."""
    symbols = []
    for message in consumer.consume(1000, wait_s):
        if (error := message.error()) is not None:
            raise KafkaException(error)
        symbols.append(json.loads(message.value() or b"{}")["symbol"])
    return symbols


def _tick(place: Place, symbol: str, price: int, seq: int) -> None:
    producer = place.producer()
    producer.produce(place.ticks, _payload(symbol, price, seq), symbol)
    producer.flush(30)


def _payload(symbol: str, price: int, seq: int) -> bytes:
    return json.dumps({"symbol": symbol, "ltp": money(price), "ts": "2026-01-13T04:00:00Z", "seq": seq}).encode()
