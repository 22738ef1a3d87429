"""The reconciler's pace: the ends of its pause."""

from __future__ import annotations

import threading

import pytest

from services.exit_qualification.orders.reconciling.pass_signal import PassSignal
from shared.clock import SystemClock
from tests.support.waiting import LIMIT_S
from tests.unit.outbox_relay.clock import StandingClock


def test_order_update_ends_pause_but_wait_alone_does_not() -> None:
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


def test_pass_rests_as_long_as_long_previous_pass_took(monkeypatch: pytest.MonkeyPatch) -> None:
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
