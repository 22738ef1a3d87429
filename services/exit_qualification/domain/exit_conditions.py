"""When a price exits a trade: the one place where LONG and SHORT are compared with prices."""

from __future__ import annotations

from enum import Enum
from typing import Final, assert_never

from services.exit_qualification.domain.open_trade import OpenTrade
from shared.contracts.vocabulary import Direction, ExitReason
from shared.errors import InvalidInput

PATIENT_REASONS: Final = frozenset({ExitReason.STOP_LOSS, ExitReason.TIME, ExitReason.MANUAL})
"""A waiting exit for one of these goes on waiting when its condition is gone, and never expires."""

PRICE_REASONS: Final = (ExitReason.STOP_LOSS, ExitReason.TARGET)
"""The reasons that a price decides, highest rank first."""


class Side(Enum):
    """On which side of its level a price fires; the level itself always fires."""

    AT_OR_ABOVE = "at or above"
    AT_OR_BELOW = "at or below"


def side_of(direction: Direction, reason: ExitReason) -> Side:
    """The side on which a price reason fires: profit is above for a LONG and below for a SHORT.

    Raises
    ------
    InvalidInput
        No price decides this reason.
    """
    if reason not in PRICE_REASONS:
        raise InvalidInput(f"no price decides {reason}")
    rising = (reason is ExitReason.TARGET) == (direction is Direction.LONG)
    return Side.AT_OR_ABOVE if rising else Side.AT_OR_BELOW


def level_of(trade: OpenTrade, reason: ExitReason) -> int | None:
    """Return the price of a reason in the trade's plan, in units; None if the plan has no such rule.

    Raises
    ------
    InvalidInput
        No price decides this reason.
    """
    match reason:
        case ExitReason.TARGET:
            return trade.target
        case ExitReason.STOP_LOSS:
            return trade.stop_loss
        case (
            ExitReason.MANUAL
            | ExitReason.TRAILING_STOP
            | ExitReason.BREAK_EVEN
            | ExitReason.BRICK_REVERSAL
            | ExitReason.TIME
            | ExitReason.EXTERNAL
        ):
            raise InvalidInput(f"no price decides {reason}")
        case _:
            assert_never(reason)


def reached(side: Side, price: int, level: int) -> bool:
    """Whether a price fires a level; both in units."""
    return price >= level if side is Side.AT_OR_ABOVE else price <= level


def condition_holds(trade: OpenTrade, reason: ExitReason, price: int) -> bool:
    """Whether a trade should exit for a reason at a price in units. A MANUAL exit holds at any price.

    Raises
    ------
    InvalidInput
        A reason that is neither manual nor decided by a price.
    """
    if reason is ExitReason.MANUAL:
        return True
    side = side_of(trade.direction, reason)
    level = level_of(trade, reason)
    return level is not None and reached(side, price, level)
