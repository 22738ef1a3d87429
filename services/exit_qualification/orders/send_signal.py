"""SendSignal: one look at the queue for all senders, so that idle ones do not ask the database each by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.exit_qualification.storage.order_queues import OrderQueues
from shared.outbox.unit_of_work import UnitOfWork

ANSWER_WAIT_S = 0.25
"""How soon a sender notices that it should stop."""


class SendSignal:
    """Rung while there is something to send; senders answer it until they find nothing more."""

    def __init__(self, open_unit: Callable[[], UnitOfWork]) -> None:
        self._open_unit = open_unit
        self._rung = threading.Event()

    def look(self) -> bool:
        """Ring if there is something to send; False, for the next look comes after a wait."""
        with self._open_unit() as uow:
            if OrderQueues(uow.connection).any_to_send():
                self._rung.set()
        return False

    def answering(self, execute_next: Callable[[], bool]) -> Callable[[], bool]:
        """A sender's step: wait for the bell, send one, and silence the bell if there was none left."""

        def step() -> bool:
            if self._rung.wait(ANSWER_WAIT_S) and not execute_next():
                self._rung.clear()
            return True

        return step
