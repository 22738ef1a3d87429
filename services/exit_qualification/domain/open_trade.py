"""Open trade as the engine needs it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from services.exit_qualification.domain.level_index import RuleKey
from shared.contracts.vocabulary import Direction, ExitReason, ProductType
from shared.exit_rules.registry import rule_of
from shared.exit_rules.rule import RuleState, Saved
from shared.instants import epoch_ms
from shared.money import to_units

Slot = tuple[ExitReason, int | None]
"""A rule within its trade: reason and leg."""

Facts = tuple[UUID, str, Direction, int, ProductType, str, int, int]
"""Facts of the entry: the fields of `OpenTrade` before its rules, in their order."""

NO_RULES: Final[Mapping[Slot, RuleState]] = MappingProxyType({})
NOTHING_SAVED: Final[Mapping[Slot, Saved]] = MappingProxyType({})
NO_LEGS: Final[Mapping[tuple[ExitReason, int], int]] = MappingProxyType({})
"""Shared by all trades: a million empty dicts take 64 MB."""


class EntryFacts(Protocol):
    """Facts of an entered trade as its event and a book have them: price in rupees, an aware time."""

    @property
    def trade_id(self) -> UUID: ...
    @property
    def symbol(self) -> str: ...
    @property
    def direction(self) -> Direction: ...
    @property
    def quantity(self) -> int: ...
    @property
    def product_type(self) -> ProductType: ...
    @property
    def user_broker_id(self) -> str: ...
    @property
    def entry_price(self) -> Decimal: ...
    @property
    def entered_at(self) -> datetime: ...


class OpenTrade(NamedTuple):
    """Trade that may exit. Prices in units of 1/10,000 rupee.

    A tuple: a frozen dataclass takes five times as long to make, too long for a load of a million trades.

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
    rules: Mapping[Slot, RuleState] = NO_RULES
    plan_version: int = 1
    entered_tick: int | None = None
    saved: Mapping[Slot, Saved] = NOTHING_SAVED
    leg_quantities: Mapping[tuple[ExitReason, int], int] = NO_LEGS

    @property
    def facts(self) -> Facts:
        """Return the facts of its entry."""
        return self[:8]

    def rule_keys(self) -> list[RuleKey]:
        """Return the rules of its plan, highest rank first."""
        return [RuleKey(self.trade_id, reason, leg) for reason, leg in self.rules]

    def has_dropped(self, reason: ExitReason, leg: int | None = None) -> bool:
        """Return whether a changed plan no longer has the rule; False for reasons outside plans."""
        changed = self.plan_version > 1 and rule_of(reason).planned
        return changed and (reason, leg) not in self.rules


def entered(facts: EntryFacts) -> OpenTrade:
    """Return an entered trade without rules."""
    return OpenTrade(
        facts.trade_id,
        facts.symbol,
        facts.direction,
        facts.quantity,
        facts.product_type,
        facts.user_broker_id,
        to_units(facts.entry_price),
        epoch_ms(facts.entered_at),
    )
