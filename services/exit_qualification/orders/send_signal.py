"""Shared queue check: one query serves all idle senders."""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.exit_qualification.storage.order_queues import OrderQueues
from shared.outbox.unit_of_work import UnitOfWork

ANSWER_WAIT_S = 0.25
"""Maximum delay until a sender notices a stop."""


class SendSignal:
    """Set while there is something to send; senders clear it when they find nothing more."""

    def __init__(self, open_unit: Callable[[], UnitOfWork]) -> None:
        self._open_unit = open_unit
        self._rung = threading.Event()

    def look(self) -> bool:
        """Set the signal if there is something to send; return False, because the next check comes after a wait."""
        with self._open_unit() as uow:
            if OrderQueues(uow.connection).any_to_send():
                self._rung.set()
        return False

    def answering(self, execute_next: Callable[[], bool]) -> Callable[[], bool]:
        """Return a sender's step: wait for the signal, send one order, and clear the signal if the queue is empty."""

        def step() -> bool:
            if self._rung.wait(ANSWER_WAIT_S) and not execute_next():
                self._rung.clear()
            return True

        return step
