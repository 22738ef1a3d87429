"""A seeded random-walk market with gaps, finally moving beyond every level of every trade. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from services.demo.scenario import TICK, Scenario, to_tick
from services.demo.seeded_random import bell, uniform

STEP = 0.0006
"""Standard deviation of a step, as a share of the price."""
GAP_CHANCE = 0.01
GAP = 0.006
"""A gap in a price, before it is drawn, as a share of the price."""
DRIFT = Decimal("0.0015")
"""A step of the final drift, as a share of the price."""

Prices = dict[str, Decimal]


def walk(scenario: Scenario, steps: int) -> Iterator[Prices]:
    """Yield `steps` steps of a random walk, then a drift beyond every level; each item is one price per symbol.

    The seed sets each symbol's drift up or down; once beyond, the symbol stays there.
    """
    prices = dict(scenario.opening)
    yield dict(prices)
    for step in range(steps):
        prices = {symbol: _stepped(scenario.seed, symbol, step, price) for symbol, price in prices.items()}
        yield dict(prices)
    ends = {symbol: _end(scenario, symbol) for symbol in prices}
    while prices != ends:
        prices = {symbol: _drifted(price, ends[symbol]) for symbol, price in prices.items()}
        yield dict(prices)


def _stepped(seed: int, symbol: str, step: int, price: Decimal) -> Decimal:
    size = GAP if uniform(seed, "gap", symbol, step) < GAP_CHANCE else STEP
    change = Decimal(size * bell(seed, "step", symbol, step))
    return max(TICK, to_tick(price * (1 + change)))


def _end(scenario: Scenario, symbol: str) -> Decimal:
    below, above = scenario.beyond(symbol)
    return above if uniform(scenario.seed, "end", symbol) < 0.5 else below


def _drifted(price: Decimal, end: Decimal) -> Decimal:
    step = max(TICK, to_tick(price * DRIFT))
    return min(end, price + step) if end > price else max(end, price - step)
