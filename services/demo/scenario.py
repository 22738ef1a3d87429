"""Demo scenario: symbols with trades of both directions and their plans. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from services.demo.seeded_random import between, uniform
from shared.contracts.vocabulary import Direction, ProductType

TICK = Decimal("0.05")
NAMES = (
    *("INFY", "TCS", "RELIANCE", "HDFCBANK", "ICICIBANK", "SBIN", "AXISBANK", "KOTAKBANK", "LT", "ITC"),
    *("MARUTI", "TITAN", "WIPRO", "HCLTECH", "SUNPHARMA", "BHARTIARTL", "ASIANPAINT", "NTPC", "ONGC", "TATASTEEL"),
)
CNC_SHARE = 0.2
"""Of the LONG trades; there is no short delivery."""


@dataclass(frozen=True)
class TradePlan:
    """A trade to open at its symbol's first price; prices in rupees."""

    symbol: str
    direction: Direction
    product: ProductType
    quantity: int
    entry: Decimal
    target: Decimal
    stop_loss: Decimal

    @property
    def levels(self) -> tuple[Decimal, Decimal]:
        """Return the lower and the higher exit price."""
        return min(self.target, self.stop_loss), max(self.target, self.stop_loss)


@dataclass(frozen=True)
class Scenario:
    """Where each symbol starts, and the trades on them."""

    seed: int
    opening: dict[str, Decimal]
    trades: tuple[TradePlan, ...]

    def beyond(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return prices below and above all exit levels of the symbol's trades."""
        levels = [trade.levels for trade in self.trades if trade.symbol == symbol]
        opening = self.opening[symbol]
        return (
            min((low for low, _ in levels), default=opening) - TICK,
            max((high for _, high in levels), default=opening) + TICK,
        )


def make_scenario(seed: int, trades: int, symbols: int) -> Scenario:
    """Build the scenario; equal arguments give equal scenarios."""
    names = [_symbol(n) for n in range(symbols)]
    opening = {name: to_tick(Decimal(between(seed, 150, 3500, "opening", name))) for name in names}
    plans = (_plan(seed, n, names[n % symbols], opening) for n in range(trades))
    return Scenario(seed, opening, tuple(plans))


def to_tick(price: Decimal) -> Decimal:
    """Round to the nearest valid exchange price."""
    return (price / TICK).quantize(Decimal(1), ROUND_HALF_UP) * TICK


def _symbol(number: int) -> str:
    return f"NSE:{NAMES[number]}" if number < len(NAMES) else f"NSE:DEMO{number + 1}"


def _plan(seed: int, number: int, symbol: str, opening: dict[str, Decimal]) -> TradePlan:
    """Return LONG or SHORT by chance, with target and stop 0.3 to 1.5 % away."""
    entry = opening[symbol]
    direction = Direction.LONG if uniform(seed, "direction", number) < 0.5 else Direction.SHORT
    delivery = direction is Direction.LONG and uniform(seed, "product", number) < CNC_SHARE
    gain, loss = (Decimal(between(seed, 0.003, 0.015, what, number)) for what in ("gain", "loss"))
    return TradePlan(
        symbol=symbol,
        direction=direction,
        product=ProductType.CNC if delivery else ProductType.MIS,
        quantity=int(between(seed, 1, 41, "quantity", number)) * 5,
        entry=entry,
        target=to_tick(entry * (1 + direction.sign * gain)),
        stop_loss=to_tick(entry * (1 - direction.sign * loss)),
    )
