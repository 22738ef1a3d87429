"""What the engine says: which trades qualify to exit, and why. It never changes a trade or places an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.exit_qualification.domain.open_trade import OpenTrade
from shared.contracts.vocabulary import ExitReason
from shared.tick_clock import TickOrder


@dataclass(frozen=True, slots=True)
class ExitCandidate:
    """A trade qualified for one reason. Prices in units of 1/10,000 rupee.

    Attributes
    ----------
    detected_price:
        None for a symbol that never ticked, which only the clock exits.
    detected_at_us:
        Microseconds since 1970.
    level:
        What the price reached; None where no price alone decides.
    leg:
        Of a target ladder; None for the whole remainder.
    """

    trade_id: UUID
    symbol: str
    exit_reason: ExitReason
    detected_price: int | None
    detected_at_us: int
    level: int | None = None
    leg: int | None = None


@dataclass(frozen=True, slots=True)
class ExitCandidates:
    """All reasons for which one trade qualified at once, highest rank first; never empty.

    The first that is not under cooldown becomes the exit.
    """

    trade: OpenTrade
    candidates: tuple[ExitCandidate, ...]


@dataclass(frozen=True, slots=True)
class TickVerdict:
    """What a tick did.

    Attributes
    ----------
    accepted:
        False if the tick was stale: older than the symbol's last, and nothing moved.
    candidates:
        One entry per trade that qualified, in order of trade_id.
    order:
        Where the tick stands among those of its symbol.
    """

    accepted: bool
    candidates: tuple[ExitCandidates, ...] = ()
    order: TickOrder = TickOrder.NEWEST


QUIET: Final = TickVerdict(accepted=True)
"""Accepted, and nothing happens: shared by almost all ticks."""
REFUSED: Final = {order: TickVerdict(accepted=False, order=order) for order in (TickOrder.STALE, TickOrder.STUCK)}
"""Verdicts on ticks that move nothing."""
