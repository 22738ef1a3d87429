"""Consistency of a whole plan: pairs of rules without a price between them, plans without a rule, rules met at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.levels import Level, Side
from shared.exit_rules.rule import RuleState
from shared.money import from_units, money_text

States = Mapping[tuple[ExitReason, int | None], RuleState]
"""States at entry, by reason and leg."""


def contradictory_pairs(states: States, direction: Direction) -> list[str]:
    """Return every pair of rules of which one is met at any price; empty if there is none.

    A leg takes part in none: it leaves the rest of the trade open, and a stop may pass it once it is filled.
    """
    levels = [(str(reason), state.eventual) for (reason, leg), state in states.items() if leg is None]
    return [
        f"{one} at {_market(first, direction)} and {other} at {_market(second, direction)} leave no price at "
        f"which a {direction} trade stays open"
        for (one, first), (other, second) in combinations(levels, 2)
        if first is not None and second is not None and _cover_every_price(first, second)
    ]


def met_by(states: States, direction: Direction, price: int) -> list[str]:
    """Return the rules met by a market price in units."""
    return [
        f"{_name(*key)} at {_market(state.condition, direction)}"
        for key, state in states.items()
        if state.condition is not None and state.condition.is_reached(price * direction.sign)
    ]


def _cover_every_price(first: Level, second: Level) -> bool:
    if first.side is second.side:
        return False
    above, below = (first, second) if first.side is Side.AT_OR_ABOVE else (second, first)
    return above.price <= below.price


def _market(level: Level, direction: Direction) -> str:
    return money_text(from_units(level.price * direction.sign))


def _name(reason: ExitReason, leg: int | None) -> str:
    return str(reason) if leg is None else f"{reason} leg {leg}"
