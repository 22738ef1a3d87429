"""Loss limits of accounts as operators set them, and the release of a held account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.exit_qualification.control_events import user_broker_changed
from services.exit_qualification.domain.account_loss import AccountPnl, LossLimit
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.storage.account_losses import AccountLossRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.clock import trading_day
from shared.contracts.vocabulary import LossBasis
from shared.errors import Conflict
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act, audit


class NotHeld(Conflict):
    """The account's entries are not held, so there is nothing to release."""

    code = "account_not_held"


@dataclass(frozen=True, slots=True)
class AccountLoss:
    """Account with its limit, judged now; None: it never had one."""

    broker: UserBroker
    limit: LossLimit | None


class AccountLossService:
    """Sets limits and releases accounts in the caller's unit of work; the caller commits. Every change is audited."""

    def show(self, uow: UnitOfWork, user_broker_id: str) -> AccountLoss:
        """Return an account with its limit, judged by the prices of now; nothing is written.

        Raises
        ------
        NotFound
            The user broker does not exist.
        """
        broker = SwitchRepository(uow.connection).broker(user_broker_id)
        stored = AccountLossRepository(uow.connection).find(user_broker_id)
        return AccountLoss(broker, None if stored is None else stored.judged(*_now(uow, user_broker_id)))

    def put(
        self, uow: UnitOfWork, user_broker_id: str, limit: Decimal | None, basis: LossBasis, act: Act
    ) -> AccountLoss:
        """Set or remove the limit of an account; the starting point of the day's loss stays.

        Raises
        ------
        NotFound
            The user broker does not exist.
        """
        losses = AccountLossRepository(uow.connection)
        broker = SwitchRepository(uow.connection).broker(user_broker_id)
        before, (day, pnl) = losses.lock(user_broker_id), _now(uow, user_broker_id)
        if before is None or before.limit is None:
            after = LossLimit.first(user_broker_id, limit, basis, day, pnl)
        else:
            after = before.judged(day, pnl).changed(limit, basis)
        losses.save([after])
        audit(uow.connection, act, "loss_limit.put", user_broker_id, None if before is None else before.facts(),
              after.facts())  # fmt: skip
        return AccountLoss(broker, after)

    def release(self, uow: UnitOfWork, user_broker_id: str, act: Act) -> AccountLoss:
        """Let trades be opened at a held account again; its loss counts from now.

        Written exits stay; an operator withdraws the unsent ones.

        Raises
        ------
        NotFound
            The user broker does not exist.
        NotHeld
            Its entries are not held.
        """
        switches, losses = SwitchRepository(uow.connection), AccountLossRepository(uow.connection)
        switches.broker(user_broker_id)
        stored = losses.lock(user_broker_id)
        after = None if stored is None else stored.judged(*_now(uow, user_broker_id)).restarted()
        if not switches.release_entries(user_broker_id, act, {} if after is None else after.facts()):
            raise NotHeld(f"account {user_broker_id} is not held")
        if after is not None:
            losses.save([after])
        broker = switches.broker(user_broker_id)
        uow.emit(user_broker_changed(broker, OrderQueues(uow.connection).now()))
        return AccountLoss(broker, after)


def _now(uow: UnitOfWork, user_broker_id: str) -> tuple[date, AccountPnl]:
    """Return the trading day and the account's profit and loss."""
    day = trading_day(OrderQueues(uow.connection).now())
    return day, AccountLossRepository(uow.connection).pnl([user_broker_id], day)[user_broker_id]
