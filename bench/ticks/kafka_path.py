"""Kafka to verdict to stored offsets: the worker drains a topic of ticks; beside it a bare consume loop does.

The first and the last tick of each partition makes a trade of its own exit. An exit is written at once, so its row
tells when the worker had judged the ticks so far. Offsets alone would not: they are stored up to a second later.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from time import sleep

import psutil
import psycopg

from bench.relay.usage import peak_bytes
from bench.ticks.market import Step
from bench.ticks.place import PARTITIONS, ROOT, TARGET, Place, copy_same, one_of_each_partition, send, send_named
from deploy.local.processes.child import Child, last_lines
from shared.clock import Clock
from shared.errors import Unavailable

LOOK_S = 0.01
LIMIT_S = 600
_PROGRESS = "SELECT coalesce(sum(tick_offset), 0)::bigint FROM tick_partitions"
_JUDGED = """
SELECT extract(epoch FROM min(created_at) FILTER (WHERE symbol = ANY (%(first)s)))::float8,
       extract(epoch FROM max(created_at) FILTER (WHERE symbol = ANY (%(last)s)))::float8, count(*)
  FROM exit_signals
"""
_STARTED = f"judging {PARTITIONS} partitions"
"""A worker's log line once its engine is loaded."""

FIRST = one_of_each_partition("NSE:FIRST")
LAST = one_of_each_partition("NSE:LAST")
"""Symbols of the markers, by partition."""


@dataclass(frozen=True)
class Drain:
    """How ticks were read, the exits written meanwhile, and how long after the last tick all offsets were stored."""

    ticks: int
    seconds: float
    cpu_s: float
    exits: int = 0
    stored_s: float = 0.0

    @property
    def per_s(self) -> float:
        """Return ticks per second."""
        return self.ticks / self.seconds

    @property
    def cpu_us(self) -> float:
        """Return CPU microseconds per tick."""
        return self.cpu_s / self.ticks * 1e6

    @property
    def figures(self) -> dict[str, float]:
        """Return the figures of a row."""
        return {"per_s": self.per_s, "cpu_us": self.cpu_us, "exits": self.exits, "stored_s": self.stored_s}


@dataclass(frozen=True)
class Start:
    """A worker from the start of its process until it holds its partitions."""

    trades: int
    seconds: float
    cpu_s: float
    peak_mib: float

    @property
    def figures(self) -> dict[str, float]:
        """Return the figures of a row."""
        return {"start_s": self.seconds, "load_us": self.cpu_s / self.trades * 1e6, "peak_mib": self.peak_mib}


def drain_bare(place: Place, ticks: int) -> Drain:
    """Measure a loop of consuming and decoding alone."""
    argv = [sys.executable, "-m", "bench.ticks.bare", place.settings.kafka_bootstrap_servers, place.ticks]
    argv += [str(PARTITIONS), str(ticks)]
    answer = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    found = json.loads(answer.stdout)
    return Drain(found["ticks"], found["s"], found["cpu_s"])


def fill_topic(place: Place, ticks: Iterator[Step]) -> int:
    """Put ticks on the topic between those of the markers, which have a trade each; return how many there are."""
    names = [*FIRST.values(), *LAST.values()]
    for name in names:
        copy_same(place, 1, name)
    send_named(place, FIRST.values(), TARGET)
    sent = send(place, ticks)
    send_named(place, LAST.values(), TARGET)
    return sent + len(names)


def drain_worker(place: Place, ticks: int, clock: Clock) -> Drain:
    """Measure a worker from its first exit to its last, in a topic with markers; Unavailable if it ends before.

    Its CPU is counted from the moment it holds its partitions until the last offset is stored.
    """
    with place.connect() as connection, place.running("exit-ticks") as child:
        _await_start(child, clock)
        process, began_s = psutil.Process(child.pid), clock.monotonic()
        began_cpu_s = _cpu_s(process)
        while _progress(connection) < ticks:
            _require(child, clock.monotonic() - began_s)
            sleep(LOOK_S)
        stored_s, cpu_s = clock.now().timestamp(), _cpu_s(process) - began_cpu_s
        names = {"first": list(FIRST.values()), "last": list(LAST.values())}
        judged = connection.execute(_JUDGED, names).fetchone()
    assert judged is not None, "an aggregate has a row"
    first_s, last_s, exits = judged
    return Drain(ticks, last_s - first_s, cpu_s, exits - len(FIRST) - len(LAST), stored_s - last_s)


def measure_start(place: Place, trades: int, clock: Clock) -> Start:
    """Measure the start of a worker with so many open trades; Unavailable if it ends before."""
    began_s = clock.monotonic()
    with place.running("exit-ticks") as child:
        _await_start(child, clock)
        seconds, cpu_s = clock.monotonic() - began_s, _cpu_s(psutil.Process(child.pid))
        return Start(trades, seconds, cpu_s, peak_bytes([child.pid]) / 2**20)


def _await_start(child: Child, clock: Clock) -> None:
    began_s = clock.monotonic()
    while _STARTED not in child.command.log_file.read_text():
        _require(child, clock.monotonic() - began_s)
        sleep(LOOK_S)


def _progress(connection: psycopg.Connection) -> int:
    row = connection.execute(_PROGRESS).fetchone()
    assert row is not None
    return int(row[0])


def _require(child: Child, passed_s: float) -> None:
    if child.exit_status is not None or passed_s > LIMIT_S:
        raise Unavailable(f"the worker did not come so far: {last_lines(child.command.log_file, 8)}")


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
