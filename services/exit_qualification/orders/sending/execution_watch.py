"""Watch over exits that trade management does not ask for, where it decides when an exit is executed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import UUID

from services.exit_qualification.orders.asked_exits import AskedFor
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.waiting_errors import WaitingErrorRepository
from shared.clock import Clock
from shared.outbox.unit_of_work import UnitOfWork
from shared.runtime.health import Health
from shared.wording import plural

CONDITION = "trade-management"
"""Health condition: trade management asks for every exit ready to be sent."""

LATE_S = 5.0
"""Time without a request after which an exit says so: trade management asks about once a second."""


class ExecutionWatch:
    """Lets late exits show that they wait for trade management, and health tell it. Not thread-safe."""

    def __init__(self, open_unit: Callable[[], UnitOfWork], asked: AskedFor, health: Health, clock: Clock) -> None:
        self._open_unit = open_unit
        self._asked = asked
        self._health = health
        self._clock = clock
        self._since_s: dict[UUID, float] = {}
        self._may_be_noted = True

    def look_once(self) -> bool:
        """Note the exits that have waited for too long, on them and to health; return False."""
        with self._open_unit() as uow:
            waiting = OrderQueues(uow.connection).not_asked_for(self._asked())
            late = self._late(waiting)
            if late or self._may_be_noted:
                WaitingErrorRepository(uow.connection).note_not_asked_for(late)
                uow.commit()
        self._may_be_noted = bool(late)
        if late:
            first = f"the first of trade {waiting[late[0]]}"
            self._health.problem(
                CONDITION, f"{plural(len(late), 'exit')} without a request of trade management, {first}"
            )
        else:
            self._health.fine(CONDITION)
        return False

    def _late(self, waiting: Collection[UUID]) -> list[UUID]:
        """Return those that have waited for `LATE_S`, in order."""
        now_s = self._clock.monotonic()
        self._since_s = {intent_id: self._since_s.get(intent_id, now_s) for intent_id in waiting}
        return [intent_id for intent_id, since_s in self._since_s.items() if now_s - since_s >= LATE_S]
