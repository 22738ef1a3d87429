"""A burst: one tick exits all trades of a symbol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer

from bench.ticks.kafka_path import LIMIT_S
from bench.ticks.place import TARGET, Place, Usage, copy_same, send_named
from bench.ticks.reader import intents_reader, read_now
from shared.clock import Clock
from shared.errors import Unavailable

BURSTS = 4


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


def measure_bursts(place: Place, exits: int, clock: Clock) -> Iterator[Burst]:
    """Exit so many trades by one tick, again and again, and yield the figures of each time.

    The first ones find a new system: statements are planned, and Kafka's virtual machine compiles its code.
    """
    symbols = [f"NSE:BURST{number}" for number in range(BURSTS)]
    for symbol in symbols:
        copy_same(place, exits, symbol)
    with place.working() as used, intents_reader(place) as intents:
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
        seen += len(read_now(intents))
        now_s = clock.monotonic() - began_s
        first_s = first_s or (now_s if seen else 0.0)
        if now_s > LIMIT_S:
            raise Unavailable(f"{seen} of {exits} exits of {symbol} could be read")
    return first_s, clock.monotonic() - began_s
