"""Ticks to readable intents: a burst of exits by one tick, and single exits under a stream of ticks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from bench.ticks.kafka_path import LIMIT_S
from bench.ticks.market import only_tick
from bench.ticks.place import PARTITIONS, ROOT, TARGET, Place, Usage, copy_same, send_named
from shared.clock import Clock
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.errors import Unavailable

BURSTS = 4
PROBE_EVERY_S = 0.02
SLICE_S = 0.002
WARM_UP_S = 6.0
Times = dict[str, float]


@dataclass(frozen=True)
class Burst:
    """Seconds from the tick until the first and the last of its exits could be read, and the CPU time meanwhile."""

    exits: int
    first_s: float
    last_s: float
    cpu: Usage

    @property
    def figures(self) -> dict[str, float]:
        """Return the figures of a row: CPU in microseconds per exit."""
        cpu = {f"{name}_us": seconds / self.exits * 1e6 for name, seconds in self.cpu.items()}
        return {"first_s": self.first_s, "last_s": self.last_s, **cpu}


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a tick until its exit could be read, under a stream of other ticks.

    Attributes
    ----------
    to_log_ms, to_row_ms, to_reader_ms:
        Medians of the parts: from sending to Kafka's log, on to the event's row (its commit follows), and on to the
        reading of the event from Kafka.
    """

    ticks_per_s: float
    p50_ms: float
    p99_ms: float
    probes: int
    to_log_ms: float
    to_row_ms: float
    to_reader_ms: float

    @property
    def figures(self) -> dict[str, float]:
        """Return the figures of a row."""
        return {name: value for name, value in asdict(self).items() if name != "probes"}


def measure_bursts(place: Place, exits: int, clock: Clock) -> Iterator[Burst]:
    """Exit so many trades by one tick, again and again, and yield each time what it took.

    The first ones find a new system: statements are planned, and Kafka's virtual machine compiles its code.
    """
    symbols = [f"NSE:BURST{number}" for number in range(BURSTS)]
    for symbol in symbols:
        copy_same(place, exits, symbol)
    with place.working() as used, _reader(place) as intents:
        for symbol in symbols:
            before = used()
            first_s, last_s = _exit_all(place, symbol, exits, intents, clock)
            after = used()
            yield Burst(exits, first_s, last_s, {name: after[name] - before[name] for name in after})


def _exit_all(place: Place, symbol: str, exits: int, intents: Consumer, clock: Clock) -> tuple[float, float]:
    """Let a tick exit all trades of a symbol; return the seconds until the first and the last could be read."""
    send_named(place, [symbol], TARGET)
    began_s, seen, first_s = clock.monotonic(), 0, 0.0
    while seen < exits:
        seen += len(_messages(intents, SLICE_S))
        now_s = clock.monotonic() - began_s
        first_s = first_s or (now_s if seen else 0.0)
        if now_s > LIMIT_S:
            raise Unavailable(f"{seen} of {exits} exits of {symbol} could be read")
    return first_s, clock.monotonic() - began_s


def measure_latency(place: Place, per_s: float, probes: int, clock: Clock) -> Latency:
    """Send ticks at a rate, and every 20 ms one of them exits a trade of a symbol without others."""
    names = [f"NSE:PROBE{number}" for number in range(probes)]
    for name in names:
        copy_same(place, 1, name)
    with place.working(), _reader(place) as intents, _feed(place, per_s, probes * PROBE_EVERY_S + WARM_UP_S) as feed:
        place.await_ticks(int(per_s))
        sent, logged, read = _probe(place, names, intents, clock)
        told = json.loads(feed.communicate(timeout=LIMIT_S)[0])
        written = place.written_at()
    waits = sorted(read[name] - sent[name] for name in names)
    return Latency(
        told["ticks"] / told["s"],
        waits[probes // 2] * 1000,
        waits[int(probes * 0.99)] * 1000,
        probes,
        median(logged[name] - sent[name] for name in names) * 1000,
        median(written[name] - logged[name] for name in names) * 1000,
        median(read[name] - written[name] for name in names) * 1000,
    )


def _probe(place: Place, names: Sequence[str], intents: Consumer, clock: Clock) -> tuple[Times, Times, Times]:
    """Return when each probe was sent, was in the log, and its exit was read, in seconds since 1970."""
    producer = place.producer(linger_ms=0)
    sent: Times = {}
    logged: Times = {}
    read: Times = {}

    def delivered(_: object, message: Message) -> None:
        logged[str(message.key() or b"", "ascii")] = message.timestamp()[1] / 1000

    began_s = clock.monotonic()
    while len(read) < len(names):
        passed_s = clock.monotonic() - began_s
        if len(sent) < min(len(names), passed_s / PROBE_EVERY_S):
            name = names[len(sent)]
            producer.produce(place.ticks, only_tick(name, TARGET), name, on_delivery=delivered)
            sent[name] = clock.now().timestamp()
        producer.poll(0)
        messages = _messages(intents, SLICE_S)
        read |= dict.fromkeys(map(_symbol_of, messages), clock.now().timestamp())
        if passed_s > LIMIT_S:
            raise Unavailable(f"{len(read)} of {len(names)} exits could be read")
    producer.flush(30)
    return sent, logged, read


@contextmanager
def _feed(place: Place, per_s: float, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Run a feed in a separate process while inside: its work must not delay the probes."""
    argv = [sys.executable, "-m", "bench.ticks.feed", place.settings.kafka_bootstrap_servers, place.ticks]
    with subprocess.Popen([*argv, str(per_s), str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as feed:
        try:
            yield feed
        finally:
            feed.terminate()


@contextmanager
def _reader(place: Place) -> Iterator[Consumer]:
    topic = TopicNames(place.settings.kafka_topic_prefix).on_cluster(EXIT_INTENTS)
    consumer = Consumer({"bootstrap.servers": place.settings.kafka_bootstrap_servers, "group.id": "bench-reader"})
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    try:
        yield consumer
    finally:
        consumer.close()


def _messages(consumer: Consumer, wait_s: float) -> list[Message]:
    """Return the next record once it is there, with all others received: to ask for many waits for the whole time."""
    first = consumer.poll(wait_s)
    messages = [] if first is None else [first, *consumer.consume(1000, 0)]
    for message in messages:
        if (error := message.error()) is not None:
            raise KafkaException(error)
    return messages


def _symbol_of(intent: Message) -> str:
    return str(json.loads(intent.value() or b"{}")["symbol"])
