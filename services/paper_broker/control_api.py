"""Control API of paper trading, under ``/paper``: fault rules of the token's account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from services.paper_broker.desk import AtDesk, Holder
from services.paper_broker.faults import FaultRequest, FaultRule
from services.paper_broker.kite_answers import success
from services.paper_broker.kite_errors import KiteError
from services.paper_broker.kite_format import Json

router = APIRouter(prefix="/paper", tags=["paper"])

RuleId = Annotated[int, Path(ge=1, lt=2**63)]


@router.get("/faults")
def list_faults(holder: Holder, desk: AtDesk) -> Response:
    """List the active rules, oldest first."""
    with desk.ledger.read() as books:
        return success([_rule(rule) for rule in books.faults.in_force(holder.user_id)])


@router.post("/faults")
def add_fault(wanted: FaultRequest, holder: Holder, desk: AtDesk) -> Response:
    """Add a rule; among rules of the same kind, the oldest is used up first."""
    with desk.ledger.write() as books:
        return success({"rule_id": books.faults.add(holder.user_id, wanted)})


@router.delete("/faults")
def clear_faults(holder: Holder, desk: AtDesk) -> Response:
    """Remove every rule."""
    with desk.ledger.write() as books:
        return success({"removed": books.faults.remove(holder.user_id)})


@router.delete("/faults/{rule_id}")
def remove_fault(rule_id: RuleId, holder: Holder, desk: AtDesk) -> Response:
    """Remove one rule."""
    with desk.ledger.write() as books:
        removed = books.faults.remove(holder.user_id, rule_id)
    if not removed:
        raise KiteError("InputException", "No such rule.", 404)
    return success({"removed": removed})


def _rule(rule: FaultRule) -> Json:
    return {
        "rule_id": rule.rule_id,
        "symbol": rule.symbol,
        "remaining": rule.remaining,
        "effect": rule.effect.model_dump(mode="json"),
    }
