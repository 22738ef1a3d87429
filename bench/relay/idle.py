"""`python -m bench.relay.idle`: cost of an idle relay, and its latency for a first event."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median

import psycopg
from rich.console import Console
from rich.table import Table
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from bench.relay.candidates.exitflow import Exitflow
from bench.relay.outbox import relay_backends
from bench.relay.place import Place, fresh_place
from bench.relay.reader import Reader, reading
from bench.relay.running import Relays, running
from bench.relay.servers import Servers, running_servers, work_directory
from bench.relay.usage import cpu_seconds
from deploy.local.processes.child import Command
from shared.clock import Clock, SystemClock

POLLS_MS = (50.0, 20.0, 5.0, 1.0)
EVENTS = 20
PAUSE_S = 0.5
"""Between the events: long enough for the relay's longest wait before each."""

WARM_UP_EVENTS = 3
LIMIT_S = 60
HEADS = ("longest wait, ms", "relay, % of a core", "its backends, %", "together, %", "first event p50, ms", "worst, ms")


@dataclass(frozen=True)
class Idle:
    """One setting measured; CPU in percent of a core, latencies from a commit to the consumer in milliseconds."""

    poll_max_ms: float
    relay_percent: float
    backends_percent: float
    latencies_ms: Sequence[float]

    def row(self) -> Sequence[str]:
        """Return the table's row."""
        together = self.relay_percent + self.backends_percent
        percents = [f"{percent:.1f}" for percent in (self.relay_percent, self.backends_percent, together)]
        return [f"{self.poll_max_ms:g}", *percents, f"{median(self.latencies_ms):.1f}", f"{max(self.latencies_ms):.1f}"]


def main(arguments: Sequence[str]) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.relay.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long each setting idles (default: 20)")
    options = parser.parse_args(arguments)
    table = Table(*HEADS)
    with work_directory() as directory, running_servers(directory) as servers:
        for poll_ms in POLLS_MS:
            table.add_row(*measure(servers, poll_ms, options.seconds, SystemClock()).row())
    Console(width=120).print(table)
    return 0


def measure(servers: Servers, poll_max_ms: float, seconds: float, clock: Clock) -> Idle:
    """Measure one relay on a new outbox: warm up, stay idle for some seconds, then publish single events."""
    candidate = Exitflow("exitflow", processes=1)
    with fresh_place(servers, "idle") as place:
        candidate.prepare(place)
        programs = [_patient(program, poll_max_ms) for program in candidate.programs(place, 0)]
        with running(programs) as relays, reading(place) as reader, _writing(place) as connection:
            for number in range(WARM_UP_EVENTS):
                _write(connection, candidate, place, number, clock)
                _until_read(reader, number + 1)
            relay, backends = _idle(relays, place, seconds, clock)
            committed = {}
            for number in range(WARM_UP_EVENTS, WARM_UP_EVENTS + EVENTS):
                time.sleep(PAUSE_S)
                committed[number] = _write(connection, candidate, place, number, clock)
            _until_read(reader, WARM_UP_EVENTS + EVENTS)
            received = reader.received()
    latencies = [1000 * (received[number] - at) for number, at in committed.items()]
    return Idle(poll_max_ms, 100 * relay / seconds, 100 * backends / seconds, latencies)


def _patient(program: Command, poll_max_ms: float) -> Command:
    return replace(program, environment={**program.environment, "EXITFLOW_RELAY_POLL_MAX_MS": str(poll_max_ms)})


def _idle(relays: Relays, place: Place, seconds: float, clock: Clock) -> tuple[float, float]:
    """Return CPU seconds of the relay and its server processes."""
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        backends = relay_backends(connection)
    began, relay, served = clock.monotonic(), relays.cpu_seconds(), cpu_seconds(backends)
    time.sleep(seconds)
    scale = seconds / (clock.monotonic() - began)
    return scale * (relays.cpu_seconds() - relay), scale * (cpu_seconds(backends) - served)


@contextmanager
def _writing(place: Place) -> Iterator[psycopg.Connection]:
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        connection.execute("SET search_path = exit_qualification")
        yield connection


def _write(connection: psycopg.Connection, candidate: Exitflow, place: Place, number: int, clock: Clock) -> float:
    """Commit one event; return the time of the confirmation."""
    statement, parameters = candidate.one_insert(place, number)
    connection.execute(statement.encode(), parameters)
    return clock.monotonic()


@retry(stop=stop_after_delay(LIMIT_S), wait=wait_fixed(0.02), retry=retry_if_result(lambda enough: not enough))
def _until_read(reader: Reader, events: int) -> bool:
    return reader.records >= events


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
