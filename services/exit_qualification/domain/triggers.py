"""Triggers: an exit rule of a trade as a price level, and the nearest of many levels at one comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sortedcontainers import SortedDict

from services.exit_qualification.domain.exit_conditions import PRICE_REASONS, Side, level_of, side_of
from services.exit_qualification.domain.open_trade import OpenTrade
from shared.contracts.vocabulary import ExitReason

ABOVE_ALL: Final = 2**63
BELOW_ALL: Final = -1
"""Stand for "no level": no price in units of a NUMERIC(18,4) gets there."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A reason of a trade, and the price in units from which on, to one side, it fires."""

    trade_id: UUID
    reason: ExitReason
    side: Side
    level: int


def triggers_of(trade: OpenTrade) -> dict[ExitReason, Trigger]:
    """Every price rule of a trade's plan, by reason, highest rank first."""
    return {
        reason: Trigger(trade.trade_id, reason, side_of(trade.direction, reason), level)
        for reason in PRICE_REASONS
        if (level := level_of(trade, reason)) is not None
    }


class ArmedTriggers:
    """The armed triggers of one symbol, sorted by level.

    `nearest_above` and `nearest_below` are the only prices at which anything can happen: strictly between them a
    price fires nothing, and that costs two comparisons however many triggers there are. Arming and disarming cost
    O(log n); firing costs O(log n) per level passed.
    """

    __slots__ = ("_above", "_below", "nearest_above", "nearest_below")

    def __init__(self) -> None:
        self._above: SortedDict[int, set[Trigger]] = SortedDict()
        self._below: SortedDict[int, set[Trigger]] = SortedDict()
        self.nearest_above = ABOVE_ALL
        self.nearest_below = BELOW_ALL

    def arm(self, trigger: Trigger) -> None:
        """Let a trigger fire from now on. Arming it twice is arming it once."""
        self._side(trigger.side).setdefault(trigger.level, set()).add(trigger)
        self._find_nearest()

    def disarm(self, trigger: Trigger) -> None:
        """Keep a trigger from firing; nothing if it was not armed."""
        levels = self._side(trigger.side)
        at_level = levels.get(trigger.level)
        if at_level is None:
            return
        at_level.discard(trigger)
        if not at_level:
            del levels[trigger.level]
            self._find_nearest()

    def fire(self, price: int) -> list[Trigger]:
        """Take out every trigger that a price in units reaches, in no order that means anything."""
        fired = [*self._pop_above(price), *self._pop_below(price)]
        self._find_nearest()
        return fired

    def _pop_above(self, price: int) -> Iterator[Trigger]:
        while self._above and self._above.peekitem(0)[0] <= price:
            yield from self._above.popitem(0)[1]

    def _pop_below(self, price: int) -> Iterator[Trigger]:
        while self._below and self._below.peekitem(-1)[0] >= price:
            yield from self._below.popitem(-1)[1]

    def _side(self, side: Side) -> SortedDict[int, set[Trigger]]:
        return self._above if side is Side.AT_OR_ABOVE else self._below

    def _find_nearest(self) -> None:
        self.nearest_above = self._above.peekitem(0)[0] if self._above else ABOVE_ALL
        self.nearest_below = self._below.peekitem(-1)[0] if self._below else BELOW_ALL
