"""Kafka to verdict to stored offsets: the worker drains a topic of ticks; beside it a bare consume loop does."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from time import sleep

import psutil
import psycopg

from bench.relay.usage import peak_bytes
from bench.ticks.place import PARTITIONS, ROOT, Place
from deploy.local.processes.child import Child, last_lines
from shared.clock import Clock
from shared.errors import Unavailable

LOOK_S = 0.01
LIMIT_S = 600
_PROGRESS = "SELECT coalesce(sum(tick_offset), 0)::bigint, count(owner) FROM tick_partitions"


@dataclass(frozen=True)
class Drain:
    """How ticks were read.

    Attributes
    ----------
    start_s, peak_mib:
        From the start of the process until it holds its partitions, and its largest resident size; 0 for a bare loop.
    exits:
        Exits written meanwhile.
    """

    ticks: int
    seconds: float
    cpu_s: float
    start_s: float = 0.0
    peak_mib: float = 0.0
    exits: int = 0

    @property
    def per_s(self) -> float:
        """Return ticks per second."""
        return self.ticks / self.seconds

    @property
    def cpu_us(self) -> float:
        """Return CPU microseconds per tick."""
        return self.cpu_s / self.ticks * 1e6


def drain_bare(place: Place, ticks: int) -> Drain:
    """Measure a loop that consumes and decodes."""
    argv = [sys.executable, "-m", "bench.ticks.bare", place.settings.kafka_bootstrap_servers, place.ticks]
    argv += [str(PARTITIONS), str(ticks)]
    answer = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    found = json.loads(answer.stdout)
    return Drain(found["ticks"], found["s"], found["cpu_s"])


def drain_worker(place: Place, ticks: int, clock: Clock) -> Drain:
    """Measure a worker from the moment it holds its partitions to the last offset; Unavailable if it ends before."""
    began_s = clock.monotonic()
    with place.connect() as connection, place.running("exit-ticks") as child:
        process = psutil.Process(child.pid)
        start_s = start_cpu_s = 0.0
        done = 0
        while done < ticks:
            _require(child, clock.monotonic() - began_s)
            sleep(LOOK_S)
            done, owned = _progress(connection)
            if not start_s and owned == PARTITIONS:
                start_s, start_cpu_s = clock.monotonic() - began_s, _cpu_s(process)
        seconds, cpu_s = clock.monotonic() - began_s - start_s, _cpu_s(process) - start_cpu_s
        peak = peak_bytes([child.pid]) / 2**20
        exits = connection.execute("SELECT count(*) FROM exit_signals").fetchone()
    return Drain(done, seconds, cpu_s, start_s, peak, exits[0] if exits else 0)


def _progress(connection: psycopg.Connection) -> tuple[int, int]:
    row = connection.execute(_PROGRESS).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _require(child: Child, passed_s: float) -> None:
    if child.exit_status is not None or passed_s > LIMIT_S:
        raise Unavailable(f"the worker did not read all ticks: {last_lines(child.command.log_file, 8)}")


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
