"""Measure the drain of a committed backlog: speed, completeness and cost."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from bench.relay.candidate import Candidate
from bench.relay.outbox import insert_backlog, old_transaction, settle, wal_position
from bench.relay.place import Place, fresh_place
from bench.relay.running import Relays, running
from bench.relay.servers import Servers
from bench.relay.topic import Content, Ends, read_content
from bench.relay.usage import CpuSeconds, cpu_seconds
from shared.clock import Clock
from shared.errors import Unavailable

LOOK_S = 0.2
"""Seldom: a look walks over all processes, and must take nothing from the measured ones."""
STALL_LIMIT_S = 45
QUIET_S = 1.0
CUT_S = 60.0
"""A longer drain is cut here; its rates are of the events published by then."""
FROM, TO = 0.5, 0.95


@dataclass(frozen=True)
class Drain:
    """One drain.

    Attributes
    ----------
    steady_per_s:
        Events a second between 50 % and 95 % of the backlog, by the broker's append times.
    whole_per_s, first_s:
        Events a second from the start of the program to its last record; seconds to its first record.
    cut:
        It was ended after `CUT_S`; events missing then are not lost.
    cpu:
        Seconds per 100,000 events of relay, PostgreSQL and Kafka, from the first records seen to the last.
    wal_bytes:
        WAL per event from the start of the program to its end, without other writers; None where there is no outbox.
    """

    events: int
    published: int
    steady_per_s: float
    whole_per_s: float
    first_s: float
    cut: bool
    lost: int
    duplicates: int
    disorder: int
    foreign: int
    headers: float
    cpu: dict[str, float]
    peak_bytes: int
    wal_bytes: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the form stored in the results file."""
        return asdict(self)


@dataclass
class _Observed:
    """Observations while the relay ran."""

    records: int = 0
    cut: bool = False
    counted_from: int = 0
    cpu: CpuSeconds | None = None
    peak_bytes: int = 0


def measure_drain(candidate: Candidate, servers: Servers, clock: Clock, events: int, *, held: bool) -> Drain:
    """Fill an outbox, start the relay, and watch the topic until it holds all.

    Parameters
    ----------
    held:
        Whether a transaction older than every event stays open meanwhile.

    Raises
    ------
    Unavailable
        The relay ended by itself, or published nothing for `STALL_LIMIT_S`.
    """
    with fresh_place(servers, candidate.name) as place:
        candidate.prepare(place)
        with old_transaction(place, wanted=held):
            if candidate.has_outbox:
                insert_backlog(candidate, place, range(events))
                settle(place)
            wal = wal_position(place)
            started_s = clock.now().timestamp()
            with running(candidate.programs(place, events)) as relays:
                observed = _watch(relays, place, servers, clock, events)
            wal = wal_position(place) - wal
        content = read_content(place, events)
    return _drain(events, started_s, observed, content, wal if candidate.has_outbox else None)


def _watch(relays: Relays, place: Place, servers: Servers, clock: Clock, events: int) -> _Observed:
    """Look at the topic's end until all is there and nothing more comes."""
    ends, seen = Ends(place), _Observed()
    began = moved = clock.monotonic()
    at_first: CpuSeconds | None = None
    while seen.records < events or clock.monotonic() - moved < QUIET_S:
        relays.require_alive()
        records, now = ends.records(), clock.monotonic()
        if records > seen.records:
            seen.records, moved = records, now
            usage = _usage(relays, servers)
            if at_first is None:
                at_first, seen.counted_from = usage, records
            seen.cpu = usage.since(at_first)
            seen.peak_bytes = relays.peak_bytes()
        elif now - moved > STALL_LIMIT_S:
            raise Unavailable(f"{seen.records} of {events} records came, then none for {STALL_LIMIT_S} s")
        if now - began > CUT_S and seen.records < events:
            seen.cut = True
            break
        time.sleep(LOOK_S)
    return seen


def _usage(relays: Relays, servers: Servers) -> CpuSeconds:
    return CpuSeconds(
        relay=relays.cpu_seconds(),
        postgres=cpu_seconds([servers.postgres_pid]),
        kafka=cpu_seconds([servers.kafka_pid]),
    )


def _drain(events: int, started_s: float, seen: _Observed, content: Content, wal: int | None) -> Drain:
    published = len(content.appended_s)
    counted = max(1, seen.records - seen.counted_from)
    cpu = asdict(seen.cpu) if seen.cpu is not None else {}
    return Drain(
        events=events,
        published=published,
        steady_per_s=steady_rate(content.appended_s),
        whole_per_s=published / max(content.appended_s[-1] - started_s, 0.001),
        first_s=content.appended_s[0] - started_s,
        cut=seen.cut,
        lost=0 if seen.cut else content.lost,
        duplicates=content.duplicates,
        disorder=content.disorder,
        foreign=content.foreign,
        headers=content.headers,
        cpu={name: seconds * 100_000 / counted for name, seconds in cpu.items()},
        peak_bytes=seen.peak_bytes,
        wal_bytes=None if wal is None else wal / max(1, published),
    )


def steady_rate(appended_s: list[float]) -> float:
    """Return the events a second between 50 % and 95 % of sorted append times."""
    first, last = int(len(appended_s) * FROM), int(len(appended_s) * TO)
    return (last - first) / max(appended_s[last] - appended_s[first], 0.001)
