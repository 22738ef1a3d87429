"""Accounts with a refused access token: marked by the first refusal, asked about until the broker takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.port import Brokers, BrokerUnavailable
from services.exit_qualification.storage.account_tokens import AccountTokenRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.clock import Clock
from shared.outbox.unit_of_work import UnitOfWork

ASK_EVERY_S: Final = 2.0


class TokenWatch:
    """Keeps the refusals of access tokens on their accounts. Not thread-safe.

    Parameters
    ----------
    anything_unsent:
        Returns whether there is an unsent exit; without any, none was refused.
    """

    def __init__(
        self,
        open_unit: Callable[[], UnitOfWork],
        brokers: Brokers,
        clock: Clock,
        anything_unsent: Callable[[], bool] = lambda: True,
    ) -> None:
        self._open_unit = open_unit
        self._brokers = brokers
        self._clock = clock
        self._anything_unsent = anything_unsent
        self._next_s = 0.0

    def look_once(self) -> bool:
        """Mark accounts with refused exits, and release those with an accepted token; return False."""
        is_unsent = self._anything_unsent()
        with self._open_unit() as uow:
            if is_unsent:
                AccountTokenRepository(uow.connection).mark_refused()
            accounts = SwitchRepository(uow.connection).brokers()
            uow.commit()
        refused = [each for each in accounts if each.token_refused and each.status is BrokerStatus.CONNECTED]
        if refused and self._clock.monotonic() >= self._next_s:
            self._next_s = self._clock.monotonic() + ASK_EVERY_S
            for account in refused:
                self._ask(account)
        return False

    def _ask(self, account: UserBroker) -> None:
        try:
            self._brokers.port(account).orders()
        except BrokerUnavailable:
            return  # the port has reported it; asked again after ASK_EVERY_S
        with self._open_unit() as uow:
            AccountTokenRepository(uow.connection).mark_taken(account.user_broker_id)
            uow.commit()
