"""Single exits under a stream of ticks, and the same ticks through an echo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median

from confluent_kafka import Consumer, Message

from bench.percentiles import percentile
from bench.ticks.kafka_path import LIMIT_S
from bench.ticks.market import only_tick
from bench.ticks.place import ROOT, TARGET, Place, copy_same
from bench.ticks.reader import intents_reader, read_now
from shared.clock import Clock
from shared.errors import Unavailable

PROBE_EVERY_S = 0.02
LEAD_S = 6.0
"""The feed runs longer than its probes by so much: they begin once its ticks are read."""
Times = dict[str, float]


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a tick until its exit could be read, under a stream of other ticks.

    Attributes
    ----------
    to_log_ms, to_row_ms, to_reader_ms:
        Medians of the parts: from sending to Kafka's log, on to the event's row (its commit follows), and on to the
        reading of the event from Kafka. Without a row: from the log to the reading. Kafka cuts its times to whole
        milliseconds.
    """

    ticks_per_s: float
    p50_ms: float
    p99_ms: float
    to_log_ms: float
    to_row_ms: float | None
    to_reader_ms: float

    @property
    def figures(self) -> dict[str, float]:
        """Return the figures of a row."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Probes:
    """When each probe was sent, was in the log, and its answer was read, in seconds since 1970."""

    sent: Times
    logged: Times
    read: Times

    def counted(self) -> list[str]:
        """Return the second half of the probes. During the first one statements are prepared and code is compiled."""
        names = list(self.sent)
        return names[len(names) // 2 :]


def measure_latency(place: Place, per_s: float, probes: int, clock: Clock) -> Latency:
    """Send ticks at a rate, and every 20 ms one of them exits a trade of a symbol without others."""
    names = _names(probes)
    for name in names:
        copy_same(place, 1, name)
    with place.working(), intents_reader(place) as intents, _feed(place, per_s, len(names)) as feed:
        place.await_ticks(int(per_s))
        found = _probe(place, names, intents, clock)
        rate = _rate(feed)
        return _latency(found, rate, place.written_at())


def measure_echo(place: Place, per_s: float, probes: int, clock: Clock) -> Latency:
    """Send the same ticks to an echo of the probes: the limit of the machine and of Kafka."""
    names = _names(probes)
    with _echo(place, names[0]), intents_reader(place) as intents, _feed(place, per_s, len(names)) as feed:
        found = _probe(place, names, intents, clock)
        return _latency(found, _rate(feed), None)


def _names(probes: int) -> list[str]:
    return [f"NSE:PROBE{number}" for number in range(2 * probes)]


def _latency(found: Probes, ticks_per_s: float, written: Mapping[str, float] | None) -> Latency:
    names, stored = found.counted(), written or found.logged
    waits = sorted(found.read[name] - found.sent[name] for name in names)
    return Latency(
        ticks_per_s,
        percentile(waits, 0.50) * 1000,
        percentile(waits, 0.99) * 1000,
        median(found.logged[name] - found.sent[name] for name in names) * 1000,
        None if written is None else median(written[name] - found.logged[name] for name in names) * 1000,
        median(found.read[name] - stored[name] for name in names) * 1000,
    )


def _probe(place: Place, names: Sequence[str], intents: Consumer, clock: Clock) -> Probes:
    """Send a probe every 20 ms, and read the answers meanwhile."""
    producer = place.producer(linger_ms=0)
    found = Probes({}, {}, {})

    def delivered(_: object, message: Message) -> None:
        found.logged[str(message.key() or b"", "ascii")] = message.timestamp()[1] / 1000

    began_s = clock.monotonic()
    while len(found.read) < len(names):
        passed_s = clock.monotonic() - began_s
        if len(found.sent) < min(len(names), passed_s / PROBE_EVERY_S):
            name = names[len(found.sent)]
            found.sent[name] = clock.now().timestamp()
            producer.produce(place.ticks, only_tick(name, TARGET), name, on_delivery=delivered)
        producer.poll(0)
        messages = read_now(intents)
        found.read.update(dict.fromkeys(map(_symbol_of, messages), clock.now().timestamp()))
        if passed_s > LIMIT_S:
            raise Unavailable(f"{len(found.read)} of {len(names)} answers could be read")
    producer.flush(30)
    return found


@contextmanager
def _feed(place: Place, per_s: float, probes: int) -> Iterator[subprocess.Popen[str]]:
    """Run a feed in a separate process while inside: its work must not delay the probes."""
    seconds = probes * PROBE_EVERY_S + LEAD_S
    argv = [sys.executable, "-m", "bench.ticks.feed", place.settings.kafka_bootstrap_servers, place.ticks]
    with subprocess.Popen([*argv, str(per_s), str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as feed:
        try:
            yield feed
        finally:
            feed.terminate()


@contextmanager
def _echo(place: Place, probe: str) -> Iterator[None]:
    """Run the answering process while inside; it answers all symbols named like the probe."""
    argv = [sys.executable, "-m", "bench.ticks.echo", place.settings.kafka_bootstrap_servers, place.ticks]
    with subprocess.Popen([*argv, place.intents, probe.rstrip("0123456789")], cwd=ROOT) as echo:
        try:
            yield
        finally:
            echo.terminate()


def _rate(feed: subprocess.Popen[str]) -> float:
    told = json.loads(feed.communicate(timeout=LIMIT_S)[0])
    return float(told["ticks"] / told["s"])


def _symbol_of(intent: Message) -> str:
    return str(json.loads(intent.value() or b"{}")["symbol"])
