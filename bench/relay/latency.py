"""How long a committed event takes until a consumer has it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from bench.percentiles import percentile
from bench.relay.candidate import Candidate
from bench.relay.outbox import insert_backlog
from bench.relay.place import Place, fresh_place
from bench.relay.reader import Reader, reading
from bench.relay.running import Relays, running
from bench.relay.servers import Servers
from bench.relay.writer import Tempo, Written, events_of, write
from shared.clock import Clock
from shared.errors import Unavailable

LOOK_S = 0.02
WARM_UP_LIMIT_S = 60
REST_LIMIT_S = 60
WRITE_SLACK_S = 60
BULK_TRANSACTIONS_PER_S = 200
SINGLE_ROWS_UP_TO_PER_S = 1_000
BEHIND, BEHIND_AFTER_S = 0.95, 1.0


@dataclass(frozen=True)
class Latency:
    """Latency of one trial, in milliseconds from the commit's confirmation to the record's arrival.

    ``from_send`` counts from just before the transaction's one statement was sent.

    Attributes
    ----------
    asked_per_s, written_per_s, rows:
        Events a second wanted and written; events in each transaction.
    behind:
        A second after the last commit less than 95 % of the events had been read. The rate is above the relay's
        capacity, and the latencies grow with the length of the measurement.
    missing:
        Events still missing some time after the last commit; they are in no percentile.
    """

    asked_per_s: float
    written_per_s: float
    rows: int
    p50_ms: float
    p99_ms: float
    p50_from_send_ms: float
    p99_from_send_ms: float
    behind: bool
    missing: int

    def as_json(self) -> dict[str, Any]:
        """Return the form stored in the results file."""
        return asdict(self)


@dataclass(frozen=True)
class Trial:
    """The events to write.

    Attributes
    ----------
    warm_up_events:
        A backlog for the relay to carry before the writing begins: its code is compiled then.
    rate_per_s, seconds, lead_in_s:
        The pace of the events, for how long they count, and the length of the uncounted start before.
    """

    warm_up_events: int
    rate_per_s: float
    seconds: float
    lead_in_s: float

    def tempo(self) -> Tempo:
        """Return single-row transactions up to 1,000 a second; above, 200 a second with as many rows as it takes."""
        seconds, first = self.lead_in_s + self.seconds, 1 + self.warm_up_events
        if self.rate_per_s <= SINGLE_ROWS_UP_TO_PER_S:
            return Tempo(self.rate_per_s, 1, seconds, first)
        return Tempo(BULK_TRANSACTIONS_PER_S, round(self.rate_per_s / BULK_TRANSACTIONS_PER_S), seconds, first)


def measure_latency(candidate: Candidate, servers: Servers, clock: Clock, trial: Trial) -> Latency:
    """Write at a fixed rate while the relay runs, and read the topic.

    Raises
    ------
    Unavailable
        The relay ended, or did not carry the warm-up in time; or the writer failed.
    """
    with fresh_place(servers, candidate.name) as place:
        candidate.prepare(place)
        with running(candidate.programs(place, 0)) as relays, reading(place) as reader:
            _warm_up(candidate, place, relays, reader, clock, trial.warm_up_events)
            written = _write(candidate, place, trial.tempo())
            expected = 1 + trial.warm_up_events + sum(one.rows for one in written)
            _await(lambda: reader.records >= expected, relays, clock, REST_LIMIT_S)
            received = reader.received()
    return _latency(trial, written, received)


def _warm_up(candidate: Candidate, place: Place, relays: Relays, reader: Reader, clock: Clock, events: int) -> None:
    """Event 0 goes alone, the relay is up when it has come; then the others at once."""
    statement, parameters = candidate.one_insert(place, 0)
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        connection.execute(statement.encode(), parameters)
    if not _await(lambda: reader.records > 0, relays, clock, WARM_UP_LIMIT_S):
        raise Unavailable(f"the first event did not come within {WARM_UP_LIMIT_S} s")
    insert_backlog(candidate, place, range(1, 1 + events))
    if not _await(lambda: reader.records > events, relays, clock, WARM_UP_LIMIT_S):
        raise Unavailable(f"{reader.records} of {1 + events} events to warm up came within {WARM_UP_LIMIT_S} s")


def _await(condition: Callable[[], bool], relays: Relays, clock: Clock, limit_s: float) -> bool:
    deadline = clock.monotonic() + limit_s
    while not condition():
        relays.require_alive()
        if clock.monotonic() > deadline:
            return False
        time.sleep(LOOK_S)
    return True


def _write(candidate: Candidate, place: Place, tempo: Tempo) -> list[Written]:
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=write, args=(candidate, place, tempo, theirs), daemon=True)
    process.start()
    try:
        if not mine.poll(tempo.seconds * 3 + WRITE_SLACK_S):
            raise Unavailable("the writer did not end")
        answer = mine.recv()
    except EOFError:
        raise Unavailable("the writer ended without an answer") from None
    finally:
        process.kill()
        process.join()
    if isinstance(answer, psycopg.Error):
        raise answer
    written: list[Written] = answer
    return written


def _latency(trial: Trial, written: list[Written], received: dict[int, float]) -> Latency:
    begin_s, end_s = written[0].sent_s, max(one.committed_s for one in written)
    counted = [(number, one) for number, one in events_of(written) if one.sent_s >= begin_s + trial.lead_in_s]
    arrived = [(received[number], one) for number, one in counted if number in received]
    if not arrived:
        raise Unavailable("none of the events came")
    after_commit = sorted(at - one.committed_s for at, one in arrived)
    after_send = sorted(at - one.sent_s for at, one in arrived)
    events = sum(one.rows for one in written)
    in_time = sum(at <= end_s + BEHIND_AFTER_S for number, at in received.items() if number > trial.warm_up_events)
    return Latency(
        asked_per_s=trial.rate_per_s,
        written_per_s=events / (end_s - begin_s),
        rows=written[0].rows,
        p50_ms=percentile(after_commit, 0.50) * 1000,
        p99_ms=percentile(after_commit, 0.99) * 1000,
        p50_from_send_ms=percentile(after_send, 0.50) * 1000,
        p99_from_send_ms=percentile(after_send, 0.99) * 1000,
        behind=in_time < BEHIND * events,
        missing=len(counted) - len(arrived),
    )
