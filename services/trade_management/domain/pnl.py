"""Profit and loss of closures."""

from __future__ import annotations

from decimal import Decimal

from shared.contracts.vocabulary import Direction


def gross_pnl(direction: Direction, entry_price: Decimal, quantity: int, value: Decimal) -> Decimal:
    """Return d * (VWAP_exit - VWAP_entry) * Q in rupees, d = +1 LONG, -1 SHORT, of so many shares sold for `value`.

    Computed from values, not from a rounded average price, so the result is exact and partial closures add up.
    """
    return direction.sign * (value - entry_price * quantity)


def net_pnl(gross: Decimal, charges: Decimal | None) -> Decimal | None:
    """Return the net of a gross P&L in rupees; None if the charges are unknown."""
    return None if charges is None else gross - charges
