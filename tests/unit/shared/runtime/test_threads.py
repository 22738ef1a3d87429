"""The threads of a process end together: when told to, when one fails, and within one common limit."""

from __future__ import annotations

import threading
import time

import pytest

from shared.runtime.stopping import Stop
from shared.runtime.threads import ThreadGroup

LIMIT_S = 0.5
THREADS = 64


def wait_for_stop(stop: Stop) -> None:
    stop.wait()


def fail(_: Stop) -> None:
    raise LookupError("not there")


def test_every_thread_ends_when_the_block_ends() -> None:
    with ThreadGroup(Stop()).add("a", wait_for_stop).add("b", wait_for_stop) as group:
        assert group.busy() == ["a", "b"]
    assert group.busy() == []


def test_failing_thread_stops_others_and_raises_its_error() -> None:
    group = ThreadGroup(Stop()).add("good", wait_for_stop).add("bad", fail)
    with pytest.raises(LookupError, match="not there"), group:
        assert group.stop.wait(60), "the group goes on without one of its threads"
    assert group.busy() == []


def test_threads_that_hang_share_one_limit() -> None:
    release, entered = threading.Event(), threading.Semaphore(0)

    def hang(_: Stop) -> None:
        entered.release()
        release.wait()

    group = ThreadGroup(Stop(), LIMIT_S)
    for n in range(THREADS):
        group.add(f"thread-{n}", hang)
    with group:
        for _ in range(THREADS):
            assert entered.acquire(timeout=60)
        began = time.monotonic()
    took_s = time.monotonic() - began
    assert len(group.busy()) == THREADS
    release.set()
    assert LIMIT_S <= took_s < LIMIT_S * THREADS / 2
