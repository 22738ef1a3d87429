"""The demo's scenario and market: seeded, sane, and sure to end with every trade's exit."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from services.demo.market import walk
from services.demo.scenario import TICK, Scenario, make_scenario
from services.demo.seeded_random import bell, between
from shared.contracts.ticks import Tick
from shared.contracts.vocabulary import Direction, ProductType
from shared.exit_rules.plan import ExitPlan
from tests.unit.cli.test_tick_tempo import START

SEEDS = (7, 11, 2026)


@pytest.fixture(params=SEEDS)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """The demo's own size."""
    return make_scenario(request.param, trades=200, symbols=20)


def test_same_seed_gives_same_market_and_another_seed_another() -> None:
    assert make_scenario(7, 50, 5) == make_scenario(7, 50, 5)
    assert list(walk(make_scenario(7, 50, 5), 50)) == list(walk(make_scenario(7, 50, 5), 50))
    assert make_scenario(7, 50, 5) != make_scenario(8, 50, 5)


def test_every_trade_is_one_that_trade_management_accepts(scenario: Scenario) -> None:
    for trade in scenario.trades:
        plan = ExitPlan(target=trade.target, stop_loss=trade.stop_loss)
        assert plan.contradictions(trade.direction, trade.entry) == []
        assert not (trade.direction is Direction.SHORT and trade.product is ProductType.CNC)
        assert trade.quantity > 0


def test_both_directions_and_products_trade_across_every_symbol(scenario: Scenario) -> None:
    assert {trade.symbol for trade in scenario.trades} == set(scenario.opening)
    assert len(scenario.opening) == 20
    assert {trade.direction for trade in scenario.trades} == set(Direction)
    assert {trade.product for trade in scenario.trades} == {ProductType.MIS, ProductType.CNC}


def test_every_price_is_a_tick_that_the_topic_takes(scenario: Scenario) -> None:
    for prices in walk(scenario, 100):
        for symbol, price in prices.items():
            assert price % TICK == 0
            Tick(symbol=symbol, ltp=price, ts=START)


def test_at_the_end_no_level_is_left_untouched(scenario: Scenario) -> None:
    touched = dict.fromkeys(range(len(scenario.trades)), False)
    for prices in walk(scenario, 100):
        for n, trade in enumerate(scenario.trades):
            low, high = trade.levels
            touched[n] |= prices[trade.symbol] <= low or prices[trade.symbol] >= high
    assert all(touched.values())
    assert all(prices_beyond(scenario, symbol, price) for symbol, price in prices.items())


def prices_beyond(scenario: Scenario, symbol: str, price: Decimal) -> bool:
    """Whether a trade of the symbol cannot be open at this price."""
    below, above = scenario.beyond(symbol)
    return price <= below or price >= above


def test_the_walk_has_gaps(scenario: Scenario) -> None:
    steps = list(walk(scenario, 300))[:300]
    moves = [
        abs(after[symbol] / before[symbol] - 1) for before, after in pairwise(steps) for symbol in scenario.opening
    ]
    usual = sorted(moves)[len(moves) // 2]
    assert sum(move > 8 * usual for move in moves) >= 10


def test_more_symbols_than_names_are_named_too() -> None:
    assert len(make_scenario(7, 30, 30).opening) == 30


def test_noise_stays_in_its_range_and_around_its_middle() -> None:
    numbers = [bell(7, n) for n in range(2000)]
    assert abs(sum(numbers) / len(numbers)) < 0.1
    assert all(2 <= between(7, 2, 3, n) < 3 for n in range(2000))
