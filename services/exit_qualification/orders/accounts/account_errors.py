"""Errors of exits waiting for their account: it is disconnected, or has used up its orders."""

from __future__ import annotations

from collections.abc import Callable

from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.orders.metrics import ORDERS_WAITING_FOR_BUDGET
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_budgets import OrderBudgetRepository, OrderLimits
from services.exit_qualification.storage.waiting_errors import WaitingErrorRepository
from shared.outbox.unit_of_work import UnitOfWork


class AccountErrors:
    """Keep the error of waiting exits in line with their accounts. Not thread-safe.

    Parameters
    ----------
    on_disconnected:
        Called in each pass with the id of each disconnected account. Such an account may be asked nothing any more:
        its last answer would otherwise be shown until it is connected again.
    anything_unsent:
        Returns whether there is an unsent exit; without any, none waits.
    """

    def __init__(
        self,
        open_unit: Callable[[], UnitOfWork],
        limits: OrderLimits,
        on_disconnected: Callable[[str], None] = lambda _: None,
        anything_unsent: Callable[[], bool] = lambda: True,
    ) -> None:
        self._open_unit = open_unit
        self._limits = limits
        self._on_disconnected = on_disconnected
        self._anything_unsent = anything_unsent

    def note_once(self) -> bool:
        """Run one pass; return False, because the next one comes after a wait."""
        is_unsent = self._anything_unsent()
        with self._open_unit() as uow:
            accounts = SwitchRepository(uow.connection).brokers()
            waiting = self._note(uow) if is_unsent else 0
            uow.commit()
        ORDERS_WAITING_FOR_BUDGET.set(waiting)
        for account in accounts:
            if account.status is BrokerStatus.DISCONNECTED:
                self._on_disconnected(account.user_broker_id)
        return False

    def _note(self, uow: UnitOfWork) -> int:
        """Note the errors of unsent exits; return how many wait for their account's budget."""
        WaitingErrorRepository(uow.connection).note_disconnected()
        budgets = OrderBudgetRepository(uow.connection, self._limits)
        budgets.note_waiting()
        return budgets.waiting()
