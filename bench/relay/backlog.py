"""Measure the relay's memory under a backlog of millions (`python -m bench.relay.backlog`)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from bench.relay.candidates.exitflow import Exitflow
from bench.relay.outbox import relay_backends, settle
from bench.relay.place import Place, fresh_place
from bench.relay.running import Relays, running
from bench.relay.servers import Servers, running_servers, work_directory
from bench.relay.topic import Ends
from shared.clock import Clock, SystemClock
from shared.errors import ExitflowError, Unavailable

EVENTS_PER_TRANSACTION = 250_000
SAMPLES = 10
LOOK_S = 0.2
STALL_LIMIT_S = 120
MIB = 1024 * 1024
progress = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Sample:
    """Resources in use after this many events and seconds; sizes in bytes.

    Attributes
    ----------
    relay:
        Resident memory of the relay.
    backends:
        Private memory of PostgreSQL's processes serving it: shared buffers are not counted.
    """

    published: int
    after_s: float
    relay: int
    backends: int


def main(arguments: Sequence[str]) -> int:
    """Fill an outbox, drain it with one relay and print the memory used on the way."""
    parser = argparse.ArgumentParser(prog="python -m bench.relay.backlog", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="events of the backlog (default: 10000000)")
    events = parser.parse_args(arguments).events
    try:
        with work_directory() as directory, running_servers(directory) as servers:
            samples, peak_bytes = _measure(servers, SystemClock(), events)
    except ExitflowError as error:
        progress.print(f"bench: {error}", style="red")
        return 1
    _print(samples, peak_bytes)
    return 0


def _measure(servers: Servers, clock: Clock, events: int) -> tuple[list[Sample], int]:
    relay = Exitflow("exitflow", 1)
    with fresh_place(servers, relay.name) as place:
        relay.prepare(place)
        _fill(relay, place, events)
        settle(place)
        with running(relay.programs(place, events)) as relays:
            samples = list(_watch(relays, place, clock, events))
            return samples, relays.peak_bytes()


def _fill(relay: Exitflow, place: Place, events: int) -> None:
    statement = relay.range_insert().encode()
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        for first in range(0, events, EVENTS_PER_TRANSACTION):
            last = min(first + EVENTS_PER_TRANSACTION, events) - 1
            connection.execute(statement, {"first": first, "last": last, "topic": place.topic})
            progress.print(f"written: {last + 1:,} of {events:,}")


def _watch(relays: Relays, place: Place, clock: Clock, events: int) -> Iterator[Sample]:
    """Sample after each tenth of the backlog; raise Unavailable if the relay stalls or publishes too much."""
    ends, began = Ends(place), clock.monotonic()
    moved, before, due = began, 0, events // SAMPLES
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        while before < events:
            time.sleep(LOOK_S)
            relays.require_alive()
            published, now = ends.records(), clock.monotonic()
            if published > before:
                moved, before = now, published
            elif now - moved > STALL_LIMIT_S:
                raise Unavailable(f"{published} of {events} records came, then none for {STALL_LIMIT_S} s")
            if published >= due:
                due += events // SAMPLES
                yield Sample(published, now - began, _resident(relays.pids), _private(relay_backends(connection)))
                progress.print(f"published: {published:,} of {events:,}")
    if before > events:
        raise Unavailable(f"{before} records for {events} events")


def _resident(pids: Sequence[int]) -> int:
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


def _private(pids: Sequence[int]) -> int:
    memory = [psutil.Process(pid).memory_info() for pid in pids]
    return sum(m.rss - getattr(m, "shared", 0) for m in memory)


def _print(samples: Sequence[Sample], peak_bytes: int) -> None:
    table = Table("published", "seconds", "events/s so far", "relay, MiB", "its backends, MiB", title="A backlog")
    for s in samples:
        rate = f"{s.published / s.after_s:,.0f}"
        sizes = (f"{s.relay / MIB:.0f}", f"{s.backends / MIB:.0f}")
        table.add_row(f"{s.published:,}", f"{s.after_s:.0f}", rate, *sizes)
    Console().print(table, f"The relay's largest resident size: {peak_bytes / MIB:.0f} MiB", sep="\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
