"""The reconciler's pace: what ends its pause."""

from __future__ import annotations

import threading

from services.exit_qualification.orders.pass_signal import PassSignal
from tests.support.waiting import LIMIT_S


def test_an_order_update_ends_the_pause_and_a_wait_without_one_does_not() -> None:
    began = threading.Event()

    def reconcile() -> bool:
        began.set()
        return True

    passes = PassSignal(reconcile, interval_s=3600, idle_s=3600)
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
