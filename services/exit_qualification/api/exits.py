"""Routes: exit intents."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from services.exit_qualification.api.context import Context, ExitApiContext
from services.exit_qualification.api.views import IntentDetail, IntentPage, IntentView, ManualExit
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import PENDING_VIEW
from services.exit_qualification.manual_exit_service import ExitInProgress
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from shared.audit import Act
from shared.clock import rfc3339
from shared.contracts.trades import Symbol, UserBrokerId
from shared.contracts.vocabulary import IntentStatus
from shared.errors import InvalidInput
from shared.http.auth import Operator, Reader
from shared.http.idempotency import IdempotencyKey, answer_once
from shared.http.paging import PageCursor, PageLimit, decode_cursor, encode_cursor
from shared.unit_of_work import UnitOfWork

router = APIRouter(prefix="/exits", tags=["exits"])


@router.get("/pending")
def pending_exits(
    context: Context,
    _: Reader,
    symbol: Symbol | None = None,
    user_broker_id: UserBrokerId | None = None,
    status: IntentStatus | None = None,
    cursor: PageCursor = None,
    limit: PageLimit = 100,
) -> IntentPage:
    """Intents that have not ended, oldest first."""
    if status is not None and status not in PENDING_VIEW:
        raise InvalidInput(f"{status} is not a pending status", pending=sorted(PENDING_VIEW))
    with context.unit_of_work() as uow:
        found = ExitIntentRepository(uow.connection).find_pending(
            symbol=symbol, user_broker_id=user_broker_id, status=status, after=_after(cursor), limit=limit + 1
        )
    return _page(found, limit, context)


@router.get("")
def exits(
    context: Context,
    _: Reader,
    symbol: Symbol | None = None,
    user_broker_id: UserBrokerId | None = None,
    status: IntentStatus | None = None,
    trade_id: UUID | None = None,
    cursor: PageCursor = None,
    limit: PageLimit = 100,
) -> IntentPage:
    """Every intent, ended ones too, oldest first."""
    with context.unit_of_work() as uow:
        found = ExitIntentRepository(uow.connection).find(
            symbol=symbol,
            user_broker_id=user_broker_id,
            status=status,
            trade_id=trade_id,
            after=_after(cursor),
            limit=limit + 1,
        )
    return _page(found, limit, context)


@router.get("/{intent_id}")
def one_exit(intent_id: UUID, context: Context, _: Reader) -> IntentDetail:
    """One intent with every gate's verdict and every fill."""
    with context.unit_of_work() as uow:
        intent = ExitIntentRepository(uow.connection).get(intent_id)
        fills = ExitFillRepository(uow.connection).of_intent(intent_id)
    return IntentDetail.with_fills(intent, fills, context.clock.now())


@router.post("", status_code=202, response_model=IntentView)
def manual_exit(body: ManualExit, context: Context, caller: Operator, key: IdempotencyKey = None) -> JSONResponse:
    """Exit a trade now. A waiting exit gives way; one that was sent is answered 409 with that intent."""
    with context.unit_of_work() as uow:
        return answer_once(
            uow,
            scope=f"POST /exits {caller.name}",
            key=key,
            body=body,
            status=202,
            act=lambda: _exit_manually(uow, body, context, caller.name),
        )


def _exit_manually(uow: UnitOfWork, body: ManualExit, context: ExitApiContext, actor: str) -> dict[str, Any]:
    try:
        intent = context.manual_exits.exit(uow, body.trade_id, Act(actor, body.reason_note))
    except ExitInProgress as error:
        error.details["intent"] = _view(error.intent, context)
        raise
    return _view(intent, context)


def _view(intent: ExitIntent, context: ExitApiContext) -> dict[str, Any]:
    return IntentView.of(intent, context.clock.now()).model_dump(mode="json")


def _after(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    created_at, intent_id = decode_cursor(cursor, 2)
    try:
        return datetime.fromisoformat(created_at), UUID(intent_id)
    except ValueError as error:
        raise InvalidInput("not a cursor of this list") from error


def _page(found: list[ExitIntent], limit: int, context: ExitApiContext) -> IntentPage:
    """The page of what was found, one more than it holds if another page follows."""
    now, shown = context.clock.now(), found[:limit]
    last = shown[-1] if len(found) > limit else None
    return IntentPage(
        items=[IntentView.of(intent, now) for intent in shown],
        next=None if last is None else encode_cursor([rfc3339(last.created_at), str(last.intent_id)]),
    )
