"""Last price of a symbol and the prices of its day. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.paper_broker.book_time import book_day


@dataclass(frozen=True, slots=True)
class PriceTick:
    """Traded price. `(at_us, seq)` orders the ticks of a symbol's producer; `arrived_ms` of 0 means unknown."""

    symbol: str
    price_units: int
    at_us: int
    seq: int
    arrived_ms: int = 0


@dataclass(frozen=True, slots=True)
class Quote:
    """Last price, the day's prices, and the last price of the day before (0 if unknown)."""

    symbol: str
    last_units: int
    at_us: int
    seq: int
    day: str
    open_units: int
    high_units: int
    low_units: int
    close_units: int


def first_quote(tick: PriceTick) -> Quote:
    """Return the quote of a symbol without an earlier one."""
    price = tick.price_units
    return Quote(tick.symbol, price, tick.at_us, tick.seq, book_day(tick.at_us // 1000), price, price, price, 0)


def advance(quote: Quote | None, tick: PriceTick) -> Quote:
    """Return the quote after the symbol's newest tick."""
    if quote is None:
        return first_quote(tick)
    if book_day(tick.at_us // 1000) != quote.day:
        return replace(first_quote(tick), close_units=quote.last_units)
    return replace(
        quote,
        last_units=tick.price_units,
        at_us=tick.at_us,
        seq=tick.seq,
        high_units=max(quote.high_units, tick.price_units),
        low_units=min(quote.low_units, tick.price_units),
    )
