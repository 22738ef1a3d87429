"""Looks for due exits take a bounded share of the time, however many exits wait."""

from __future__ import annotations

from unittest.mock import MagicMock, create_autospec

import pytest

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.orders.requalifying import requalification
from services.exit_qualification.orders.requalifying.held_exits import HeldExits
from services.exit_qualification.orders.requalifying.requalification import HELD_PAUSE_S, REST, Requalification
from services.exit_qualification.storage.order_queues import OrderQueues
from tests.support.clocks import SteppedClock

LOOK_S = HELD_PAUSE_S
"""A look takes so long that a page of held exits is read beside each."""


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def queues(clock: SteppedClock, monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """Queues without due exits; each look takes a while."""
    queues = create_autospec(OrderQueues, instance=True)

    def look() -> list[ExitIntent]:
        clock.at_s += LOOK_S
        return []

    queues.to_requalify.side_effect = look
    queues.held.return_value = []
    monkeypatch.setattr(requalification, "OrderQueues", lambda _: queues)
    return queues


def test_looks_without_due_exits_take_a_tenth_of_the_time(clock: SteppedClock, queues: MagicMock) -> None:
    work = Requalification(MagicMock(), MagicMock(), MagicMock(), create_autospec(HeldExits), clock)
    began_s = clock.monotonic()
    for _ in range(1000):
        work.requalify_once()
        clock.at_s += LOOK_S / 10
    looked_s = queues.to_requalify.call_count * LOOK_S
    assert 0.05 < looked_s / (clock.monotonic() - began_s) <= 1.1 / (REST + 1)
    assert queues.held.call_count > queues.to_requalify.call_count
