"""Waits after failures in a row."""

from __future__ import annotations

import threading

from shared.back_off import BackOff, wait_after


def test_waits_double_from_the_first_to_the_longest() -> None:
    assert [wait_after(failures, 1, 30) for failures in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_the_longest_wait_stays_however_many_failures() -> None:
    assert wait_after(10**9, 0.5, 3.0) == 3.0


def test_the_longest_wait_may_be_shorter_than_the_first() -> None:
    assert wait_after(1, 0.2, 0.02) == 0.02


def test_a_success_begins_again_with_the_first_wait() -> None:
    back_off = BackOff(0.25, 10)
    assert [back_off.next_s() for _ in range(7)] == [0.25, 0.5, 1, 2, 4, 8, 10]
    back_off.reset()
    assert back_off.next_s() == 0.25


def test_a_stop_ends_the_wait() -> None:
    stop = threading.Event()
    stop.set()
    BackOff(3600, 3600).wait(stop)
