"""Open trade as the engine needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from services.exit_qualification.domain.level_index import RuleKey
from shared.contracts.vocabulary import Direction, ExitReason, ProductType
from shared.exit_rules.registry import rule_of
from shared.exit_rules.rule import RuleState, Saved


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTrade:
    """Trade that may exit. Prices in units of 1/10,000 rupee.

    Attributes
    ----------
    entered_at_ms:
        Milliseconds since 1970.
    rules:
        State of each rule of its plan at entry, by reason and leg.
    plan_version:
        Version of the plan, raised by every change.
    entered_tick:
        Number of ticks of its symbol at the first evaluation of the plan; None before it.
    saved:
        Checkpoint state of each rule moved since.
    leg_quantities:
        Quantity of each leg, by reason and leg.
    """

    trade_id: UUID
    symbol: str
    direction: Direction
    quantity: int
    product_type: ProductType
    user_broker_id: str
    entry_price: int
    entered_at_ms: int
    rules: Mapping[tuple[ExitReason, int | None], RuleState] = field(default_factory=dict)
    plan_version: int = 1
    entered_tick: int | None = None
    saved: Mapping[tuple[ExitReason, int | None], Saved] = field(default_factory=dict)
    leg_quantities: Mapping[tuple[ExitReason, int], int] = field(default_factory=dict)

    def rule_keys(self) -> list[RuleKey]:
        """Return the rules of its plan, highest rank first."""
        return [RuleKey(self.trade_id, reason, leg) for reason, leg in self.rules]

    def has_dropped(self, reason: ExitReason, leg: int | None = None) -> bool:
        """Return whether a changed plan no longer has the rule; False for reasons that no plan has."""
        changed = self.plan_version > 1 and rule_of(reason).planned
        return changed and (reason, leg) not in self.rules
