"""Routes: corporate actions."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from services.trade_management.api.context import Context
from services.trade_management.corporate_action_service import AppliedAction
from services.trade_management.domain.adjustment import TradeTerms
from services.trade_management.storage.corporate_actions import CorporateActionRepository, StoredAction
from shared.contracts.corporate_actions import MOST_ACTIONS, CorporateAction
from shared.contracts.exits import Timestamp
from shared.contracts.vocabulary import CorporateActionKind
from shared.http.auth import Operator, Reader
from shared.http.declared_errors import declared
from shared.http.fields import Reason
from shared.http.routing import api_router
from shared.money import Money
from shared.postgres.audit import Act

router = api_router(prefix="/corporate-actions", tags=["corporate actions"])

DryRun = Annotated[bool, Field(strict=True, description="return the changes, and store nothing")]
SkipExitCheck = Annotated[
    bool, Field(strict=True, description="neither ask exit-api for live exits nor hold them; make sure there are none")
]


class ApplyCorporateActions(BaseModel):
    """Corporate actions to apply in their order; all or none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actions: list[CorporateAction] = Field(min_length=1, max_length=MOST_ACTIONS)
    reason: Reason
    dry_run: DryRun = False
    skip_exit_check: SkipExitCheck = False


class ReverseCorporateAction(BaseModel):
    """Request to restore the trades changed by an action."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Reason
    dry_run: DryRun = False
    skip_exit_check: SkipExitCheck = False


class TermsView(BaseModel):
    """Terms of a trade changed by an action."""

    model_config = ConfigDict(from_attributes=True)

    symbol: str
    quantity: int
    open_quantity: int
    entry_price: Money
    exit_plan: dict[str, object]


class AdjustmentView(BaseModel):
    """Trade before and after an action."""

    trade_id: UUID
    before: TermsView
    after: TermsView


class CorporateActionView(BaseModel):
    """Applied corporate action: of `shares_before` shares there are `shares_after`."""

    model_config = ConfigDict(from_attributes=True)

    action_id: UUID
    kind: CorporateActionKind
    symbol: str
    new_symbol: str
    shares_before: int
    shares_after: int
    effective_at: Timestamp
    applied_at: Timestamp
    reversed_at: Timestamp | None

    @classmethod
    def of(cls, action: StoredAction) -> Self:
        """Return the view of a stored action."""
        return cls.model_validate(action)


class AppliedActionView(CorporateActionView):
    """Action with its changed trades; `changed` is false if it was applied before."""

    changed: bool
    trades: list[AdjustmentView]


class CorporateActions(BaseModel):
    """The last actions, newest first."""

    items: list[CorporateActionView]


class AppliedActions(BaseModel):
    """Result of each action of the request."""

    items: list[AppliedActionView]


@router.get("")
def corporate_actions(
    context: Context, _: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> CorporateActions:
    """List applied corporate actions, newest first."""
    with context.unit_of_work() as uow:
        found = CorporateActionRepository(uow.connection).newest(limit)
    return CorporateActions(items=[CorporateActionView.of(action) for action in found])


@router.post("/apply")
def apply(body: ApplyCorporateActions, context: Context, caller: Operator) -> AppliedActions:
    """Adjust the open trades entered before each action; their exits follow `TradeAdjusted`.

    Refused while an exit of these trades is live, or a fill not booked. From this look until the exits know the new
    terms, no order of them is sent. An action applied before changes nothing.
    """
    act = Act(caller.name, body.reason)
    service, check_exits = context.corporate_actions, not body.skip_exit_check
    with service.holding(check_exits=check_exits, dry_run=body.dry_run) as holds, context.unit_of_work() as uow:
        found = service.apply(uow, body.actions, act, holds)
        if not body.dry_run:
            uow.commit()
    return AppliedActions(items=[_view(each) for each in found])


@router.post("/{action_id}/reverse", responses=declared(404, 409))
def reverse(action_id: UUID, body: ReverseCorporateAction, context: Context, caller: Operator) -> AppliedActionView:
    """Restore the trades changed by an action, except those closed since; refused if one changed since."""
    act = Act(caller.name, body.reason)
    service, check_exits = context.corporate_actions, not body.skip_exit_check
    with service.holding(check_exits=check_exits, dry_run=body.dry_run) as holds, context.unit_of_work() as uow:
        found = service.reverse(uow, action_id, act, holds)
        if not body.dry_run:
            uow.commit()
    return _view(found)


def _view(applied: AppliedAction) -> AppliedActionView:
    return AppliedActionView(
        **CorporateActionView.of(applied.action).model_dump(),
        changed=applied.changed,
        trades=[
            AdjustmentView(trade_id=each.trade_id, before=_terms(each.before), after=_terms(each.after))
            for each in applied.adjustments
        ],
    )


def _terms(terms: TradeTerms) -> TermsView:
    return TermsView.model_validate(terms)
