"""TARGET: take the profit at a price, or in legs at several prices."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.brick_plan import BrickFields, confirmed
from shared.exit_rules.fixed_level import fixed_above
from shared.exit_rules.ladder import (
    AfterLegs,
    TargetLeg,
    Targets,
    ladder_contradictions,
    read_after_legs,
    read_targets,
    scaled_after_legs,
    scaled_legs,
    size_contradictions,
    sized,
)
from shared.exit_rules.prices import Price
from shared.exit_rules.rule import ExitRule, PlanOption, Position, RuleState, on_profit_side
from shared.exit_rules.scale import PlanScale
from shared.money import money_text, to_units


class TargetFields(BrickFields):
    """Where the profit is taken: whole at `target`, or in the legs of `targets`, nearest first."""

    target: Price | None = None
    targets: Targets | None = None
    after_leg: AfterLegs | None = None


class Target(ExitRule[TargetFields]):
    """Exit at or beyond the target, or each leg at or beyond its price."""

    reason = ExitReason.TARGET
    toward = 1
    options = (
        PlanOption("target", ("target",), "Exit in profit at this price."),
        PlanOption(
            "targets",
            ("targets",),
            "Exit in legs, nearest first: PRICE:QUANTITY or PRICE:PERCENT%, e.g. 1010:50,1020:25%.",
            read=read_targets,
        ),
        PlanOption(
            "after-leg",
            ("after_leg",),
            "Move the stop once a leg is filled: LEG:break_even or LEG:PRICE, e.g. 1:break_even,2:1010.",
            read=read_after_legs,
        ),
    )

    def start(self, plan: TargetFields, position: Position) -> Mapping[int | None, RuleState]:
        """Return one state for the whole remainder, or one for each leg."""
        whole: dict[int | None, RuleState] = (
            {} if plan.target is None else {None: self._state(plan.target, plan, position)}
        )
        if plan.targets is None:
            return whole
        return whole | {leg: self._state(each.price, plan, position) for leg, each in enumerate(plan.targets, 1)}

    def leg_quantities(self, plan: TargetFields, quantity: int) -> Mapping[int, int]:
        """Return the quantity of each leg."""
        if plan.targets is None:
            return {}
        return {number: leg.quantity or 0 for number, leg in enumerate(sized(plan.targets, quantity), 1)}

    def sized(self, plan: TargetFields, quantity: int, lot: int) -> Mapping[str, object]:
        """Return the legs with percentages as quantities."""
        return {} if plan.targets is None else {"targets": sized(plan.targets, quantity, lot)}

    def scaled(self, plan: TargetFields, scale: PlanScale) -> Mapping[str, object]:
        """Return the target, the legs and the stops after them at their new prices and quantities."""
        fields: dict[str, object] = {}
        if plan.target is not None:
            fields["target"] = scale.level(plan.target)
        if plan.targets is not None:
            fields["targets"] = scaled_legs(plan.targets, scale)
        if plan.after_leg is not None:
            fields["after_leg"] = scaled_after_legs(plan.after_leg, scale)
        return fields

    def stop_after(self, plan: TargetFields, leg: int, entry_price: Decimal) -> Decimal | None:
        """Return the stop set by `after_leg`."""
        change = (plan.after_leg or {}).get(leg)
        return None if change is None else change.stop_price(entry_price)

    def prices(self, plan: TargetFields) -> Mapping[str, Decimal]:
        """Return the target, the legs' prices and the stops after them."""
        named = {} if plan.target is None else {"target": plan.target}
        named |= {f"targets leg {number}": leg.price for number, leg in enumerate(plan.targets or (), 1)}
        stops = {number: change.stop for number, change in (plan.after_leg or {}).items()}
        return named | {f"after_leg {leg}": stop for leg, stop in stops.items() if isinstance(stop, Decimal)}

    def contradictions(self, plan: TargetFields, direction: Direction, entry_price: Decimal) -> list[str]:
        """Reject targets on the loss side."""
        named = {"target": plan.target} if plan.target is not None else {}
        named |= {f"targets leg {number}": leg.price for number, leg in enumerate(plan.targets or (), 1)}
        return [
            f"{name} {money_text(price)} is not on the profit side of a {direction} entry at {money_text(entry_price)}"
            for name, price in named.items()
            if not on_profit_side(price, direction, entry_price)
        ]

    def inconsistencies(self, plan: TargetFields, direction: Direction, entry_price: Decimal) -> list[str]:
        """Reject both forms together, legs out of order, and stops met at a leg's price."""
        if plan.target is not None and plan.targets is not None:
            return ["give `target` for the whole trade or `targets` for its legs, not both"]
        return list(ladder_contradictions(plan.targets or (), plan.after_leg or {}, direction, entry_price))

    def size_contradictions(self, plan: TargetFields, quantity: int, lot: int) -> list[str]:
        """Reject empty legs, legs of broken lots, and legs of more than the trade together."""
        return list(size_contradictions(plan.targets or (), quantity, lot))

    def filled_leg_contradictions(
        self, before: TargetFields, after: TargetFields, filled: Mapping[int, int]
    ) -> list[str]:
        """Reject a change of legs with fills, and a new effect of a leg filled already: it would never come."""
        known, wanted = dict(enumerate(before.targets or (), 1)), dict(enumerate(after.targets or (), 1))
        over = {leg for leg, quantity in filled.items() if leg in known and _is_over(known[leg], quantity)}
        effects = before.after_leg or {}
        return [
            f"targets: leg {leg} has fills and cannot change"
            for leg in sorted(filled)
            if leg in known and wanted.get(leg) != known[leg]
        ] + [
            f"after_leg {leg}: the leg is filled already; change stop_loss instead"
            for leg, effect in sorted((after.after_leg or {}).items())
            if leg in over and effect != effects.get(leg)
        ]

    def _state(self, price: Decimal, plan: TargetFields, position: Position) -> RuleState:
        state = fixed_above(position.profit_price(to_units(price)))
        return confirmed(state, plan, position, toward=self.toward)


def _is_over(leg: TargetLeg, filled: int) -> bool:
    return leg.quantity is not None and leg.quantity <= filled
