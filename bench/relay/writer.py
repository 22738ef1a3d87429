"""The writing process of a latency measurement: transactions at an even pace, each stamped around its commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import psycopg

from bench.relay.candidate import Candidate
from bench.relay.place import Place
from shared.clock import SystemClock

THREADS = 8


@dataclass(frozen=True)
class Tempo:
    """How to write.

    Attributes
    ----------
    transactions_per_s, rows:
        Transactions a second, evenly spaced, whether earlier ones have ended or not; events in each.
    seconds:
        For how long.
    first:
        The number of the first event.
    """

    transactions_per_s: float
    rows: int
    seconds: float
    first: int

    @property
    def transactions(self) -> int:
        """Return the total number."""
        return int(self.transactions_per_s * self.seconds)


@dataclass(frozen=True)
class Written:
    """One committed transaction: its events, and the monotonic clock before it was sent and after its commit."""

    first: int
    rows: int
    sent_s: float
    committed_s: float


def write(candidate: Candidate, place: Place, tempo: Tempo, answer: Connection) -> None:
    """Write at the tempo over several connections; send the list of `Written`, or the error, to `answer`."""
    try:
        answer.send(_write(candidate, place, tempo))
    except psycopg.Error as error:
        answer.send(error)


def _write(candidate: Candidate, place: Place, tempo: Tempo) -> list[Written]:
    ready = threading.Barrier(THREADS)
    with ThreadPoolExecutor(THREADS) as threads:
        parts = [threads.submit(_write_part, candidate, place, tempo, n, ready) for n in range(THREADS)]
        return sorted((one for part in parts for one in part.result()), key=lambda one: one.sent_s)


def _write_part(candidate: Candidate, place: Place, tempo: Tempo, part: int, ready: threading.Barrier) -> list[Written]:
    clock, done = SystemClock(), []
    # A statement by itself is a transaction: one round trip, as short as a writer can make it.
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        ready.wait()
        begin = clock.monotonic()
        for turn in range(part, tempo.transactions, THREADS):
            first = tempo.first + turn * tempo.rows
            statement, parameters = _insert(candidate, place, first, tempo.rows)
            _wait_until(begin + turn / tempo.transactions_per_s)
            sent_s = clock.monotonic()
            connection.execute(statement.encode(), parameters)
            done.append(Written(first, tempo.rows, sent_s, clock.monotonic()))
    return done


def _insert(candidate: Candidate, place: Place, first: int, rows: int) -> tuple[str, Any]:
    if rows == 1:
        return candidate.one_insert(place, first)
    return candidate.range_insert(), {"first": first, "last": first + rows - 1, "topic": place.topic}


def _wait_until(due_s: float) -> None:
    pause_s = due_s - SystemClock().monotonic()
    if pause_s > 0:
        time.sleep(pause_s)


def events_of(written: list[Written]) -> Iterator[tuple[int, Written]]:
    """Yield each event's number with its transaction."""
    for one in written:
        for number in range(one.first, one.first + one.rows):
            yield number, one
