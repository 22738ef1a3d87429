"""A split in the engine: levels, watermarks and bricks follow, and nothing fires at a price of before."""

from __future__ import annotations

from typing import Any

import pytest

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.open_trade import OpenTrade
from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.scale import Scale
from tests.unit.exit_qualification.examples import open_trade

INFY, NEW = "NSE:INFY", "NSE:INFX"
SPLIT = Scale(1, 10)
LEVELS: dict[str, Any] = {"target": 101_0000, "stop_loss": 99_0000}


def after_split(**changes: Any) -> OpenTrade:
    """Return the trade of the tests after the split."""
    facts = {"quantity": 1000, "entry_price": 100_0000, "plan_version": 2} | LEVELS | changes
    return open_trade(**facts)


def fired(engine: ExitSignalService, price: int, seq: int, symbol: str = INFY) -> list[ExitReason]:
    verdict = engine.on_tick(symbol, price, seq, seq, 10_000 + seq)
    assert verdict.accepted
    return [each.exit_reason for entry in verdict.candidates for each in entry.candidates]


def test_first_tick_after_split_exits_nothing_but_new_levels_do() -> None:
    engine = ExitSignalService()
    engine.add_trade(open_trade())
    assert fired(engine, 1000_0000, 1) == []
    engine.adjust_trade(after_split(), SPLIT, 20_000)
    assert fired(engine, 100_0000, 10_002) == []
    assert fired(engine, 99_0000, 10_003) == [ExitReason.STOP_LOSS]


def test_no_rearmed_rule_fires_at_the_last_price_of_before() -> None:
    """The last price of 1000 is beyond the new target of 101, but it is 100 now."""
    engine = ExitSignalService()
    engine.add_trade(open_trade())
    fired(engine, 1000_0000, 1)
    engine.disarm(open_trade().trade_id, ExitReason.MANUAL)
    engine.adjust_trade(after_split(), SPLIT, 20_000)
    assert engine.rearm(engine.disarmed(10)) == []
    state = engine.books.state(INFY)
    assert state is not None and (state.last_price, state.last_arrived_ms) == (100_0000, 20_000)


@pytest.mark.parametrize("direction", Direction)
def test_a_trailing_stop_keeps_the_best_price_it_had_reached(direction: Direction) -> None:
    sign = direction.sign
    plan: dict[str, Any] = {"target": None, "stop_loss": None, "trailing_stop": {"amount": "15"}}
    engine = ExitSignalService()
    engine.add_trade(open_trade(direction=direction, **plan))
    fired(engine, 1000_0000 + sign * 40_0000, 1)
    plan["trailing_stop"] = {"amount": "1.50"}
    engine.adjust_trade(after_split(direction=direction, **plan), SPLIT, 20_000)
    best = 100_0000 + sign * 4_0000
    assert fired(engine, best - sign * 1_4900, 10_002) == []
    assert fired(engine, best - sign * 1_5000, 10_003) == [ExitReason.TRAILING_STOP]


def test_its_state_goes_to_the_checkpoint_and_back() -> None:
    plan: dict[str, Any] = {"target": None, "stop_loss": None, "break_even": {"arm": "8", "offset": "1"}}
    engine = ExitSignalService()
    engine.add_trade(open_trade(**plan))
    fired(engine, 1008_0000, 1)
    plan["break_even"] = {"arm": "0.80", "offset": "0.10"}
    adjusted = after_split(**plan)
    saved = engine.adjust_trade(adjusted, SPLIT, 20_000)
    restarted, state = ExitSignalService(), engine.books.state(INFY)
    assert state is not None
    restarted.books.restore(INFY, state)
    restarted.add_trade(
        adjusted._replace(entered_tick=state.ticks, saved={key[1:]: found for key, found in saved.items()})
    )
    assert fired(restarted, 100_0900, 10_002) == [ExitReason.BREAK_EVEN]


def test_two_trades_adjust_last_price_once_and_keep_later_price() -> None:
    engine = ExitSignalService()
    engine.add_trade(open_trade(1))
    engine.add_trade(open_trade(2))
    fired(engine, 1000_0000, 1)
    engine.adjust_trade(after_split(number=1), SPLIT, 20_000)
    engine.adjust_trade(after_split(number=2), SPLIT, 20_000)
    state = engine.books.state(INFY)
    assert state is not None and state.last_price == 100_0000
    engine.add_trade(open_trade(3))
    fired(engine, 100_5000, 20_000)
    engine.adjust_trade(after_split(number=3), SPLIT, 20_000)
    state = engine.books.state(INFY)
    assert state is not None and state.last_price == 100_5000


def test_a_renamed_trade_exits_by_the_new_symbol_alone() -> None:
    engine = ExitSignalService()
    engine.add_trade(open_trade())
    fired(engine, 1000_0000, 1)
    engine.adjust_trade(open_trade(symbol=NEW, plan_version=2), Scale(), 20_000)
    assert fired(engine, 980_0000, 2) == []
    assert fired(engine, 990_0000, 3, NEW) == [ExitReason.STOP_LOSS]


def test_a_repeated_adjustment_changes_nothing() -> None:
    engine = ExitSignalService()
    engine.add_trade(open_trade())
    fired(engine, 1000_0000, 1)
    engine.adjust_trade(after_split(), SPLIT, 20_000)
    assert engine.adjust_trade(after_split(), SPLIT, 30_000) == {}
    state = engine.books.state(INFY)
    assert state is not None and state.last_price == 100_0000
