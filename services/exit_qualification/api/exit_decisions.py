"""Routes: operators' decisions about exits; withdrawals and manual exits by a filter."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi.responses import JSONResponse

from services.exit_qualification.api.context import Context, ExitApiContext
from services.exit_qualification.api.views import (
    BulkExit,
    BulkExitAnswer,
    BulkExitItem,
    BulkWithdrawal,
    BulkWithdrawalAnswer,
    BulkWithdrawalItem,
    IntentView,
    ResolveExit,
    WithdrawExit,
)
from services.exit_qualification.bulk_exit_service import BulkItem
from services.exit_qualification.domain.resolution import Decision, KnownFill
from services.exit_qualification.exit_withdrawal_service import Withdrawal
from services.exit_qualification.storage.exit_lists import ExitFilter
from services.exit_qualification.storage.open_trades import TradeFilter
from shared.http.auth import Operator
from shared.http.declared_errors import declared
from shared.http.idempotency import IdempotencyKey, answer_once
from shared.http.routing import api_router
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act

router = api_router(prefix="/exits", tags=["exits"])


@router.post("/bulk", response_model=BulkExitAnswer, responses=declared(409))
def bulk_exit(body: BulkExit, context: Context, caller: Operator, key: IdempotencyKey = None) -> JSONResponse:
    """Exit every open trade matching the filter now, or with `dry_run` list the effects.

    Skipped, with the reason: trades with a sent or manual exit, not executed by the rollout, or locked.
    """
    with context.unit_of_work() as uow:
        return answer_once(
            uow,
            scope=f"POST /exits/bulk {caller.name}",
            key=key,
            body=body,
            status=200,
            act=lambda: _bulk(uow, body, context, caller.name),
        )


@router.post("/{intent_id}/resolve", response_model=IntentView, responses=declared(404, 409))
def resolve_exit(
    intent_id: UUID, body: ResolveExit, context: Context, caller: Operator, key: IdempotencyKey = None
) -> JSONResponse:
    """Decide an exit when its broker can no longer be asked: `filled`, `failed` or `not_placed`.

    Only an UNKNOWN, PLACED or PARTIALLY_FILLED exit can be decided (409 `not_resolvable`). The decision is
    audited and published; the trade's remaining quantity can exit again.
    """
    with context.unit_of_work() as uow:
        return answer_once(
            uow,
            scope=f"POST /exits/{intent_id}/resolve {caller.name}",
            key=key,
            body=body,
            status=200,
            act=lambda: _resolve(uow, intent_id, body, context, caller.name),
        )


@router.post("/{intent_id}/withdraw", response_model=IntentView, responses=declared(404, 409))
def withdraw_exit(
    intent_id: UUID, body: WithdrawExit, context: Context, caller: Operator, key: IdempotencyKey = None
) -> JSONResponse:
    """Cancel an unsent exit. A rule of the trade's plan may exit it again after its cooldown."""
    with context.unit_of_work() as uow:
        return answer_once(
            uow,
            scope=f"POST /exits/{intent_id}/withdraw {caller.name}",
            key=key,
            body=body,
            status=200,
            act=lambda: _withdraw(uow, intent_id, body, context, caller.name),
        )


@router.post("/withdraw/bulk", response_model=BulkWithdrawalAnswer, responses=declared(409))
def bulk_withdraw(body: BulkWithdrawal, context: Context, caller: Operator, key: IdempotencyKey = None) -> JSONResponse:
    """Cancel every unsent exit matching the filter, or with `dry_run` list the effects.

    Skipped, with the reason: exits already sent, or locked. Rules of the trades' plans may exit them again.
    """
    with context.unit_of_work() as uow:
        return answer_once(
            uow,
            scope=f"POST /exits/withdraw/bulk {caller.name}",
            key=key,
            body=body,
            status=200,
            act=lambda: _bulk_withdraw(uow, body, context, caller.name),
        )


def _resolve(
    uow: UnitOfWork, intent_id: UUID, body: ResolveExit, context: ExitApiContext, actor: str
) -> dict[str, Any]:
    fills = tuple(KnownFill(**dict(fill)) for fill in body.fills)
    decision = Decision(body.resolution, fills, body.broker_order_id)
    resolved = context.resolutions.resolve(uow, intent_id, decision, Act(actor, body.reason))
    return IntentView.of(resolved, context.clock.now()).model_dump(mode="json")


def _withdraw(
    uow: UnitOfWork, intent_id: UUID, body: WithdrawExit, context: ExitApiContext, actor: str
) -> dict[str, Any]:
    withdrawn = context.withdrawals.withdraw(uow, intent_id, Act(actor, body.reason))
    return IntentView.of(withdrawn, context.clock.now()).model_dump(mode="json")


def _bulk(uow: UnitOfWork, body: BulkExit, context: ExitApiContext, actor: str) -> dict[str, Any]:
    wanted = TradeFilter(body.symbol, body.product_type, body.user_broker_id)
    found = context.bulk_exits.exit(uow, wanted, Act(actor, body.reason_note), dry_run=body.dry_run)
    exits = sum(item.skipped is None for item in found)
    answer = BulkExitAnswer(dry_run=body.dry_run, exits=exits, items=[_item(item) for item in found])
    return answer.model_dump(mode="json")


def _item(item: BulkItem) -> BulkExitItem:
    trade = item.trade
    return BulkExitItem(
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        direction=trade.direction,
        product_type=trade.product_type,
        user_broker_id=trade.user_broker_id,
        quantity=trade.quantity,
        skipped=item.skipped,
        intent_id=None if item.intent is None else item.intent.intent_id,
    )


def _bulk_withdraw(uow: UnitOfWork, body: BulkWithdrawal, context: ExitApiContext, actor: str) -> dict[str, Any]:
    wanted = ExitFilter(symbol=body.symbol, user_broker_id=body.user_broker_id, exit_reason=body.exit_reason)
    found = context.withdrawals.withdraw_all(uow, wanted, Act(actor, body.reason), dry_run=body.dry_run)
    withdrawn = sum(item.skipped is None for item in found)
    items = [_withdrawal(item) for item in found]
    return BulkWithdrawalAnswer(dry_run=body.dry_run, withdrawn=withdrawn, items=items).model_dump(mode="json")


def _withdrawal(item: Withdrawal) -> BulkWithdrawalItem:
    values = {name: getattr(item.intent, name) for name in BulkWithdrawalItem.model_fields if name != "skipped"}
    return BulkWithdrawalItem(**values, skipped=item.skipped)
