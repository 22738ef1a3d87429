"""AccountErrors: exits that wait for a disconnected account say so, until they are sent or it is connected again."""

from __future__ import annotations

from collections.abc import Callable

from services.exit_qualification.storage.order_queues import OrderQueues
from shared.outbox.unit_of_work import UnitOfWork


class AccountErrors:
    """Keeps the error of waiting exits true to the state of their accounts. One thread's own."""

    def __init__(self, open_unit: Callable[[], UnitOfWork]) -> None:
        self._open_unit = open_unit

    def note_once(self) -> bool:
        """Make one pass; False, for the next comes after a wait."""
        with self._open_unit() as uow:
            OrderQueues(uow.connection).note_disconnected()
            uow.commit()
        return False
