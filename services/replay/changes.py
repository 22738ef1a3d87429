"""Changes of a trade during a replay, from payloads of `trades.v1`: other plans and corporate actions."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.contracts.exits import Timestamp
from shared.contracts.trades import TradeAdjusted
from shared.exit_rules.plan import ExitPlan
from shared.instants import epoch_ms

_NEW_PLAN: Final = frozenset({"plan_version", "changed_at"})
_ADJUSTED: Final = frozenset({"adjusted_at", "shares_after"})
"""Fields to tell the payloads by."""


@dataclass(frozen=True, slots=True)
class PlanChange:
    """Plan in place of another from a time on, in milliseconds since 1970."""

    at_ms: int
    version: int
    plan: ExitPlan


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Corporate action, followed by the engine from a time on, in milliseconds since 1970."""

    at_ms: int
    told: TradeAdjusted


Change = PlanChange | Adjustment


class _Arrival(BaseModel):
    """Arrival of an event at the engine, if it was later."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    arrived_at: Timestamp | None = None


class _NewPlan(_Arrival):
    """Payload of `TradeExitPlanChanged`."""

    trade_id: UUID
    plan_version: int
    exit_plan: ExitPlan
    changed_at: Timestamp


def is_change(fields: Set[str]) -> bool:
    """Return whether these are the fields of a change."""
    return fields >= _NEW_PLAN or fields >= _ADJUSTED


def read_change(fields: Any) -> tuple[UUID, Change]:
    """Return the trade of a payload and its change; pydantic's ValidationError if the payload is not valid."""
    if fields.keys() >= _ADJUSTED:
        told, arrival = TradeAdjusted.model_validate(fields), _Arrival.model_validate(fields)
        return told.trade_id, Adjustment(epoch_ms(arrival.arrived_at or told.adjusted_at), told)
    line = _NewPlan.model_validate(fields)
    at_ms = epoch_ms(line.arrived_at or line.changed_at)
    return line.trade_id, PlanChange(at_ms, line.plan_version, line.exit_plan)
