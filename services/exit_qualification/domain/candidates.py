"""Results of the engine: trades qualified to exit, with reasons. The engine changes no trade and sends no order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, NamedTuple, Self
from uuid import UUID

from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_trade import OpenTrade
from shared.contracts.vocabulary import ExitReason
from shared.tick_clock import TAKEN, TickOrder


class BrickCount(NamedTuple):
    """Consecutive bricks formed for a condition, and the number it needs."""

    counted: int
    needed: int


@dataclass(frozen=True, slots=True)
class ExitCandidate:
    """Trade qualified for one reason. Prices in units of 1/10,000 rupee.

    Attributes
    ----------
    detected_price:
        None for a symbol without a tick, exited by the clock, and for a requested exit.
    detected_at_us:
        Microseconds since 1970.
    level:
        Level reached by the price; None if no price alone decides.
    leg:
        Of a target ladder; None for the whole remainder.
    bricks:
        Bricks counted for a rule waiting for them; None for others, and for a candidate from the queue.
    """

    trade_id: UUID
    symbol: str
    exit_reason: ExitReason
    detected_price: int | None
    detected_at_us: int
    level: int | None = None
    leg: int | None = None
    bricks: BrickCount | None = field(default=None, compare=False)

    @property
    def rule_key(self) -> RuleKey:
        """Return the key of the rule."""
        return RuleKey(self.trade_id, self.exit_reason, self.leg)


@dataclass(frozen=True, slots=True)
class ExitCandidates:
    """All reasons of one trade together, highest rank first; never empty.

    The first reason without a cooldown becomes the exit.
    """

    trade: OpenTrade
    candidates: tuple[ExitCandidate, ...]

    @classmethod
    def asked_for(cls, trade: OpenTrade, reason: ExitReason, at_us: int) -> Self:
        """Return the one candidate of an exit without a deciding price, in microseconds since 1970."""
        return cls(trade, (ExitCandidate(trade.trade_id, trade.symbol, reason, None, at_us),))


def in_steps(candidates: Sequence[ExitCandidate]) -> list[list[ExitCandidate]]:
    """Return one trade's candidates in the order of trying them; legs of one reason are tried together."""
    groups = groupby(candidates, key=lambda each: (each.exit_reason, each.leg is None))
    return [list(step) for _, step in groups]


@dataclass(frozen=True, slots=True)
class TickVerdict:
    """Result of a tick.

    Attributes
    ----------
    accepted:
        False if the tick was stale: older than the symbol's last; nothing changed.
    candidates:
        One entry per qualified trade, in order of trade_id.
    order:
        Position of the tick among those of its symbol.
    """

    accepted: bool
    candidates: tuple[ExitCandidates, ...] = ()
    order: TickOrder = TickOrder.NEWEST


QUIET: Final = TickVerdict(accepted=True)
"""Accepted without effect; shared by almost all ticks."""
REFUSED: Final = {order: TickVerdict(accepted=False, order=order) for order in TickOrder if order not in TAKEN}
"""Verdicts on ticks without any effect."""
