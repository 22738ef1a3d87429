"""Errors of exits waiting for a disconnected account, set until they are sent or the account is connected."""

from __future__ import annotations

from collections.abc import Callable

from services.exit_qualification.storage.order_queues import OrderQueues
from shared.outbox.unit_of_work import UnitOfWork


class AccountErrors:
    """Keeps the error of waiting exits in line with the state of their accounts. Not thread-safe."""

    def __init__(self, open_unit: Callable[[], UnitOfWork]) -> None:
        self._open_unit = open_unit

    def note_once(self) -> bool:
        """Run one pass; return False, because the next one comes after a wait."""
        with self._open_unit() as uow:
            OrderQueues(uow.connection).note_disconnected()
            uow.commit()
        return False
