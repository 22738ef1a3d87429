"""Invented market: open trades, and ticks for leaving them alone or moving their stops."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

import msgspec

from shared.clock import rfc3339
from shared.instants import EPOCH
from shared.money import SCALE, from_units, money_text

SYMBOLS = 1_000
ENTRY = 1000 * SCALE
REACH = 400 * SCALE
"""Distance of the nearest target and stop from the entry: more than a quiet price ever moves."""
SEED = 20_260_113
FIRST_US = 1_768_276_800_000_000
"""2026-01-13T04:00:00Z, in microseconds since 1970."""
MINIMUM_STEP = SCALE // 20
QUIET_STEPS = 200
"""Largest distance of a quiet price from the entry, in minimum steps."""
WANDERING_STEPS = 300
WANDERING_TICKS = 300_000
"""A tick of so many moves a volatile price by so many minimum steps at most."""


class Mood(StrEnum):
    """Kinds of markets."""

    QUIET = "quiet"
    """Prices stay between the levels."""
    VOLATILE = "volatile"
    """Prices wander: new highs move trailing stops, and some prices reach targets and stops."""


@dataclass(frozen=True, slots=True)
class Step:
    """One tick: number of its symbol, price in units, microseconds since 1970, and its number."""

    symbol: int
    price: int
    ts_us: int
    seq: int


def symbol_name(number: int) -> str:
    """Return the name of a symbol."""
    return f"NSE:BENCH{number:04d}"


def trade_id(number: int) -> UUID:
    """Return the id of a trade."""
    return UUID(int=(1 << 100) + number)


def plan_of(number: int, mood: Mood) -> dict[str, object]:
    """Return the plan of a trade: a target and a stop; in a volatile market every second has a trailing stop."""
    stop = stop_of(number)
    plan: dict[str, object] = {"target": money(2 * ENTRY - stop), "stop_loss": money(stop)}
    if mood is Mood.VOLATILE and number % 2:
        plan["trailing_stop"] = {"amount": money(REACH + number % 997)}
    return plan


def stop_of(number: int) -> int:
    """Return the stop of a trade, in units."""
    return ENTRY - REACH - (number // SYMBOLS % 4_000) * (SCALE // 100)


def steps(count: int, mood: Mood) -> Iterator[Step]:
    """Yield ticks of all symbols in random order, 100,000 a second of market time.

    A random walk of n steps ends about √n steps away. Steps of a volatile price are shorter the more ticks there are,
    so any number of ticks makes about the same number of exits.
    """
    chance = random.Random(SEED)  # noqa: S311  # a market, not a secret
    wandering = round(WANDERING_STEPS * (WANDERING_TICKS / count) ** 0.5)
    prices = [ENTRY] * SYMBOLS
    for seq in range(1, count + 1):
        symbol = chance.randrange(SYMBOLS)
        if mood is Mood.QUIET:
            price = ENTRY + chance.randint(-QUIET_STEPS, QUIET_STEPS) * MINIMUM_STEP
        else:
            price = max(SCALE, prices[symbol] + chance.randint(-wandering, wandering) * MINIMUM_STEP)
        prices[symbol] = price
        yield Step(symbol, price, FIRST_US + seq * 10, seq)


def payload(step: Step) -> bytes:
    """Return the tick as a feed sends it."""
    ts = f"{_second(step.ts_us // 1_000_000)}.{step.ts_us // 1000 % 1000:03d}Z"
    tick = {"symbol": symbol_name(step.symbol), "ltp": money(step.price), "ts": ts, "seq": step.seq}
    return msgspec.json.encode(tick)


def only_tick(symbol: str, price: int) -> bytes:
    """Return the only tick of a symbol, as a feed sends it."""
    tick = {"symbol": symbol, "ltp": money(price), "ts": "2026-01-13T04:00:00Z", "seq": 1}
    return msgspec.json.encode(tick)


def money(units: int) -> str:
    """Return an amount as text."""
    return money_text(from_units(units))


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return rfc3339(EPOCH + timedelta(seconds=second)).partition(".")[0].rstrip("Z")
