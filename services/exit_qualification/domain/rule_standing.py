"""RuleStanding: how far each rule of a trade is from firing."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.symbol_book import SymbolState
from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.brick_reversal import Reversal
from shared.exit_rules.confirmation import Confirmed
from shared.exit_rules.levels import ALWAYS, Level, Side
from shared.exit_rules.rule import RuleState


@dataclass(frozen=True, slots=True)
class BrickStanding:
    """Bricks counted for a rule, and bricks it needs; `close` is the market price of the last brick's end."""

    counted: int
    needed: int
    size: int
    close: int


@dataclass(frozen=True, slots=True)
class RuleStanding:
    """One rule of a trade at the symbol's last tick. Market prices in units of 1/10,000 rupee.

    Attributes
    ----------
    level, arms_at, reached:
        Price of the condition, or one to arm the rule first, and its side; None if no price alone decides.
    distance:
        How far the last price must still move to that price; 0 or less once it has. None without a tick.
    watermark:
        Best price since entry of a trailing stop.
    deadline_ms:
        Milliseconds since 1970.
    """

    reason: ExitReason
    leg: int | None
    level: int | None
    arms_at: int | None
    reached: Side | None
    distance: int | None
    watermark: int | None
    deadline_ms: int | None
    bricks: BrickStanding | None


def rule_standings(trade: OpenTrade, symbol: SymbolState | None) -> list[RuleStanding]:
    """Return the standing of every rule of a trade, highest rank first, by its checkpoint and the symbol's."""
    engine = ExitSignalService()
    if symbol is not None:
        engine.books.restore(trade.symbol, symbol)
    engine.add_trade(trade)
    states = engine.books.rule_states(trade.trade_id)
    last = None if symbol is None else symbol.last_price
    return [_standing(key, states[key], trade.direction, last) for key in sorted(states, key=_by_rank)]


def _standing(key: RuleKey, state: RuleState, direction: Direction, last: int | None) -> RuleStanding:
    condition, arming = _condition(state), state.arms_at
    wanted = condition or arming
    return RuleStanding(
        reason=key.reason,
        leg=key.leg,
        level=None if condition is None else condition.price * direction.sign,
        arms_at=None if arming is None else arming.price * direction.sign,
        reached=None if wanted is None else _in_market(wanted.side, direction),
        distance=None if wanted is None or last is None else _distance(wanted, last * direction.sign),
        watermark=None if state.trails is None else state.watermark * direction.sign,
        deadline_ms=state.deadline_ms,
        bricks=_bricks(state, direction),
    )


def _condition(state: RuleState) -> Level | None:
    """Return the level a price must reach; None if there is none."""
    condition = state.condition
    return None if condition == ALWAYS else condition


def _distance(level: Level, profit_price: int) -> int:
    toward = 1 if level.side is Side.AT_OR_ABOVE else -1
    return (level.price - profit_price) * toward


def _in_market(side: Side, direction: Direction) -> Side:
    """Return the side in market prices; profit prices of a SHORT are negative."""
    if direction is Direction.LONG:
        return side
    return Side.AT_OR_BELOW if side is Side.AT_OR_ABOVE else Side.AT_OR_ABOVE


def _bricks(state: RuleState, direction: Direction) -> BrickStanding | None:
    if not isinstance(state, Confirmed | Reversal):
        return None
    return BrickStanding(state.count, state.needed, state.bricks.size, state.bricks.close * direction.sign)


def _by_rank(key: RuleKey) -> tuple[int, int, UUID]:
    return key.reason.rank, -1 if key.leg is None else key.leg, key.trade_id
