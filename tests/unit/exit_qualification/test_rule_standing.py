"""Distance of every rule of a trade to the last price."""

from __future__ import annotations

from typing import Any

import pytest

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.rule_standing import BrickStanding, RuleStanding, rule_standings
from services.exit_qualification.domain.symbol_book import SymbolState
from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.levels import Side
from tests.unit.exit_qualification.examples import open_trade

AT_1004 = SymbolState(1004_0000, 0, 0)


def standings(last: SymbolState | None = AT_1004, **changes: Any) -> dict[ExitReason, RuleStanding]:
    return {each.reason: each for each in rule_standings(open_trade(entered_tick=0, **changes), last)}


def test_the_distance_is_what_the_price_must_still_move() -> None:
    found = standings()
    assert list(found) == [ExitReason.STOP_LOSS, ExitReason.TARGET]
    target, stop = found[ExitReason.TARGET], found[ExitReason.STOP_LOSS]
    assert (target.level, target.reached, target.distance) == (1010_0000, Side.AT_OR_ABOVE, 6_0000)
    assert (stop.level, stop.reached, stop.distance) == (990_0000, Side.AT_OR_BELOW, 14_0000)


def test_a_short_is_mirrored() -> None:
    found = standings(direction=Direction.SHORT, target=990_0000, stop_loss=1004_0000)
    target, stop = found[ExitReason.TARGET], found[ExitReason.STOP_LOSS]
    assert (target.level, target.reached, target.distance) == (990_0000, Side.AT_OR_BELOW, 14_0000)
    assert (stop.level, stop.reached, stop.distance) == (1004_0000, Side.AT_OR_ABOVE, 0)


def test_without_a_tick_there_is_no_distance() -> None:
    assert standings(None)[ExitReason.TARGET].distance is None


def test_watermarks_and_bricks_are_those_of_the_checkpoint() -> None:
    plan: dict[str, Any] = {
        "target": 1010_0000,
        "stop_loss": None,
        "trailing_stop": {"amount": "5"},
        "bricks": {"size": "4", "confirm": 2, "reversal": 3},
    }
    engine = ExitSignalService()
    trade = open_trade(**plan)
    engine.add_trade(trade)
    for seq, price in enumerate((1004_0000, 1009_0000, 1006_0000), 1):
        engine.on_tick("NSE:INFY", price, seq, seq)
    symbol = engine.books.state("NSE:INFY")
    moved = engine.books.take_moved(["NSE:INFY"])[trade.trade_id]
    saved = {(key.reason, key.leg): state for key, state in moved.items()}
    found = {each.reason: each for each in rule_standings(trade._replace(entered_tick=0, saved=saved), symbol)}
    trail = found[ExitReason.TRAILING_STOP]
    assert (trail.watermark, trail.level, trail.distance) == (1009_0000, 1004_0000, 2_0000)
    assert found[ExitReason.TARGET].bricks == BrickStanding(0, 2, 4_0000, 1008_0000)
    assert found[ExitReason.BRICK_REVERSAL].bricks == BrickStanding(0, 3, 4_0000, 1008_0000)
    assert found[ExitReason.BRICK_REVERSAL].level is None


@pytest.mark.parametrize(("direction", "sign"), [(Direction.LONG, 1), (Direction.SHORT, -1)])
def test_an_unarmed_break_even_tells_what_arms_it(direction: Direction, sign: int) -> None:
    """It does not fire with the next tick, though no price of an exit stands against it."""
    stop: dict[str, Any] = {
        "break_even": {"arm": "10", "offset": "2"},
        "target": None,
        "stop_loss": None,
        "direction": direction,
    }
    found = standings(**stop)[ExitReason.BREAK_EVEN]
    arms_at, side = 1000_0000 + sign * 10_0000, Side.AT_OR_ABOVE if sign > 0 else Side.AT_OR_BELOW
    assert (found.level, found.arms_at, found.reached) == (None, arms_at, side)
    assert found.distance == 10_0000 - sign * 4_0000
    armed = standings(saved={(ExitReason.BREAK_EVEN, None): {"armed": 1}}, **stop)[ExitReason.BREAK_EVEN]
    assert (armed.level, armed.arms_at) == (1000_0000 + sign * 2_0000, None)
