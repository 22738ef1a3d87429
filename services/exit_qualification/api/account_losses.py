"""Routes: loss limits of accounts, and the release of a held one. Every change is audited."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Self

from fastapi import Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from services.exit_qualification.account_loss_service import AccountLoss
from services.exit_qualification.api.context import Context, ExitApiContext
from shared.contracts.exits import Timestamp
from shared.contracts.trades import UserBrokerId
from shared.contracts.vocabulary import LossBasis
from shared.exit_rules.prices import Price
from shared.http.auth import Operator, Reader
from shared.http.declared_errors import declared
from shared.http.fields import Reason
from shared.http.idempotency import IdempotencyKey, answer_once
from shared.http.routing import api_router
from shared.money import Money
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act

router = api_router(prefix="/brokers/{user_broker_id}", tags=["accounts"])

BrokerPath = Annotated[UserBrokerId, Path()]


class PutLossLimit(BaseModel):
    """Loss limit of an account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss_limit: Price | None
    basis: LossBasis = LossBasis.START_OF_DAY
    reason: Reason


class ReleaseAccount(BaseModel):
    """Release of a held account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Reason


class AccountLossView(BaseModel):
    """Loss limit of an account with its profit and loss of the day, before charges; null where it never had a limit.

    `loss` counts from `opening_pnl` or `peak_pnl`, by the basis. `unpriced_trades` have no price yet and count as even.
    """

    user_broker_id: str
    loss_limit: Money | None = None
    basis: LossBasis | None = None
    trading_day: date | None = None
    realised_pnl: Money | None = None
    unrealised_pnl: Money | None = None
    opening_pnl: Money | None = None
    peak_pnl: Money | None = None
    loss: Money | None = None
    unpriced_trades: int | None = None
    entries_held_since: Timestamp | None
    entries_held_reason: str | None

    @classmethod
    def of(cls, account: AccountLoss) -> Self:
        """Return the view of an account."""
        return cls(
            user_broker_id=account.broker.user_broker_id,
            entries_held_since=account.broker.entries_held_since,
            entries_held_reason=account.broker.entries_held_reason,
            **_judged(account),
        )


@router.get("/loss-limit", responses=declared(404))
def loss_limit(user_broker_id: BrokerPath, context: Context, _: Reader) -> AccountLossView:
    """Return the loss limit of an account, judged by the prices of now."""
    with context.unit_of_work() as uow:
        return AccountLossView.of(context.account_losses.show(uow, user_broker_id))


@router.put("/loss-limit", responses=declared(404))
def put_loss_limit(
    user_broker_id: BrokerPath, body: PutLossLimit, context: Context, caller: Operator
) -> AccountLossView:
    """Set an account's loss limit for a trading day; null removes it.

    At this loss the account is held: trades at it are refused (409 `account_held`) and every open one exits with
    reason ACCOUNT_LOSS, until an operator releases it. Removing the limit releases nothing.
    """
    with context.unit_of_work() as uow:
        act = Act(caller.name, body.reason)
        changed = context.account_losses.put(uow, user_broker_id, body.loss_limit, body.basis, act)
        uow.commit()
    return AccountLossView.of(changed)


@router.post("/release", response_model=AccountLossView, responses=declared(404, 409))
def release(
    user_broker_id: BrokerPath, body: ReleaseAccount, context: Context, caller: Operator, key: IdempotencyKey = None
) -> JSONResponse:
    """Let trades be opened at a held account again; its loss counts from now.

    Written exits stay. Without a hold the answer is 409 `account_not_held`.
    """
    with context.unit_of_work() as uow:
        return answer_once(
            uow,
            scope=f"POST /brokers/{user_broker_id}/release {caller.name}",
            key=key,
            body=body,
            status=200,
            act=lambda: _release(uow, user_broker_id, context, Act(caller.name, body.reason)),
        )


def _release(uow: UnitOfWork, user_broker_id: str, context: ExitApiContext, act: Act) -> dict[str, Any]:
    return AccountLossView.of(context.account_losses.release(uow, user_broker_id, act)).model_dump(mode="json")


def _judged(account: AccountLoss) -> dict[str, Any]:
    limit = account.limit
    if limit is None:
        return {}
    return {
        "loss_limit": limit.limit,
        "basis": limit.basis,
        "trading_day": limit.day,
        "realised_pnl": limit.pnl.realised,
        "unrealised_pnl": limit.pnl.unrealised,
        "opening_pnl": limit.opening,
        "peak_pnl": limit.peak,
        "loss": limit.loss,
        "unpriced_trades": limit.pnl.unpriced,
    }
