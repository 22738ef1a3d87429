"""Routes: exit intents."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from fastapi.responses import JSONResponse

from services.exit_qualification.api.context import Context, ExitApiContext
from services.exit_qualification.api.views import (
    Gates,
    IntentDetail,
    IntentPage,
    IntentView,
    ManualExit,
    PendingCountsView,
    PendingPage,
)
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import PENDING_VIEW
from services.exit_qualification.manual_exit_service import ExitInProgress
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.exit_lists import ExitFilter, ExitLists
from services.exit_qualification.storage.exit_signals import ExitSignalRepository
from services.exit_qualification.storage.pending_counts import pending_counts
from shared.contracts.exits import Timestamp
from shared.contracts.trades import Symbol, UserBrokerId
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.errors import InvalidInput
from shared.http.auth import Operator, Reader
from shared.http.declared_errors import declared
from shared.http.fields import OrderId
from shared.http.idempotency import IdempotencyKey, answer_once
from shared.http.paging import Keyset, Page, PageCursor, PageLimit
from shared.http.routing import api_router
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act

router = api_router(prefix="/exits", tags=["exits"])


def _sort_key(intent: ExitIntent) -> tuple[Timestamp, UUID]:
    return intent.created_at, intent.intent_id


INTENTS = Keyset("exits", tuple[Timestamp, UUID], _sort_key)
NEWEST: Keyset[ExitIntent, UUID] = Keyset("exits.newest", UUID, lambda intent: intent.intent_id)
WhichGates = Annotated[Gates, Query(description="gates in the answer: all, or only those not passed")]
WithCounts = Annotated[bool, Query(description="count them by status too, whatever status is asked for")]
LONGEST_AGE_S = 10 * 366 * 86_400

Order = Annotated[Literal["oldest", "newest"], Query(description="order of the exits")]
OlderThan = Annotated[
    float | None, Query(ge=0, le=LONGEST_AGE_S, allow_inf_nan=False, description="only exits of at least this age")
]


@router.get("/pending")
def pending_exits(
    context: Context,
    _: Reader,
    symbol: Symbol | None = None,
    user_broker_id: UserBrokerId | None = None,
    status: IntentStatus | None = None,
    exit_reason: ExitReason | None = None,
    older_than_s: OlderThan = None,
    gates: WhichGates = "all",
    counts: WithCounts = False,
    cursor: PageCursor = None,
    limit: PageLimit = 100,
) -> PendingPage:
    """List live intents, oldest first."""
    if status is not None and status not in PENDING_VIEW:
        raise InvalidInput(
            f"{status} is not a pending status; use `GET /exits` for ended intents", pending=sorted(PENDING_VIEW)
        )
    wanted = ExitFilter(
        symbol=symbol,
        user_broker_id=user_broker_id,
        status=status,
        exit_reason=exit_reason,
        created_until=None if older_than_s is None else context.clock.now() - timedelta(seconds=older_than_s),
    )
    with context.unit_of_work() as uow:
        found = ExitLists(uow.connection).pending(wanted, limit + 1, INTENTS.after(cursor))
        counted = pending_counts(uow.connection, wanted) if counts else None
    page = _page(INTENTS.page(found, limit), context, gates)
    return PendingPage(
        items=page.items, next=page.next, counts=None if counted is None else PendingCountsView(**asdict(counted))
    )


@router.get("")
def exits(
    context: Context,
    _: Reader,
    symbol: Symbol | None = None,
    user_broker_id: UserBrokerId | None = None,
    status: IntentStatus | None = None,
    trade_id: UUID | None = None,
    exit_reason: ExitReason | None = None,
    order_id: OrderId | None = None,
    order: Order = "oldest",
    gates: WhichGates = "all",
    cursor: PageCursor = None,
    limit: PageLimit = 100,
) -> IntentPage:
    """List every intent, including ended ones, oldest first unless the newest are asked for."""
    wanted = ExitFilter(symbol, user_broker_id, status, trade_id, exit_reason, order_id)
    with context.unit_of_work() as uow:
        lists = ExitLists(uow.connection)
        if order == "newest":
            found = NEWEST.page(lists.newest(wanted, limit + 1, NEWEST.after(cursor)), limit)
        else:
            found = INTENTS.page(lists.oldest(wanted, limit + 1, INTENTS.after(cursor)), limit)
    return _page(found, context, gates)


@router.get("/{intent_id:uuid}", responses=declared(404))
def one_exit(intent_id: UUID, context: Context, _: Reader) -> IntentDetail:
    """Return one intent with every gate's verdict, the time of its detection and every fill."""
    with context.unit_of_work() as uow:
        intent = ExitIntentRepository(uow.connection).get(intent_id)
        detected_at = ExitSignalRepository(uow.connection).detected_at(intent.signal_id)
        fills = ExitFillRepository(uow.connection).of_intent(intent_id)
    return IntentDetail.with_fills(intent, detected_at, fills, context.clock.now())


@router.post("", status_code=202, response_model=IntentView, responses=declared(404, 409))
def manual_exit(body: ManualExit, context: Context, caller: Operator, key: IdempotencyKey = None) -> JSONResponse:
    """Exit a trade now. A waiting exit is superseded; if one was sent already, the answer is 409 with its intent.

    If the rollout does not execute exits of the trade, the answer is 409 `not_executable`. With `record_only` the
    exit is written and published but never executed.
    """
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
        intent = context.manual_exits.exit(
            uow, body.trade_id, Act(actor, body.reason_note), record_only=body.record_only
        )
    except ExitInProgress as error:
        error.details["intent"] = _view(error.intent, context)
        raise
    return _view(intent, context)


def _view(intent: ExitIntent, context: ExitApiContext) -> dict[str, Any]:
    return IntentView.of(intent, context.clock.now()).model_dump(mode="json")


def _page(page: Page[ExitIntent], context: ExitApiContext, gates: Gates) -> IntentPage:
    now = context.clock.now()
    return IntentPage(items=[IntentView.of(intent, now, gates) for intent in page.items], next=page.next)
