"""The reconciler's pace: what ends its pause."""

from __future__ import annotations

import threading

import pytest

from services.exit_qualification.orders.reconciling.pass_signal import PassSignal
from shared.clock import SystemClock
from tests.support.waiting import LIMIT_S
from tests.unit.outbox_relay.clock import StandingClock


def test_an_order_update_ends_the_pause_and_a_wait_without_one_does_not() -> None:
    began = threading.Event()

    def reconcile() -> bool:
        began.set()
        return True

    passes = PassSignal(reconcile, interval_s=3600, idle_s=3600, clock=SystemClock())
    passes.next_pass()  # the first begins at once
    began.clear()
    thread = threading.Thread(target=passes.next_pass)
    thread.start()
    also = threading.Event()
    assert passes.ringing(lambda _: False, also.set)() is True
    assert not began.wait(0.05)
    assert not also.is_set()
    assert passes.ringing(lambda _: True, also.set)() is True
    assert began.wait(LIMIT_S)
    assert also.is_set()
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def test_a_pass_follows_a_long_one_after_as_long_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waits = StandingClock(), list[float]()

    def wait(_: threading.Event, timeout: float) -> bool:
        waits.append(timeout)
        return True

    def reconcile() -> bool:
        clock.elapsed_s += 0.2
        passes.ring()
        return True

    passes = PassSignal(reconcile, interval_s=0.25, idle_s=1, clock=clock)
    passes.next_pass()
    monkeypatch.setattr(threading.Event, "wait", wait)
    passes.next_pass()
    assert waits == [pytest.approx(0.2), pytest.approx(0.05)]
