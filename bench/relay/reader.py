"""Reader of a latency measurement: a consumer recording each record's arrival time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from bench.relay.place import Place
from bench.relay.records import number_of
from bench.relay.topic import open_consumer
from shared.clock import SystemClock

POLL_S = 0.05
ANSWER_LIMIT_S = 60


class Reader:
    """The process, seen from outside."""

    def __init__(self, count: Any, stop: Any, answer: Connection) -> None:
        self._count = count
        self._stop = stop
        self._answer = answer

    @property
    def records(self) -> int:
        """Return the number of records read so far."""
        return int(self._count.value)

    def received(self) -> dict[int, float]:
        """End it; when it had each event first, on the monotonic clock, in seconds."""
        self._stop.set()
        if not self._answer.poll(ANSWER_LIMIT_S):
            return {}
        found: dict[int, float] = self._answer.recv()
        return found


@contextmanager
def reading(place: Place) -> Iterator[Reader]:
    """While inside, the process reads the topic from its beginning."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    count, stop = context.Value("q", 0, lock=False), context.Event()
    process = context.Process(target=_read, args=(place, count, stop, theirs), daemon=True)
    process.start()
    try:
        yield Reader(count, stop, mine)
    finally:
        stop.set()
        process.join(POLL_S * 100)
        process.kill()
        process.join()


def _read(place: Place, count: Any, stop: Any, answer: Connection) -> None:
    clock, received = SystemClock(), dict[int, float]()
    consumer = open_consumer(place)
    while not stop.is_set():
        message = consumer.poll(POLL_S)
        if message is None or message.error() is not None:
            continue
        now = clock.monotonic()
        received.setdefault(number_of(message.value() or b""), now)
        count.value += 1
    answer.send(received)
    consumer.close()
