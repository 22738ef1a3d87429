"""Wake-up of senders: one query serves all of them, and an approved exit wakes one at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.exit_qualification.storage.order_queues import OrderQueues
from shared.outbox.unit_of_work import UnitOfWork

ANSWER_WAIT_S = 1.0
"""Maximum delay until a sender notices a stop."""

BUSY_WAIT_S = 0.02
"""Pause between two checks while there is something to send, which the senders are working on."""

TO_SEND = "exit_intents_to_send"
"""Channel that a trigger notifies when an approved exit is committed."""

Pause = Callable[[float], object]
"""Waits so many seconds, or less if an exit was approved meanwhile."""


class SendSignal:
    """Wakes one sender while there is something to send; one that found work wakes the next.

    Parameters
    ----------
    in_flight:
        As in `OrderQueues.find_pending_approved`.
    pause:
        The wait between two checks.
    poll_s:
        Longest pause.
    """

    def __init__(self, open_unit: Callable[[], UnitOfWork], in_flight: int, pause: Pause, poll_s: float) -> None:
        self._open_unit = open_unit
        self._in_flight = in_flight
        self._pause = pause
        self._poll_s = poll_s
        self._changed = threading.Condition()
        self._rung = False

    def look(self) -> bool:
        """Wake a sender if there is something to send, then pause until there may be more; return True."""
        with self._open_unit() as uow:
            due_s = OrderQueues(uow.connection).next_due_s(self._in_flight)
        if due_s is not None and due_s <= 0:
            self.ring()
        self._pause(self._poll_s if due_s is None else min(self._poll_s, max(due_s, BUSY_WAIT_S)))
        return True

    def ring(self) -> None:
        """Wake one sender, or let the next one that waits go on at once."""
        with self._changed:
            self._rung = True
            self._changed.notify()

    def answering(self, execute_next: Callable[[], bool]) -> Callable[[], bool]:
        """Return a sender's step: wait for the signal, send, and ring again if there may be more."""

        def step() -> bool:
            with self._changed:
                if not self._changed.wait_for(lambda: self._rung, ANSWER_WAIT_S):
                    return True
                self._rung = False
            if execute_next():
                self.ring()
            return True

        return step
