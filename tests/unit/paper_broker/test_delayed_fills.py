"""The loop of delayed fills reports itself alive, also while no order is delayed."""

from __future__ import annotations

import sqlite3
from typing import cast

from services.paper_broker.broker import PaperBroker
from services.paper_broker.process import LEDGER, fill_when_due
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from tests.unit.outbox_relay.clock import StandingClock

DEADLINE_S = 12.0


class Broker:
    """A broker with waits of 5 s of a clock each; the process is stopped after the last answer."""

    def __init__(self, clock: StandingClock, stop: Stop, *answers: bool | sqlite3.Error) -> None:
        self._clock = clock
        self._stop = stop
        self._answers = list(answers)
        self._now: bool | sqlite3.Error = False

    def await_delayed(self, _limit_s: float) -> bool:
        self._clock.elapsed_s += 5
        self._now = self._answers.pop(0)
        if not self._answers:
            self._stop.set()
        return self._now is not False

    def fill_due(self) -> int:
        if isinstance(self._now, sqlite3.Error):
            raise self._now
        return 1


def health_after(*answers: bool | sqlite3.Error) -> Health:
    clock, stop = StandingClock(), Stop()
    health = Health(LEDGER, deadline_s=DEADLINE_S, clock=clock)
    fill_when_due(cast(PaperBroker, Broker(clock, stop, *answers)), stop, health)
    return health


def test_it_is_ready_while_no_order_is_delayed() -> None:
    assert health_after(True, False, False, False, False).is_ready()


def test_unwritable_ledger_is_reported_until_writable() -> None:
    full = sqlite3.OperationalError("disk is full")
    assert health_after(True, full).problems() == {LEDGER: "disk is full"}
    assert health_after(full, True).is_ready()
